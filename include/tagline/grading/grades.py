"""A policy's grade and what goes with it, as expressions over tags and the release before.

A grade is a place among the policy's grades, 0 for the best, while it is worked out. The parts
of the grade, hidden columns of the wide row, are

- `__points`: the place that today's points give,
- `__limit_0`, `__limit_1` …: whether each limit holds,
- `__limit`: the best place that the limits allow, 0 where none holds,
- `__today`: the worse of the two, which is the grade of whoever has no past,
- `__was`: the place in the release before; null without one, or where it was none of these,
- `__wish`: `__was` while the points are within the margin of it, else `__today`,
- `__now`: the grade: `__wish`, unless the grade has to stay; what a limit allows that strikes
  while it has to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlglot import exp

from tagline.definitions.grading import Grading, Held, Input
from tagline.definitions.types import DataType
from tagline.grading import trees
from tagline.grading.points import given, lost, weights
from tagline.grading.trees import Arm, binary, name, number, previous

POINTS, LIMIT, TODAY, WAS, WISH, NOW = (
    "__points", "__limit", "__today", "__was", "__wish", "__now",
)  # fmt: skip


def holds(condition: Held, kind: DataType) -> exp.Expr:
    """Whether a limit holds, or a special tag calls for care; null of a tag without a value."""
    value = name(condition.tag)
    if kind is DataType.BOOLEAN:
        return value
    if condition.from_ is not None:
        return binary(exp.GTE, value, trees.amount(condition.from_))
    if condition.below is not None:
        return binary(exp.LT, value, trees.amount(condition.below))
    raise ValueError(f"{condition.tag} is {kind.value} and has neither 'from' nor 'below'")


def grade_parts(
    policy: str, grading: Grading, kinds: Mapping[str, DataType]
) -> dict[str, exp.Expr]:
    """The hidden parts of the grade, in an order in which each reads only those before it."""
    points = name(f"{policy}_points")
    margin = trees.amount(grading.hysteresis.margin)
    up = _place_of(grading, binary(exp.Add, points, margin))
    down = _place_of(grading, binary(exp.Sub, points, margin))
    limit, today, was = name(LIMIT), name(TODAY), name(WAS)
    within = exp.and_(
        binary(exp.GTE, was, trees.greatest(up, limit)),
        binary(exp.LTE, was, trees.greatest(down, limit)),
    )
    places = {at: place(grading, each.at_best) for at, each in enumerate(grading.limits)}
    capped: list[Arm] = [
        (name(f"{LIMIT}_{at}"), number(places[at]))
        for at in sorted(places, key=lambda n: -places[n])
    ]
    return {
        POINTS: _place_of(grading, points),
        **{
            f"{LIMIT}_{at}": trees.coalesce(holds(each, kinds[each.tag]), exp.false())
            for at, each in enumerate(grading.limits)
        },
        LIMIT: trees.case(capped, number(0)),
        TODAY: trees.greatest(name(POINTS), limit),
        WAS: _place_in(grading, previous(policy)),
        WISH: trees.case([(within, was)], today),
        NOW: _now(policy, grading),
    }


def grade(grading: Grading) -> exp.Expr:
    """The grade by its name."""
    last = len(grading.grades) - 1
    named: list[Arm] = [
        (binary(exp.EQ, name(NOW), number(at)), trees.text(each.grade))
        for at, each in enumerate(grading.grades[:last])
    ]
    return trees.case(named, trees.text(grading.grades[last].grade))


def _now(policy: str, grading: Grading) -> exp.Expr:
    """What is wished, unless the grade has to stay; a limit may strike within the stay.

    Then the limit alone gives the grade: points that would give a worse one wait. It may not
    strike where it would take back a change that was made within the stay, or where the policy
    lets limits wait.
    """
    today, was, wish, limit = name(TODAY), name(WAS), name(WISH), name(LIMIT)
    arms: list[Arm] = [(trees.is_null(was), today), (binary(exp.EQ, wish, was), was)]
    if days := grading.hysteresis.stay.days:
        since, left = previous(f"{policy}_since"), previous(f"{policy}_before")
        held = exp.DateDiff(this=name("as_of"), expression=since, unit=exp.Literal.string("day"))
        stays = exp.and_(trees.known(left), binary(exp.LT, held, number(days)))
        place = was
        if grading.hysteresis.limits == "at_once":
            back = trees.coalesce(binary(exp.GTE, _place_in(grading, left), limit), exp.false())
            strikes = exp.and_(binary(exp.GT, limit, was), exp.Not(this=back))
            place = trees.case([(strikes, limit)], was)
        arms.append((stays, place))
    return trees.case(arms, wish)


def since(policy: str) -> exp.Expr:
    """The business day of the first release with the present grade."""
    day = exp.cast(name("as_of"), "DATE")
    return trees.case([(_unchanged(policy), trees.coalesce(previous(f"{policy}_since"), day))], day)


def before(policy: str) -> exp.Expr:
    """The grade before the present one; null until it has changed."""
    return trees.case([(_unchanged(policy), previous(f"{policy}_before"))], previous(policy))


def care_parts(grading: Grading, kinds: Mapping[str, DataType]) -> dict[str, exp.Expr]:
    """Whether each special tag calls for care, as hidden columns `__<tag>`."""
    return {
        f"__{each.tag}": trees.coalesce(holds(each, kinds[each.tag]), exp.false())
        for each in grading.special
    }


def care(grading: Grading) -> exp.Expr:
    """Whether a special tag calls for care."""
    return exp.or_(*(name(f"__{each.tag}") for each in grading.special))


def kept(policy: str) -> exp.Expr:
    """Whether the grade is that of the release before and not what today's tags give."""
    now = name(policy + NOW)
    return exp.and_(
        binary(exp.NEQ, now, name(policy + TODAY)), binary(exp.EQ, now, name(policy + WAS))
    )


def deciding(policy: str, grading: Grading) -> dict[str, exp.Expr]:
    """For each tag, whether it decides the grade that today's tags give: limits first, then inputs.

    Within a stay that is what a limit allows that strikes, and the points decide nothing. A limit
    decides that holds and allows no better. Where the points give the grade, those inputs decide
    it without whose points it would be worse (the fewest, by points), and those with whose lost
    points it would be better.
    """
    by_points = name(policy + POINTS)
    decided = trees.case([(kept(policy), name(policy + TODAY))], name(policy + NOW))
    found: dict[str, list[exp.Expr]] = {}
    for at, limit in enumerate(grading.limits):
        best = number(place(grading, limit.at_best))
        here = exp.and_(name(f"{policy}{LIMIT}_{at}"), binary(exp.EQ, decided, best))
        found.setdefault(limit.tag, []).append(here)
    part = {each.tag: f"{policy}_points__{each.tag}" for each in grading.inputs}
    weight = weights(grading.inputs, part)
    own = binary(exp.EQ, decided, by_points)
    last = len(grading.grades) - 1
    lower = [
        (binary(exp.EQ, by_points, number(at)), trees.amount(each.from_ or 0))
        for at, each in enumerate(grading.grades[:last])
    ]
    upper = [
        (binary(exp.EQ, by_points, number(at + 1)), trees.amount(each.from_ or 0))
        for at, each in enumerate(grading.grades[:last])
    ]
    gains = [_weighed(each, given(each, part)) for each in grading.inputs]
    losses = [_weighed(each, lost(each, part)) for each in grading.inputs]
    # of the inputs, not of their mean: a rounded mean may lie just beside a border
    whole = trees.total(gains)
    room = binary(exp.Sub, whole, binary(exp.Mul, trees.case(lower), weight))
    gap = binary(exp.Sub, binary(exp.Mul, trees.case(upper), weight), whole)
    for index, each in enumerate(grading.inputs):
        carries = exp.and_(
            binary(exp.GT, gains[index], number(0)),
            binary(exp.LTE, _ahead(gains, index), room),
        )
        costs = exp.and_(
            binary(exp.GT, losses[index], number(0)),
            binary(exp.LT, _ahead(losses, index), gap),
        )
        decides = exp.and_(own, exp.Paren(this=trees.either([carries, costs])))
        found.setdefault(each.tag, []).append(decides)
    return {tag: trees.either(conditions) for tag, conditions in found.items()}


def place(grading: Grading, value: str) -> int:
    """Where a grade stands among those of the policy, 0 for the best."""
    return [each.grade for each in grading.grades].index(value)


def _place_of(grading: Grading, points: exp.Expr) -> exp.Expr:
    """The place that points give."""
    last = len(grading.grades) - 1
    arms: list[Arm] = [
        (binary(exp.GTE, points, trees.amount(each.from_ or 0)), number(at))
        for at, each in enumerate(grading.grades[:last])
    ]
    return trees.case(arms, number(last))


def _place_in(grading: Grading, value: exp.Expr) -> exp.Expr:
    """The place of a grade given by its name; null of any other."""
    arms: list[Arm] = [
        (binary(exp.EQ, value, trees.text(each.grade)), number(at))
        for at, each in enumerate(grading.grades)
    ]
    return trees.case(arms)


def _unchanged(policy: str) -> exp.Expr:
    return binary(exp.EQ, name(policy), previous(policy))


def _weighed(each: Input, points: exp.Expr) -> exp.Expr:
    return binary(exp.Mul, number(each.weight), points)


def _ahead(amounts: Sequence[exp.Expr], index: int) -> exp.Expr:
    """The sum of the amounts that come before one, the greatest first, ties by their order."""
    own = amounts[index]
    return trees.total(
        trees.case(
            [(binary(exp.GTE if at < index else exp.GT, each, own), each)],
            number(0),
        )
        for at, each in enumerate(amounts)
        if at != index
    )
