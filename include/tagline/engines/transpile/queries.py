"""Queries of DuckDB's SQL as trees of Spark SQL, with the kinds of their columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import count

from sqlglot import exp
from sqlglot.transforms import eliminate_qualify

from tagline.engines.transpile.expressions import Expressions
from tagline.engines.transpile.trees import (
    BOOLEAN,
    Kind,
    NotOnSpark,
    Typed,
    common,
    number,
    require,
)
from tagline.errors import QueryRefused

Columns = Mapping[str, Kind]
_CLAUSES = frozenset(
    {
        "with_", "kind", "expressions", "from_", "joins", "where", "group", "having", "qualify",
        "windows", "distinct", "order", "limit", "operation_modifiers",
    }
)  # fmt: skip


_RESULT = exp.TableAlias(this=exp.to_identifier("both", quoted=True))


@dataclass(frozen=True)
class Names:
    """The tables in reach of a query by name, and the rows of the queries around it."""

    tables: Mapping[str, Columns]
    around: tuple[Mapping[str, Columns], ...] = ()

    def query(self, node: exp.Expr) -> tuple[exp.Expr, Columns]:
        """A query and the columns that it gives, in order."""
        if isinstance(node, exp.Subquery) and not node.args.get("pivots"):
            inner, columns = self.query(node.this)
            return inner, columns
        names, ctes = self.with_ctes(node)
        if isinstance(node, exp.SetOperation):
            made, columns = names._set_operation(node)
        elif isinstance(node, exp.Select):
            made, columns = _Select(names, node).made()
        else:
            raise NotOnSpark(f"{type(node).__name__.lower()} as a query")
        if ctes:
            made.set("with_", exp.With(expressions=ctes))
        return made, columns

    def with_ctes(self, node: exp.Expr) -> tuple[Names, list[exp.Expr]]:
        """The names in reach after a query's WITH, and its queries."""
        clause = node.args.get("with_")
        if clause is None:
            return self, []
        if clause.args.get("recursive"):
            raise NotOnSpark("a recursive query")
        names = self
        made: list[exp.Expr] = []
        for cte in clause.expressions:
            inner, columns = names.query(cte.this)
            names = names.knowing(cte.alias, columns)
            made.append(cte_of(cte.alias, inner))
        return names, made

    def knowing(self, name: str, columns: Columns) -> Names:
        """These names and one table more."""
        return replace(self, tables={**self.tables, name.lower(): columns})

    def _set_operation(self, node: exp.SetOperation) -> tuple[exp.Expr, Columns]:
        left, columns = self.query(node.this)
        right, others = self.query(node.expression)
        if len(columns) != len(others) or node.args.get("by_name"):
            raise NotOnSpark("a union of other columns")
        pairs = zip(columns.items(), others.values(), strict=True)
        shown = {
            name: common((Typed(exp.null(), kind), Typed(exp.null(), other)), "a union")
            for (name, kind), other in pairs
        }
        made = type(node)(this=left, expression=right, distinct=bool(node.args.get("distinct")))
        listed = [_aliased(_column(name, ""), name) for name in shown]
        inside = exp.Select(expressions=listed).from_(exp.Subquery(this=made, alias=_RESULT))
        if node.args.get("order") or node.args.get("limit"):
            outer = Expressions(_Rows(self, {"": shown}, {}))
            if node.args.get("order"):
                inside.set("order", outer.ordered(node.args["order"]))
            if node.args.get("limit"):
                inside.set("limit", node.args["limit"].copy())
        return inside, shown


def cte_of(name: str, query: exp.Expr) -> exp.CTE:
    """A named query of a WITH."""
    alias = exp.TableAlias(this=exp.to_identifier(name, quoted=True))
    return exp.CTE(this=query, alias=alias)


@dataclass(frozen=True)
class _Rows:
    """The rows that expressions of one SELECT see: its sources by alias, then its own aliases."""

    names: Names
    sources: Mapping[str, Columns]
    windows: Mapping[str, exp.Window]
    made: dict[str, Typed] = field(default_factory=dict)
    by_name: bool = False  # whether an alias may be named, as in a list of expressions

    def column(self, node: exp.Column) -> Typed:
        """A column of a source, of this SELECT's own aliases, or of a query around."""
        name, table = node.name.lower(), node.table.lower()
        for sources in (self.sources, *self.names.around):
            for alias, columns in sources.items():
                if table and alias != table:
                    continue
                for column, kind in columns.items():
                    if column.lower() == name:
                        return Typed(_column(column, alias), kind)
            if sources is self.sources and not table and name in self.made:
                found = self.made[name]
                return Typed(_column(node.name, ""), found.kind) if self.by_name else found
        raise QueryRefused(f"there is no column {node.sql(dialect='duckdb')!r}")

    def subquery(self, node: exp.Expr) -> tuple[exp.Expr, Columns]:
        """A query inside, which sees these rows."""
        inner = replace(self.names, around=(self.sources, *self.names.around))
        return inner.query(node)

    def window(self, name: str) -> exp.Window:
        """The named window of this SELECT."""
        if name.lower() not in self.windows:
            raise QueryRefused(f"there is no window {name!r}")
        return self.windows[name.lower()]


@dataclass(frozen=True)
class _Select:
    names: Names
    node: exp.Select

    def made(self) -> tuple[exp.Expr, Columns]:
        """The SELECT with its columns."""
        node = self.node
        if node.args.get("qualify"):
            rest = node.copy()
            rest.set("with_", None)
            return self.names.query(eliminate_qualify(rest))
        for clause, value in node.args.items():
            if value and clause not in _CLAUSES:
                raise NotOnSpark(f"the clause {clause.strip('_')} of a query")
        if isinstance(node.args.get("distinct"), exp.Distinct) and node.args["distinct"].args.get(
            "on"
        ):
            raise NotOnSpark("distinct on", "Use row_number()")
        made = exp.Select()
        sources: dict[str, Columns] = {}
        self._sources(made, sources)
        windows = {each.name.lower(): each for each in node.args.get("windows") or ()}
        rows = _Rows(self.names, sources, windows)
        columns, shown = self._shown(rows)
        made.set("expressions", shown)
        if node.args.get("distinct"):
            made.set("distinct", exp.Distinct())
        self._clauses(made, rows, columns)
        return made, columns

    def _sources(self, made: exp.Select, sources: dict[str, Columns]) -> None:
        clause = self.node.args.get("from_")
        if clause is None:
            return
        made.set("from_", exp.From(this=self._source(clause.this, sources)))
        joins = []
        for join in self.node.args.get("joins") or ():
            for part in ("method", "match_condition", "pivots"):
                if join.args.get(part):
                    raise NotOnSpark(f"a {join.args[part]} join")
            joined = self._source(join.this, sources)
            side, kind = join.side.upper(), join.kind.upper()
            condition, using = join.args.get("on"), join.args.get("using")
            if condition is not None:
                found = Expressions(_Rows(self.names, sources, {})).value(condition)
                condition = require(found, (BOOLEAN,), "a join").tree
            elif using and side != "FULL":
                using = [exp.to_identifier(each.name, quoted=True) for each in using]
            elif using:
                raise NotOnSpark("a full join with using", "Write on a.x = b.x")
            elif not side:
                kind = "CROSS"
            joins.append(exp.Join(this=joined, side=side, kind=kind, on=condition, using=using))
            if kind in ("SEMI", "ANTI"):
                sources.pop(_alias(join.this))
        if joins:
            made.set("joins", joins)

    def _source(self, node: exp.Expr, sources: dict[str, Columns]) -> exp.Expr:
        alias = _alias(node)
        named = exp.TableAlias(this=exp.to_identifier(alias, quoted=True)) if alias else None
        if isinstance(node, exp.Table) and not node.args.get("joins"):
            if node.name.lower() not in self.names.tables or node.args.get("db"):
                raise QueryRefused(f"there is no table {node.name!r}")
            sources[alias] = self.names.tables[node.name.lower()]
            return exp.Table(this=exp.to_identifier(node.name, quoted=True), alias=named)
        if isinstance(node, exp.Subquery):
            inner, columns = replace(self.names, around=()).query(node.this)
            sources[alias] = columns
            return exp.Subquery(this=inner, alias=named)
        raise NotOnSpark(f"{node.sql(dialect='duckdb')[:60]} as a table")

    def _shown(self, rows: _Rows) -> tuple[dict[str, Kind], list[exp.Expr]]:
        columns: dict[str, Kind] = {}
        shown: list[exp.Expr] = []
        listed = Expressions(replace(rows, by_name=True))
        for node in self.node.expressions:
            if isinstance(node, exp.Star) or (
                isinstance(node, exp.Column) and isinstance(node.this, exp.Star)
            ):
                for name, found in self._star(rows, node):
                    columns[name] = found.kind
                    shown.append(_aliased(found.tree, name))
                continue
            value = node.this if isinstance(node, exp.Alias) else node
            name = node.alias_or_name or value.sql(dialect="duckdb")
            if name in columns:  # as DuckDB names them
                name = next(made for n in count(1) if (made := f"{name}_{n}") not in columns)
            found = listed.value(value)
            columns[name] = found.kind
            rows.made[name.lower()] = found
            shown.append(_aliased(found.tree, name))
        return columns, shown

    def _star(self, rows: _Rows, node: exp.Expr) -> list[tuple[str, Typed]]:
        star = node if isinstance(node, exp.Star) else node.this
        if any(star.args.values()):
            raise NotOnSpark(f"{star.sql(dialect='duckdb')}", "Name the columns")
        wanted = node.args["table"].name.lower() if isinstance(node, exp.Column) else ""
        found: list[tuple[str, Typed]] = []
        for alias, columns in rows.sources.items():
            if not wanted or alias == wanted:
                for name, kind in columns.items():
                    if name in [each for each, _ in found]:
                        raise NotOnSpark(f"two columns named {name!r}", "Name the columns")
                    found.append((name, Typed(_column(name, alias), kind)))
        return found

    def _clauses(self, made: exp.Select, rows: _Rows, columns: Columns) -> None:
        node, expressions = self.node, Expressions(rows)
        for clause, kind in (("where", exp.Where), ("having", exp.Having)):
            if node.args.get(clause):
                found = expressions.value(node.args[clause].this)
                made.set(clause, kind(this=require(found, (BOOLEAN,), f"a {clause}").tree))
        group = node.args.get("group")
        if group is not None:
            extra = {key for key, value in group.args.items() if value} - {"expressions", "all"}
            if extra:
                raise NotOnSpark(f"group by {extra.pop()}")
            if group.args.get("all"):
                made.set("group", exp.Group(expressions=[exp.var("ALL")]))
            else:
                made.set(
                    "group",
                    exp.Group(expressions=[_key(e, expressions) for e in group.expressions]),
                )
        if node.args.get("order"):
            made.set("order", self._ordered(rows, columns))
        if node.args.get("limit"):
            made.set("limit", exp.Limit(expression=node.args["limit"].expression.copy()))

    def _ordered(self, rows: _Rows, columns: Columns) -> exp.Order:
        """ORDER BY, whose names are the columns shown before those of the sources."""
        own = replace(rows, sources={"": columns, **rows.sources})
        return Expressions(own).ordered(self.node.args["order"])


def _key(node: exp.Expr, expressions: Expressions) -> exp.Expr:
    if isinstance(node, exp.Literal) and node.is_int:
        return number(int(node.this))
    return expressions.value(node).tree


def _alias(node: exp.Expr) -> str:
    return str(node.alias_or_name).lower()


def _column(name: str, table: str) -> exp.Expr:
    return exp.column(
        exp.to_identifier(name, quoted=True),
        table=exp.to_identifier(table, quoted=True) if table else None,
    )


def _aliased(tree: exp.Expr, name: str) -> exp.Expr:
    return exp.Alias(this=tree, alias=exp.to_identifier(name, quoted=True))
