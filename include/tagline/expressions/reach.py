"""Which conditions of a list can be the first that is true, decided without any data.

What is called unreachable is so for all data; the reverse does not hold, since a value that is
made by a function may be anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

from sqlglot import exp

from tagline.definitions.types import DataType
from tagline.expressions.assignments import Assignments
from tagline.expressions.parse import Expression

MOST_ASSIGNMENTS = 1 << 16


@dataclass(frozen=True)
class Unreachable:
    """A condition that is never the first to be true; `index` counts from 0.

    `index` is the number of conditions for what comes after all of them.
    """

    index: int
    reason: str


def unreachable(
    conditions: Sequence[Expression], types: Mapping[str, DataType]
) -> tuple[Unreachable, ...]:
    """The conditions that no values of the names in `types` can reach, with the reason."""
    trees = [_plain(condition.tree) for condition in conditions]
    found = []
    for index in range(len(trees) + 1):
        reason = _reason(trees, index, types)
        if reason is not None:
            found.append(Unreachable(index, reason))
    return tuple(found)


def _reason(trees: Sequence[exp.Expr], index: int, types: Mapping[str, DataType]) -> str | None:
    """Why a condition is never the first to be true; None where it may be."""
    last = index == len(trees)
    itself: exp.Expr = exp.true() if last else trees[index]
    reachable = _can_hold(itself, trees[:index], types)
    if reachable:
        return None
    if _can_hold(itself, (), types) is False:
        return "its condition is never true"
    for number, earlier in enumerate(trees[:index], start=1):
        if _can_hold(itself, (earlier,), types) is False:
            return f"case {number} holds " + ("always" if last else "whenever it would")
    return None if reachable is None else "one of the cases before it always holds"


def _can_hold(
    condition: exp.Expr, before: Sequence[exp.Expr], types: Mapping[str, DataType]
) -> bool | None:
    """Whether `condition` may be true where none of `before` is; None where that is too much."""
    table = Assignments(types)
    for tree in (condition, *before):
        table.note(tree)
    if table.size() > MOST_ASSIGNMENTS:
        return None
    held = reduce(or_, (table.truth(tree).true for tree in before), 0)
    return bool(table.truth(condition).true & ~held)


def _plain(tree: exp.Expr) -> exp.Expr:
    """A condition without parentheses, `between` and `in`, so that few forms are left."""

    def simpler(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Paren):
            inner: exp.Expr = node.this
            return inner
        if isinstance(node, exp.Between) and not node.args.get("symmetric"):
            low = exp.GTE(this=node.this.copy(), expression=node.args["low"])
            high = exp.LTE(this=node.this.copy(), expression=node.args["high"])
            return exp.And(this=low, expression=high)
        if isinstance(node, exp.In) and node.expressions:
            each: list[exp.Expr] = [
                exp.EQ(this=node.this.copy(), expression=option.copy())
                for option in node.expressions
            ]
            return _either(each)
        return node

    return _upwards(tree.copy(), simpler)


def _either(conditions: list[exp.Expr]) -> exp.Expr:
    """One of these holds; a long list is no deeper than a balanced tree of them."""
    if len(conditions) == 1:
        return conditions[0]
    middle = len(conditions) // 2
    left, right = _either(conditions[:middle]), _either(conditions[middle:])
    return exp.Or(this=left, expression=right)


def _upwards(node: exp.Expr, change: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    for child in list(node.iter_expressions()):
        changed = _upwards(child, change)
        if changed is not child:
            child.replace(changed)
    return change(node)
