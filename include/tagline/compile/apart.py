"""Whether a derived table can be made for some customers without the rows of all others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlglot import exp

from tagline.catalog import Catalog

_CUT = ("limit", "offset", "sample")  # rows of one customer may push out those of another


def keeps_customers_apart(catalog: Catalog, table: str) -> bool:
    """Whether each row of a derived table is made of rows of one customer, and says of whom.

    It is, if every step of its SQL that brings rows together does so by the customer's key:
    GROUP BY, PARTITION BY, and joins of tables that have the key. What cannot be seen to be so
    is not: such a table is made of whole tables, which costs more and is always right.
    """
    key = catalog.tables[table].customer
    sources = catalog.derived[table].tables
    keyed = {name for name in sources if catalog.tables[name].customer is not None}
    if key is None or not keyed or keyed & {*catalog.derived}:
        return False
    if any(catalog.tables[name].customer != key for name in keyed):
        return False
    return _Steps(key, keyed).apart(catalog.derived[table].tree)


class _Steps:
    """The steps of a query; `keyed` are the tables and CTEs that have customers' rows."""

    def __init__(self, key: str, keyed: set[str]) -> None:
        self.key = key
        self.keyed = keyed

    def apart(self, query: exp.Expr) -> bool:
        """Whether a query keeps customers apart, and returns the key if it reads their rows."""
        if query.args.get("with_") and query.args["with_"].args.get("recursive"):
            return False
        if any(query.args.get(part) for part in _CUT) and self._of_customers(query):
            return False
        for cte in _ctes(query):
            if not self.apart(cte.this):
                return False
            if self._of_customers(cte.this):
                self.keyed.add(cte.alias)
        if isinstance(query, exp.Subquery):
            return self.apart(query.this)
        if isinstance(query, exp.Union):
            return self.apart(query.this) and self.apart(query.expression)
        return isinstance(query, exp.Select) and self._select(query)

    def _of_customers(self, query: exp.Expr) -> bool:
        return any(table.name in self.keyed for table in query.find_all(exp.Table))

    def _select(self, select: exp.Select) -> bool:
        start, joins = select.args.get("from_"), select.args.get("joins") or []
        sources = [start.this, *(join.this for join in joins)] if start else []
        nested = [each for each in sources if isinstance(each, exp.Subquery)]
        known = [*nested, *(cte.this for cte in _ctes(select))]
        if _queries(select) - 1 != sum(map(_queries, known)):
            return False  # a query within an expression may look at any row
        if not all(isinstance(each, exp.Table | exp.Subquery) for each in sources):
            return False
        if not all(self.apart(each) for each in nested):
            return False
        if not any(self._of_customers(each) for each in sources):
            return True
        shown = select.is_star or self._has_key(select.selects)
        return shown and self._joins_by_key(sources, joins) and self._groups_by_key(select)

    def _joins_by_key(self, sources: list[exp.Expr], joins: list[exp.Join]) -> bool:
        first, *others = [self._of_customers(each) for each in sources]
        if first + sum(others) < 2:
            return True
        return first and all(
            any(self._is_same_key(part) for part in _conditions(join)) or not keyed
            for join, keyed in zip(joins, others, strict=True)
        )

    def _is_same_key(self, condition: exp.Expr) -> bool:
        if isinstance(condition, exp.Identifier):  # of USING
            return condition.name == self.key
        return isinstance(condition, exp.EQ) and all(
            self._is_key(side) for side in (condition.left, condition.right)
        )

    def _groups_by_key(self, select: exp.Select) -> bool:
        own = list(select.walk(prune=lambda node: node is not select and _is_query(node)))
        windows = [node for node in own if isinstance(node, exp.Window)]
        unnamed = [window for window in windows if not window.args.get("alias")]
        if not all(self._has_key(window.args.get("partition_by") or ()) for window in unnamed):
            return False
        distinct, group = select.args.get("distinct"), select.args.get("group")
        if distinct is not None and distinct.args.get("on"):
            return False
        if group is not None:
            return bool(group.args.get("all")) or self._has_key(group.expressions)
        return all(_is_windowed(node) for node in own if isinstance(node, exp.AggFunc))

    def _has_key(self, expressions: Iterable[exp.Expr]) -> bool:
        return any(self._is_key(each) for each in expressions)

    def _is_key(self, expression: exp.Expr) -> bool:
        return isinstance(expression, exp.Column) and expression.name == self.key


def _is_query(node: exp.Expr) -> bool:
    return isinstance(node, exp.Query | exp.CTE)


def _queries(node: exp.Expr) -> int:
    return len(list(node.find_all(exp.Query)))


def _ctes(query: exp.Expr) -> list[exp.CTE]:
    found = query.args.get("with_")
    return list(found.expressions) if found else []


def _conditions(join: exp.Join) -> Iterator[exp.Expr]:
    """What must hold of two rows that are joined."""
    yield from join.args.get("using") or ()
    on = join.args.get("on")
    if isinstance(on, exp.And):
        yield from on.flatten()
    elif on is not None:
        yield on


def _is_windowed(aggregate: exp.Expr) -> bool:
    """Whether an aggregate is over a window, also through FILTER and IGNORE NULLS."""
    node = aggregate.parent
    while isinstance(node, exp.Filter | exp.IgnoreNulls | exp.RespectNulls):
        node = node.parent
    return isinstance(node, exp.Window)
