"""Small trees of the expression language, of which scores and grades are put together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlglot import exp

from tagline.definitions.grading import standard_named

Arm = tuple[exp.Expr, exp.Expr]


def name(column: str) -> exp.Expr:
    """A tag, or a hidden column of the wide row."""
    return exp.column(column)


def number(value: float) -> exp.Expr:
    """A number written out; a whole one without decimals."""
    whole = int(value) if float(value).is_integer() and abs(value) < 1e15 else value
    made: exp.Expr = exp.convert(whole)
    return made


def amount(value: float | str) -> exp.Expr:
    """A number, or standard('name')."""
    standard = standard_named(value)
    if standard is None:
        return number(float(value))
    return exp.Anonymous(this="standard", expressions=[exp.Literal.string(standard)])


def text(value: str) -> exp.Expr:
    """A text."""
    return exp.Literal.string(value)


def previous(slug: str) -> exp.Expr:
    """previous(tag)."""
    return exp.Anonymous(this="previous", expressions=[exp.column(slug)])


def double(value: exp.Expr) -> exp.Expr:
    """A value as a floating-point number, so that engines calculate alike."""
    made: exp.Expr = exp.cast(_own(value), "DOUBLE")
    return made


def binary(kind: type[exp.Binary], left: exp.Expr, right: exp.Expr) -> exp.Expr:
    """An operator between two values, bracketed where they are operations themselves."""
    return kind(this=_bracketed(left), expression=_bracketed(right))


def case(arms: Sequence[Arm], otherwise: exp.Expr | None = None) -> exp.Expr:
    """The value of the first arm whose condition is true."""
    if not arms:
        return _own(otherwise) if otherwise is not None else exp.null()
    made = exp.Case()
    for when, then in arms:
        made = made.when(_own(when), _own(then), copy=False)
    return made if otherwise is None else made.else_(_own(otherwise), copy=False)


def is_null(value: exp.Expr) -> exp.Expr:
    """Whether there is no value."""
    return exp.Is(this=_own(value), expression=exp.null())


def known(value: exp.Expr) -> exp.Expr:
    """Whether there is a value."""
    return exp.Not(this=is_null(value))


def greatest(*values: exp.Expr) -> exp.Expr:
    """The greatest of values that there are."""
    first, *others = values
    listed = [_own(each) for each in others]
    return exp.Greatest(this=_own(first), expressions=listed, ignore_nulls=True)


def least(*values: exp.Expr) -> exp.Expr:
    """The least of values that there are."""
    first, *others = values
    listed = [_own(each) for each in others]
    return exp.Least(this=_own(first), expressions=listed, ignore_nulls=True)


def coalesce(value: exp.Expr, otherwise: exp.Expr) -> exp.Expr:
    """A value, or another one where there is none."""
    return exp.Coalesce(this=_own(value), expressions=[_own(otherwise)])


def total(values: Iterable[exp.Expr]) -> exp.Expr:
    """The sum of values, 0 of none; added from the left, so that it is the same everywhere."""
    found: exp.Expr | None = None
    for value in values:
        part = _bracketed(value)
        found = part if found is None else exp.Add(this=found, expression=part)
    return number(0) if found is None else found


def either(conditions: Sequence[exp.Expr]) -> exp.Expr:
    """Whether one of the conditions is true; false where one is unknown and none is true."""
    known_ones = [coalesce(each, exp.false()) for each in conditions]
    return exp.or_(*known_ones) if known_ones else exp.false()


def _own(value: exp.Expr) -> exp.Expr:
    """A tree to put into another one: itself, or a copy where it is part of one already."""
    return value if value.parent is None else value.copy()


def _bracketed(value: exp.Expr) -> exp.Expr:
    owned = _own(value)
    operation = isinstance(owned, exp.Binary | exp.Not | exp.Neg)
    return exp.Paren(this=owned) if operation else owned
