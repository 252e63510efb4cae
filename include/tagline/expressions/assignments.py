"""Conditions as truth tables over few places of each value that they compare.

The places are the constants that a value is compared with, the gaps between those, and null.
What is no comparison is a value of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import reduce
from itertools import accumulate
from operator import or_
from typing import Any

from sqlglot import exp

from tagline.definitions.types import DataType
from tagline.expressions.parse import is_standard

MOST_DIGITS = 15  # a longer number may be another one in the engine

_HOLDS: Mapping[type[exp.Expr], Callable[[int, int], bool]] = {
    exp.EQ: lambda left, right: left == right,
    exp.NEQ: lambda left, right: left != right,
    exp.GT: lambda left, right: left > right,
    exp.GTE: lambda left, right: left >= right,
    exp.LT: lambda left, right: left < right,
    exp.LTE: lambda left, right: left <= right,
}


@dataclass(frozen=True)
class Truth:
    """The sets of assignments, as bits, in which a condition is true and false; else unknown."""

    true: int
    false: int


@dataclass
class _Group:
    """Values that are compared with each other, and the constants that they are compared with."""

    values: list[str] = field(default_factory=list)
    constants: set[Any] = field(default_factory=set)
    whole: bool = True  # all of them are whole numbers, so a gap may be empty
    is_truth: bool = False  # they are true or false, which have no gaps

    def join(self, other: _Group) -> None:
        """Take in another group."""
        self.values += other.values
        self.constants |= other.constants
        self.whole &= other.whole
        self.is_truth |= other.is_truth

    def positions(self) -> dict[Any, int]:
        """The place of each constant; between two of them lie places for all values."""
        if self.is_truth:
            return {False: 0, True: 1}
        places, place = {}, 0
        last: Any = None
        for constant in sorted(self.constants):
            place += self._between(last, constant)
            places[constant] = place
            place, last = place + 1, constant
        return places

    def size(self) -> int:
        """The number of places."""
        if self.is_truth:
            return 2
        return max(self.positions().values(), default=-1) + 1 + len(self.values)

    def _between(self, low: Any, high: Any) -> int:
        if low is not None and self.whole and isinstance(high, Decimal):
            return min(len(self.values), int(high - low) - 1)
        return len(self.values)


class Assignments:
    """The assignments of places, or null, to all values that some conditions compare."""

    def __init__(self, types: Mapping[str, DataType]) -> None:
        self.types = types
        self.groups: dict[str, _Group] = {}  # by value
        self.required: set[str] = set()  # values that are never null
        self._masks: dict[str, list[int]] | None = None
        self._places: dict[int, dict[Any, int]] = {}  # of each group, once all is noted
        self._sums: dict[str, list[int]] = {}
        self._all = 0

    # Which values there are

    def note(self, tree: exp.Expr) -> None:
        """Learn the values and constants of a condition."""
        match tree:
            case exp.And() | exp.Or():
                self.note(tree.left)
                self.note(tree.right)
            case exp.Not():
                self.note(tree.this)
            case exp.Boolean() | exp.Null():
                pass
            case exp.Is() if not isinstance(tree.expression, exp.Null):
                self.note(tree.this)
            case exp.Is() if _is_condition(tree.this):
                self.note(tree.this)
            case exp.Is():
                self._value(tree.this)
            case _ if (sides := self._sides(tree)) is not None:
                self._compared(*sides)
            case _:
                self._truth_value(tree)

    def _compared(self, left: exp.Expr, right: exp.Expr) -> None:
        if isinstance(left, exp.Null) or isinstance(right, exp.Null):
            return
        groups = [self._group(side) for side in (left, right)]
        merged = groups[0]
        if groups[1] is not merged:
            merged.join(groups[1])
            for name in merged.values:
                self.groups[name] = merged

    def _group(self, side: exp.Expr) -> _Group:
        constant = _constant(side)
        if constant is None:
            return self._value(side)
        if isinstance(constant, bool):
            return _Group(is_truth=True)
        is_whole = isinstance(constant, Decimal) and constant == constant.to_integral_value()
        return _Group(constants={constant}, whole=is_whole)

    def _value(self, node: exp.Expr) -> _Group:
        name = _name(node)
        if name not in self.groups:
            kind = self.types.get(name)
            whole = isinstance(node, exp.Column) and kind is DataType.INTEGER
            self.groups[name] = _Group([name], whole=whole, is_truth=kind is DataType.BOOLEAN)
            if is_standard(node) or name == "as_of":
                self.required.add(name)
        return self.groups[name]

    def _truth_value(self, node: exp.Expr) -> None:
        self._value(node).is_truth = True

    def _sides(self, tree: exp.Expr) -> tuple[exp.Expr, exp.Expr] | None:
        """Both sides of a comparison whose outcome depends on their order alone."""
        if not isinstance(tree, exp.Binary) or type(tree) not in _HOLDS:
            return None
        sides = (tree.left, tree.right)
        literals = [side for side in sides if _is_literal(side)]
        if any(_constant(side) is None for side in literals if not isinstance(side, exp.Null)):
            return None
        return sides

    # What holds where

    def size(self) -> int:
        """The number of assignments."""
        return math.prod(self._choices(name) for name in self.groups)

    def _choices(self, name: str) -> int:
        return self.groups[name].size() + (name not in self.required)

    def truth(self, tree: exp.Expr) -> Truth:
        """Where a condition that was noted is true and false."""
        everywhere = self._everywhere()
        match tree:
            case exp.Boolean():
                return Truth(everywhere, 0) if tree.this else Truth(0, everywhere)
            case exp.Null():
                return Truth(0, 0)
            case exp.Not():
                inner = self.truth(tree.this)
                return Truth(inner.false, inner.true)
            case exp.And() | exp.Or():
                left, right = self.truth(tree.left), self.truth(tree.right)
                if isinstance(tree, exp.And):
                    return Truth(left.true & right.true, left.false | right.false)
                return Truth(left.true | right.true, left.false & right.false)
            case exp.Is():
                return self._is(tree)
            case _ if (sides := self._sides(tree)) is not None:
                return self._comparison(_HOLDS[type(tree)], *sides)
        false, true = self._known(tree)
        return Truth(true, false)

    def _is(self, tree: exp.Is) -> Truth:
        everywhere = self._everywhere()
        if isinstance(tree.expression, exp.Null) and not _is_condition(tree.this):
            known = reduce(or_, self._known(tree.this), 0)
            return Truth(everywhere & ~known, known)
        inner = self.truth(tree.this)
        if isinstance(tree.expression, exp.Null):
            holds = everywhere & ~(inner.true | inner.false)
        else:
            holds = inner.true if tree.expression.this else inner.false
        return Truth(holds, everywhere & ~holds)

    def _comparison(
        self, holds: Callable[[int, int], bool], left: exp.Expr, right: exp.Expr
    ) -> Truth:
        if isinstance(left, exp.Null) or isinstance(right, exp.Null):
            return Truth(0, 0)
        group = self._group_of(left, right)
        if group is None:  # two constants
            one, other = _constant(left), _constant(right)
            ordered = holds((one > other) - (one < other), 0)
            everywhere = self._everywhere()
            return Truth(everywhere, 0) if ordered else Truth(0, everywhere)
        places = self._places.get(id(group))
        if places is None:
            places = self._places[id(group)] = group.positions()
        if _constant(right) is not None:  # one place on the left is quicker than many

            def turned(second: int, first: int) -> bool:
                return holds(first, second)

            return self._orders(turned, right, left, places)
        return self._orders(holds, left, right, places)

    def _orders(
        self,
        holds: Callable[[int, int], bool],
        left: exp.Expr,
        right: exp.Expr,
        places: Mapping[Any, int],
    ) -> Truth:
        true = false = 0
        sums = self._up_to(right)
        for place, where in self._at(left, places).items():
            below, up_to = sums[place], sums[place + 1]
            for order, there in ((-1, below), (0, up_to ^ below), (1, sums[-1] ^ up_to)):
                if holds(0, order):
                    true |= where & there
                else:
                    false |= where & there
        return Truth(true, false)

    def _group_of(self, *sides: exp.Expr) -> _Group | None:
        found = (self.groups.get(_name(side)) for side in sides if _constant(side) is None)
        return next(found, None)

    def _at(self, side: exp.Expr, places: Mapping[Any, int]) -> dict[int, int]:
        """The places of a side, each with the assignments in which it is there."""
        constant = _constant(side)
        if constant is not None:
            return {places[constant]: self._everywhere()}
        return dict(enumerate(self._known(side)))

    def _known(self, node: exp.Expr) -> list[int]:
        """The assignments in which a value is at each of its places; not those where it is null."""
        self._everywhere()
        assert self._masks is not None
        return self._masks[_name(node)]

    def _up_to(self, node: exp.Expr) -> list[int]:
        """The assignments in which a value is below each of its places, and at any of them."""
        name = _name(node)
        if name not in self._sums:
            self._sums[name] = list(accumulate(self._known(node), or_, initial=0))
        return self._sums[name]

    def _everywhere(self) -> int:
        """All assignments; numbers them when first asked."""
        if self._masks is None:
            self._masks = {}
            stride, size = 1, self.size()
            self._all = (1 << size) - 1
            for name in self.groups:
                choices = self._choices(name)
                period = stride * choices
                repeat = self._all // ((1 << period) - 1)
                known = choices - (name not in self.required)
                block = (1 << stride) - 1
                self._masks[name] = [(block << stride * at) * repeat for at in range(known)]
                stride = period
        return self._all


def _is_condition(node: exp.Expr) -> bool:
    """Whether a node is made of conditions or comparisons rather than a value of its own."""
    known: tuple[type, ...] = (exp.And, exp.Or, exp.Not, exp.Is, exp.Boolean, exp.Null, *_HOLDS)
    return isinstance(node, known)


def _is_literal(node: exp.Expr) -> bool:
    inner = node.this if isinstance(node, exp.Neg) else node
    return isinstance(inner, exp.Literal | exp.Boolean | exp.Null)


def _constant(node: exp.Expr) -> Any:
    """The number, text or truth value of a constant; None for all else."""
    if isinstance(node, exp.Boolean):
        return bool(node.this)
    negative = isinstance(node, exp.Neg)
    literal = node.this if negative else node
    if not isinstance(literal, exp.Literal):
        return None
    text = str(literal.this)
    if literal.is_string:
        return None if negative else text
    number = Decimal(text)
    if number and not -MOST_DIGITS <= number.normalize().adjusted() <= MOST_DIGITS:
        return None
    if len(number.normalize().as_tuple().digits) > MOST_DIGITS:
        return None
    return -number if negative else number


def _name(node: exp.Expr) -> str:
    """What is the same for the same value."""
    if isinstance(node, exp.Column):
        return f"{node.table}.{node.name}" if node.table else node.name
    return node.sql(dialect="duckdb", comments=False)
