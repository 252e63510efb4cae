"""Instants and local times in compiled SQL, and expressions rewritten to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlglot import exp

from tagline.catalog import Catalog
from tagline.definitions import DataType
from tagline.expressions import Expression
from tagline.expressions.functions import CLOCK_UNITS
from tagline.expressions.typing import OF_NUMBERS
from tagline.literals import literal


@dataclass(frozen=True)
class Moment:
    """The instant that a query is compiled for, in the business's time zone."""

    catalog: Catalog
    as_of: datetime
    known_at: datetime | None = None

    @property
    def zone(self) -> str:
        """The IANA name of the business's time zone."""
        return self.catalog.definition.timezone

    def before(self, window: timedelta) -> datetime:
        """The instant a window earlier on the business's wall clock."""
        return self.catalog.before(self.as_of, window)

    def local(self, node: exp.Expr) -> exp.Expr:
        """An instant as local wall-clock time."""
        if self.zone == "UTC":  # arithmetic only: five times faster than a zone conversion
            return exp.func("make_timestamp", exp.func("epoch_us", node), dialect="duckdb")
        return exp.AtTimeZone(this=node, zone=exp.Literal.string(self.zone))

    def local_as_of(self) -> exp.Expr:
        """as_of as local wall-clock time."""
        local = self.as_of.astimezone(self.catalog.zone).replace(tzinfo=None)
        return exp.cast(exp.Literal.string(local.isoformat(sep=" ")), "TIMESTAMP")

    def rewrite(
        self,
        expression: Expression,
        place: Callable[[str], exp.Expr],
        types: Mapping[str, DataType],
    ) -> exp.Expr:
        """An expression with its names placed, times made local and engine traps avoided."""

        def column(name: str) -> exp.Expr:
            if name == "as_of":
                return self.local_as_of()
            node = place(name)
            return self.local(node) if types.get(name) is DataType.TIMESTAMP else node

        def standard(name: str) -> exp.Expr:
            value = self.catalog.standard(name, self.as_of)
            return literal(value, self.catalog.standards[name].type)

        tree = expression.rewritten(column, standard)
        return _bottom_up(tree, _same_on_every_engine)

    def cast(self, node: exp.Expr, kind: DataType) -> exp.Expr:
        """A value as its declared type; a local time becomes an instant again."""
        if kind is DataType.TIMESTAMP:
            return exp.AtTimeZone(
                this=exp.cast(node, "TIMESTAMP"), zone=exp.Literal.string(self.zone)
            )
        return exp.cast(node, kind.sql, dialect="duckdb")


def instant(at: datetime) -> str:
    """A UTC instant as an SQL literal.

    >>> from datetime import datetime, UTC
    >>> instant(datetime(2017, 10, 1, tzinfo=UTC))
    "TIMESTAMPTZ '2017-10-01 00:00:00+00:00'"
    """
    text = at.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ")
    return f"TIMESTAMPTZ '{text}+00:00'"


def sql(node: exp.Expr) -> str:
    """A tree as DuckDB SQL."""
    return node.sql(dialect="duckdb", comments=False)


def _same_on_every_engine(node: exp.Expr) -> exp.Expr:
    """Avoids what differs between engines or from run to run.

    Day differences are of dates. Sums of numbers are exact to six decimals, since a sum of
    floating-point values depends on the order in which threads meet them; standard deviations
    and interpolated quantiles are rounded so. The value of an arg_max
    or arg_min among ties is the greatest or least of them.
    """
    if isinstance(node, exp.DateDiff) and _unit(node) not in CLOCK_UNITS:
        node.set("this", exp.cast(node.this, "DATE"))
        node.set("expression", exp.cast(node.expression, "DATE"))
    elif isinstance(node, exp.TimestampTrunc | exp.DateTrunc) and not isinstance(
        node.parent, exp.Cast
    ):
        return node if _unit(node) in CLOCK_UNITS else exp.cast(node, "DATE")
    elif isinstance(node, exp.Sum) and node.meta.get(OF_NUMBERS):
        return exp.cast(_exact_sum(node.this), "DOUBLE")
    elif isinstance(node, exp.Avg):
        if not node.meta.get(OF_NUMBERS):
            return exp.Avg(this=exp.cast(node.this, "DOUBLE"))
        count = exp.Count(this=node.this.copy(), big_int=True)
        return exp.Paren(
            this=exp.Div(this=exp.cast(_exact_sum(node.this), "DOUBLE"), expression=count)
        )
    elif isinstance(node, exp.Stddev | exp.StddevSamp | exp.StddevPop | exp.PercentileCont):
        return exp.Round(this=node.copy(), decimals=exp.Literal.number(6))
    elif isinstance(node, exp.ArgMax | exp.ArgMin):
        order = exp.Anonymous(this="row", expressions=[node.expression, node.this.copy()])
        node.set("expression", order)
    return node


def _bottom_up(node: exp.Expr, change: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    """A tree with every node changed, children first, so that no change is changed again."""
    for child in list(node.iter_expressions()):
        changed = _bottom_up(child, change)
        if changed is not child:
            child.replace(changed)
    return change(node)


def _exact_sum(value: exp.Expr) -> exp.Expr:
    return exp.Sum(this=exp.cast(value.copy(), "DECIMAL(38, 6)"))


def _unit(node: exp.Expr) -> str:
    unit = node.args.get("unit")
    return unit.name.upper() if isinstance(unit, exp.Expr) else "DAY"
