"""Pieces of what an interval feed delivers, so that cleaning it takes bounded room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING

from tagline.engines import identifier, literal
from tagline.loads import common, newest_parts, parts_sql
from tagline.registry.schema import Load
from tagline.sources import Interval

if TYPE_CHECKING:
    from tagline.deployment import Deployment

ROWS_AT_ONCE = 25_000_000  # of all source tables that a query reads, but for what it looks back on


def pieces(
    deployment: Deployment,
    source: str,
    loads: Mapping[str, Sequence[Load]],
    scope: Sequence[Interval] | None,
) -> list[Sequence[Interval] | None]:
    """The scope cut at months of the business, so that few rows lie in a piece; mostly one piece.

    A month is never cut, however many rows it has. A snapshot feed (scope None) is one piece: its
    query may compare any rows. Of no instants there is no piece.
    """
    if scope is not None and not scope:
        return []
    timed = {name: each for name, each in loads.items() if each and each[0].start_at is not None}
    if scope is None or sum(load.rows for each in timed.values() for load in each) <= ROWS_AT_ONCE:
        return [scope]
    months = Counter[date]()
    for name, each in timed.items():
        months.update(_months(deployment, source, name, each, scope))
    catalog = deployment.catalog
    cuts, rows = [], 0
    for month in sorted(months):
        if rows and rows + months[month] > ROWS_AT_ONCE:
            cuts.append(catalog.midnight(month))
            rows = 0
        rows += months[month]
    edges = [scope[0].start, *cuts, scope[-1].end]
    found = [common(scope, [Interval(start, end)]) for start, end in pairwise(edges)]
    return [piece for piece in found if piece]


def _months(
    deployment: Deployment,
    source: str,
    table: str,
    loads: Sequence[Load],
    scope: Sequence[Interval],
) -> dict[date, int]:
    """The rows that lie in the scope by the first day of their month."""
    catalog = deployment.catalog
    definition = catalog.sources[source].tables[table]
    time = definition.time
    assert time is not None
    columns = {time: definition.columns[time]}
    sql, relations = parts_sql(table, newest_parts(loads, scope), columns, time)
    zone = literal(catalog.definition.timezone)
    local = f"timezone({zone}, CAST({identifier(time)} AS TIMESTAMPTZ))"
    made = deployment.engine.fetch(
        f"SELECT CAST(date_trunc('month', {local}) AS DATE) AS month, count(*) AS n "
        f"FROM ({sql}) AS r GROUP BY 1",
        relations,
    )
    return {row["month"]: row["n"] for row in made.to_pylist()}
