"""The points of a score: what each input gives, and their mean, as expressions over tags.

Each input's points rise or fall with its tag and never turn, and the mean rises with each input's
points; so a score is monotone in every tag, all others being equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlglot import exp

from tagline.definitions.grading import LEFT_OUT, Input, ScoreInput
from tagline.definitions.types import DataType
from tagline.grading import trees
from tagline.grading.trees import Arm, binary, number

MOST = 100


def is_rising(each: ScoreInput, polarity: str | None) -> bool:
    """Whether more of the tag is better, by the input itself or by the tag's polarity."""
    return each.best == "high" if each.best is not None else polarity == "positive"


def input_points(each: Input, kind: DataType, *, rising: bool) -> exp.Expr:
    """The points of an input from 0 to 100; null where its tag has no value and is left out.

    `rising` says that more of the tag is better; `kind` is the tag's type.
    """
    value = trees.name(each.tag)
    missing = exp.null() if each.missing == LEFT_OUT else number(float(each.missing))
    unknown: Arm = (trees.is_null(value), missing)
    none, full = (number(0), number(MOST)) if rising else (number(MOST), number(0))
    if kind is DataType.BOOLEAN:
        return trees.case([unknown, (value, full)], none)
    if each.between is not None:
        worst, best = trees.amount(each.between.worst), trees.amount(each.between.best)
        risen = binary(exp.Sub, trees.double(value), worst)
        part = binary(exp.Div, binary(exp.Mul, number(MOST), risen), binary(exp.Sub, best, worst))
        bounded = trees.greatest(number(0), trees.least(number(MOST), part))
        return trees.case([unknown], bounded)
    reached: list[Arm] = [
        (binary(exp.GTE, value, trees.amount(step.from_)), number(step.points))
        for step in reversed(each.steps)
    ]
    return trees.case([unknown, *reached], none)


def mean(inputs: Sequence[Input], part: Mapping[str, str]) -> exp.Expr:
    """The mean of the inputs' points by weight; `part` names the column of each tag's points.

    It is null where every input is left out.
    """
    points = [binary(exp.Mul, number(each.weight), given(each, part)) for each in inputs]
    summed = trees.double(trees.total(points))
    found = trees.least(number(MOST), binary(exp.Div, summed, weights(inputs, part)))
    if any(each.missing != LEFT_OUT for each in inputs):
        return found
    nothing = exp.and_(*(trees.is_null(trees.name(part[each.tag])) for each in inputs))
    return trees.case([(exp.Not(this=exp.Paren(this=nothing)), found)])


def given(each: Input, part: Mapping[str, str]) -> exp.Expr:
    """An input's points; 0 where it is left out."""
    points = trees.name(part[each.tag])
    return trees.coalesce(points, number(0)) if each.missing == LEFT_OUT else points


def lost(each: Input, part: Mapping[str, str]) -> exp.Expr:
    """What an input lacks to 100 points; 0 where it is left out."""
    lacking = binary(exp.Sub, number(MOST), trees.name(part[each.tag]))
    return trees.coalesce(lacking, number(0)) if each.missing == LEFT_OUT else lacking


def weights(inputs: Sequence[Input], part: Mapping[str, str]) -> exp.Expr:
    """The sum of the weights that count; null where every input is left out."""
    always = sum(each.weight for each in inputs if each.missing != LEFT_OUT)
    counted = [
        trees.case([(trees.is_null(trees.name(part[each.tag])), number(0))], number(each.weight))
        for each in inputs
        if each.missing == LEFT_OUT
    ]
    if not counted:
        return number(always)
    summed = trees.total([*([number(always)] if always else []), *counted])
    return summed if always else exp.Nullif(this=summed, expression=number(0))
