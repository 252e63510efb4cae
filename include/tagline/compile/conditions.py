"""Conditions of statistics: each is computed once a row, and what all share bounds the scan."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from tagline.compile.instant import sql

_SKIP_NULL = (
    exp.Count, exp.Sum, exp.Avg, exp.Min, exp.Max, exp.Median, exp.Stddev, exp.StddevSamp,
    exp.StddevPop, exp.LogicalOr, exp.LogicalAnd,
)  # fmt: skip


class Conditions:
    """The conditions of several statistics over the rows of one scan.

    Given as conjuncts per statistic. `common` are those that every statistic has: they belong
    under the scan, since a customer without such rows has the values of one without rows.
    """

    def __init__(self, conjuncts: Sequence[Sequence[exp.Expr]]) -> None:
        self._texts = [dict.fromkeys(map(sql, parts)) for parts in conjuncts]
        nodes = {sql(part): part for parts in conjuncts for part in parts}
        shared = [text for text in nodes if all(text in texts for texts in self._texts)]
        self.common = [nodes[text] for text in shared]
        self._names: dict[str, str] = {}

    def require(self, condition: exp.Expr) -> None:
        """Put a condition under the scan that all of the statistics imply."""
        if condition not in self.common:
            self.common.insert(0, condition)

    def masks(self) -> list[exp.Expr | None]:
        """What is left to test for each statistic: a boolean column, None for all rows."""
        under = set(map(sql, self.common))
        found: list[exp.Expr | None] = []
        for texts in self._texts:
            left = " AND ".join(text for text in texts if text not in under)
            if left:
                name = self._names.setdefault(left, f"condition_{len(self._names) + 1}")
            found.append(exp.column(name, table="r") if left else None)
        return found

    def shown(self) -> list[str]:
        """The columns that `masks` names."""
        return [f"{text} AS {name}" for text, name in self._names.items()]


def split(condition: exp.Expr) -> list[exp.Expr]:
    """The conjuncts of a condition, each safe to join with AND.

    >>> import sqlglot
    >>> [sql(part) for part in split(sqlglot.parse_one("a = 1 AND (b OR c) AND (d AND e)"))]
    ['a = 1', '(b OR c)', 'd', 'e']
    """
    bare = condition.unnest()
    if isinstance(bare, exp.And):
        return [*split(bare.left), *split(bare.right)]
    return [exp.paren(bare) if isinstance(bare, exp.Connector) else bare]


def restricted(tree: exp.Expr, condition: exp.Expr | None) -> exp.Expr:
    """Every aggregate of an expression over the rows alone that meet the condition.

    Most aggregates skip nulls, and engines take CASE faster than FILTER: with a FILTER, a
    COUNT(DISTINCT) keeps the rows that are filtered out, too.
    """
    if condition is None:
        return tree

    def restrict(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.AggFunc) or isinstance(node.parent, exp.Filter):
            return node
        if not isinstance(node, _SKIP_NULL):
            return exp.Filter(this=node.copy(), expression=exp.Where(this=condition.copy()))
        inner = node.this
        if isinstance(inner, exp.Distinct):
            inner.set("expressions", [_where(condition, each) for each in inner.expressions])
        elif isinstance(inner, exp.Star):
            node.set("this", _where(condition, exp.Literal.number(1)))
        else:
            node.set("this", _where(condition, inner))
        return node

    changed: exp.Expr = tree.copy().transform(restrict, copy=False)
    return changed


def _where(condition: exp.Expr, value: exp.Expr) -> exp.Case:
    return exp.Case(ifs=[exp.If(this=condition.copy(), true=value.copy())])
