"""What is loaded of a source table: which instants are covered, and by which files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from tagline.definitions.types import DataType
from tagline.engines import Relation, identifier
from tagline.registry.schema import Load
from tagline.sources import Interval
from tagline.sources.delivery import instant


@dataclass(frozen=True)
class Part:
    """Files of one load, or of several, with the intervals of their rows that count (None: all)."""

    files: tuple[str, ...]
    interval: Interval | None


def loads_of(session: Session, source: str, table: str) -> list[Load]:
    """The loads of a source table, oldest first."""
    return list(
        session.scalars(
            select(Load)
            .where(Load.source == source, Load.table_name == table)
            .order_by(Load.loaded_at, Load.id)
        )
    )


def interval_of(load: Load) -> Interval:
    """The interval of a load of a timed table."""
    assert load.start_at is not None and load.end_at is not None
    return Interval(load.start_at, load.end_at)


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """The same instants as few intervals, in order."""
    found: list[Interval] = []
    for interval in sorted(intervals):
        if interval.start >= interval.end:
            continue
        if found and interval.start <= found[-1].end:
            found[-1] = Interval(found[-1].start, max(found[-1].end, interval.end))
        else:
            found.append(interval)
    return found


def without(intervals: Iterable[Interval], taken: Iterable[Interval]) -> list[Interval]:
    """The instants of `intervals` that are not in `taken`."""
    left = merged(intervals)
    for hole in merged(taken):
        left = [
            part
            for each in left
            for part in (
                Interval(each.start, min(each.end, hole.start)),
                Interval(max(each.start, hole.end), each.end),
            )
            if part.start < part.end
        ]
    return left


def common(intervals: Iterable[Interval], others: Iterable[Interval]) -> list[Interval]:
    """The instants that are in both."""
    mine = merged(intervals)
    return without(mine, without(mine, others))


def covered(
    loads: Iterable[Load], idle: timedelta, midnight: Callable[[date], datetime]
) -> list[Interval]:
    """The instants that the loads cover: up to where the source was known to have reached.

    A load whose source had not reached (within `idle`) the end of its interval covers only the
    business days that it had reached; the rest is asked for again.
    """
    return merged(
        Interval(load.start_at, _reached(load, idle, midnight))
        for load in loads
        if load.start_at is not None
    )


def _reached(load: Load, idle: timedelta, midnight: Callable[[date], datetime]) -> datetime:
    interval = interval_of(load)
    if load.watermark_at is None:
        return interval.start
    reached = load.watermark_at + idle
    if reached >= interval.end:
        return interval.end
    day = reached.date() + timedelta(days=1)
    while (end := midnight(day)) > reached:
        day -= timedelta(days=1)
    return max(interval.start, min(end, interval.end))


def newest_parts(loads: Sequence[Load], scope: Sequence[Interval] | None) -> list[Part]:
    """The files that hold the newest load of each instant in the scope (None: of all time).

    Loads that count as a whole are put together in one part.
    """
    whole: list[str] = []
    parts: list[Part] = []
    taken: list[Interval] = []
    for load in reversed(loads):
        interval = interval_of(load)
        left = without([interval], taken)
        taken = merged([*taken, interval])
        if scope is not None:
            outside = without(left, scope)
            left = without(left, outside)
        if not load.files:
            continue
        if left == [interval]:
            whole.extend(load.files)
        else:
            parts.extend(Part(tuple(load.files), piece) for piece in left)
    return [Part(tuple(whole), None), *parts] if whole else parts


def parts_sql(
    name: str, parts: Sequence[Part], columns: Mapping[str, DataType], time: str | None
) -> tuple[str, dict[str, Relation]]:
    """A SELECT of the parts' rows, and the relations that it reads, named after `name`."""
    relations: dict[str, Relation] = {}
    selects = []
    shown = ", ".join(identifier(column) for column in columns)
    for number, part in enumerate(parts):
        relation = f"raw {name} {number}"
        relations[relation] = Relation(part.files, columns)
        where = ""
        if part.interval is not None and time is not None:
            moment = f"CAST({identifier(time)} AS TIMESTAMPTZ)"
            start, end = instant(part.interval.start), instant(part.interval.end)
            where = f" WHERE {moment} >= {start} AND {moment} < {end}"
        selects.append(f"SELECT {shown} FROM {identifier(relation)}{where}")
    if not selects:
        relation = f"raw {name} 0"
        return f"SELECT {shown} FROM {identifier(relation)}", {relation: Relation((), columns)}
    return " UNION ALL ".join(selects), relations
