"""Typed trees of Spark SQL, and the few ways in which they are put together.

A tree that is named twice is shared, not copied: a query is written out once and never changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sqlglot import exp

from tagline.definitions.types import DataType
from tagline.errors import TaglineError

_NOT_FINITE = {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}
INLINE = 40  # nodes; a larger argument that is named several times is bound once


class NotOnSpark(TaglineError):
    """A construct whose meaning in DuckDB the Spark engine cannot give."""

    def __init__(self, what: str, instead: str = "") -> None:
        super().__init__(
            f"the Spark engine cannot compute {what} as DuckDB does."
            f" {instead or 'Write it another way'}, or compute with TAGLINE_ENGINE=duckdb."
        )


@dataclass(frozen=True)
class Kind:
    """A value's type as both engines see it; integers of all widths are one kind.

    `local` is a wall-clock time without a zone, `instant` a point in time; `items` are the kinds
    within a list (one) or a row.
    """

    name: str
    items: tuple[Kind, ...] = ()


BOOLEAN, INTEGER, NUMBER, DECIMAL = map(Kind, ("boolean", "integer", "number", "decimal"))
TEXT, DATE, LOCAL, INSTANT = map(Kind, ("text", "date", "local", "instant"))
NULL, INTERVAL = Kind("null"), Kind("interval")
NUMERIC = (INTEGER, NUMBER, DECIMAL)
MOMENTS = (DATE, LOCAL, INSTANT)

OF_COLUMN = {
    DataType.BOOLEAN: BOOLEAN,
    DataType.INTEGER: INTEGER,
    DataType.NUMBER: NUMBER,
    DataType.TEXT: TEXT,
    DataType.DATE: DATE,
    DataType.TIMESTAMP: INSTANT,
    DataType.TEXT_LIST: Kind("list", (TEXT,)),
}
SPARK_TYPES = {
    BOOLEAN: "BOOLEAN",
    INTEGER: "BIGINT",
    NUMBER: "DOUBLE",
    TEXT: "STRING",
    DATE: "DATE",
    LOCAL: "TIMESTAMP_NTZ",
    INSTANT: "TIMESTAMP",
}


@dataclass(frozen=True)
class Typed:
    """A tree of Spark SQL with the kind of its value."""

    tree: exp.Expr
    kind: Kind


def list_of(kind: Kind) -> Kind:
    """The kind of a list."""
    return Kind("list", (kind,))


def call(name: str, *arguments: exp.Expr) -> exp.Expr:
    """A call of a Spark function, by exactly this name."""
    return exp.Anonymous(this=name, expressions=list(arguments))


def binary(kind: type[exp.Binary], left: exp.Expr, right: exp.Expr) -> exp.Expr:
    """An operator over two trees, with the parentheses that it needs."""
    return kind(this=closed(left), expression=closed(right))


def closed(tree: exp.Expr) -> exp.Expr:
    """A tree that can stand beside any operator."""
    loose = (exp.Binary, exp.Unary, exp.Between, exp.In)
    if isinstance(tree, loose) and not isinstance(tree, exp.Paren | exp.Dot):
        return exp.Paren(this=tree)
    return tree


def cast(tree: exp.Expr, spark_type: str, *, safe: bool = False) -> exp.Expr:
    """A cast to a type of Spark's, written as it is; a safe one gives null where it fails."""
    if safe:
        return exp.TryCast(this=tree, to=_type(spark_type), safe=True)
    return exp.Cast(this=tree, to=_type(spark_type))


@lru_cache(maxsize=64)
def _type(spark_type: str) -> exp.DataType:
    return exp.DataType.from_str(spark_type, dialect="spark")


def double(value: float) -> exp.Expr:
    """A floating-point literal; one without D would be a decimal."""
    if math.isfinite(value):
        return exp.Literal.number(f"{float(value)!r}D")
    return cast(exp.Literal.string(_NOT_FINITE[str(value)]), "DOUBLE")


def number(value: int) -> exp.Expr:
    """A whole literal."""
    tree: exp.Expr = exp.Literal.number(value)
    return tree


def text(value: str) -> exp.Expr:
    """A text literal."""
    return exp.Literal.string(value)


def null(kind: Kind) -> exp.Expr:
    """A null of a kind."""
    return cast(exp.null(), SPARK_TYPES.get(kind, "STRING"))


def either(*cases: tuple[exp.Expr, exp.Expr], otherwise: exp.Expr | None = None) -> exp.Expr:
    """CASE WHEN … THEN … ELSE … END."""
    return exp.Case(
        ifs=[exp.If(this=when, true=then) for when, then in cases],
        default=otherwise,
    )


def bound(value: exp.Expr, body: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    """`body` of a value that it names several times; a large value is evaluated once.

    Spark has no LET: the one element of an array is transformed instead.
    """
    if sum(1 for _ in value.walk()) <= INLINE:
        return body(value)
    name = exp.to_identifier(f"v{_depth(value)}")
    made = exp.Lambda(this=body(exp.column(name.copy())), expressions=[name])
    return call("element_at", call("transform", call("array", value), made), number(1))


def failure(words: str, value: exp.Expr) -> exp.Expr:
    """An error that ends the query, naming a value."""
    shown = call("coalesce", cast(value, "STRING"), text("null"))
    return call("raise_error", call("concat", text(f"{words}: "), shown))


def require(found: Typed, allowed: Sequence[Kind], what: str) -> Typed:
    """The value, if it is of one of these kinds or null."""
    if found.kind in allowed or found.kind is NULL:
        return found
    raise NotOnSpark(f"{what} of a {found.kind.name}", "Cast the value first")


def as_double(found: Typed) -> exp.Expr:
    """A number as floating point."""
    return found.tree if found.kind is NUMBER else cast(found.tree, "DOUBLE")


def common(found: Sequence[Typed], what: str) -> Kind:
    """The kind in which values meet, as both engines choose it."""
    kinds = {each.kind for each in found} - {NULL}
    if not kinds:
        return NULL
    if len(kinds) == 1:
        return next(iter(kinds))
    for allowed, order in (
        (NUMERIC, (NUMBER, DECIMAL, INTEGER)),
        (MOMENTS, (INSTANT, LOCAL, DATE)),
    ):
        if kinds <= set(allowed):
            return next(kind for kind in order if kind in kinds)
    names = " and ".join(sorted(kind.name for kind in kinds))
    raise NotOnSpark(f"{what} of {names}", "Cast them to one type")


def _depth(value: exp.Expr) -> int:
    """How many bindings are nested in a value: each has a name of its own."""
    return sum(1 for _ in value.find_all(exp.Lambda))
