"""What a source has revised of rows that are loaded already: late, changed and vanished ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from tagline.engines.duckdb import local_engine
from tagline.loads import loads_of, merged, newest_parts, parts_sql, without
from tagline.registry.schema import SourceState
from tagline.scratch import scratch_folder
from tagline.sources import Interval, SourceReader
from tagline.sources.delivery import compare_days

if TYPE_CHECKING:
    from tagline.deployment import Deployment


@dataclass(frozen=True)
class Revised:
    """The business days whose rows differ from the loaded ones, as intervals to read again."""

    days: tuple[date, ...] = ()
    intervals: tuple[Interval, ...] = ()


def last_state(deployment: Deployment, source: str, table: str) -> dict[str, str] | None:
    """What the files of a source table were when it was read last."""
    with deployment.registry.session() as session:
        found = session.get(SourceState, (source, table))
        return dict(found.files) if found else None


def save_state(
    deployment: Deployment, source: str, table: str, state: dict[str, str] | None, at: datetime
) -> None:
    """Remember what the files of a source table are, once all that they hold is loaded."""
    if state is None:
        return
    with deployment.registry.session() as session:
        session.merge(SourceState(source=source, table_name=table, files=state, seen_at=at))


def find_revised(
    deployment: Deployment,
    source: str,
    table: str,
    reader: SourceReader,
    doubtful: Sequence[Interval],
) -> Revised:
    """Compare what the source now has of some loaded instants with what was loaded, by day.

    Days with the same rows are left alone, so that a repeated delivery loads nothing.
    """
    if not doubtful:
        return Revised()
    catalog, settings = deployment.catalog, deployment.settings
    definition = catalog.sources[source].tables[table]
    with deployment.registry.session() as session:
        loads = loads_of(session, source, table)
    sql, relations = parts_sql(
        table, newest_parts(loads, None), definition.columns, definition.time
    )
    hull = Interval(doubtful[0].start, doubtful[-1].end)
    with (
        scratch_folder(settings, f"compare-{source}.{table}") as scratch,
        reader.read(table, hull, hull.end, scratch) as incoming,
    ):
        compared = compare_days(
            local_engine(settings), incoming, sql, relations, catalog.definition.timezone
        )
    days: list[date] = []
    found: list[Interval] = []
    before = False
    for day, differs in compared:
        start, end = catalog.midnight(day), catalog.midnight(day + timedelta(days=1))
        whole = [Interval(start, end)]
        differs = differs and without(whole, doubtful) != whole
        if differs:
            days.append(day)
            if before:  # no day with the same rows lies between
                start = found.pop().start
            found.append(Interval(start, end))
        before = differs
    outside = without(found, doubtful)
    return Revised(tuple(days), tuple(without(merged(found), outside)))
