"""What a source delivered: rows cast to their declared types, or refused with a reason."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from duckdb import DuckDBPyConnection

from tagline.casting import cast_sql, unfit_sql
from tagline.definitions.source import FileTable
from tagline.definitions.types import DataType
from tagline.engines import Relation, identifier, literal
from tagline.engines.duckdb import DuckDBEngine, copy_to_parquet, relation_sql
from tagline.errors import QuarantineLimitExceeded
from tagline.sources import Incoming, Interval
from tagline.sources.shapes import FILE, show
from tagline.sources.text import LINE, RAW, REASON
from tagline.storage import appearing_whole

LIMIT = 0.05  # largest share of rows that a source may deliver wrong for one reason
LOADED_AT = "_loaded_at"


@dataclass(frozen=True)
class Delivery:
    """The rows of one read, in files; `refused` holds (reason, position, row) of the others."""

    rows: int
    digest: str
    watermark_at: datetime | None
    new_columns: tuple[str, ...]
    refused_counts: Mapping[str, int] = field(default_factory=dict)
    over_limit: tuple[str, ...] = ()

    def require_limits(self, name: str) -> None:
        """Raise if too large a share of the rows was refused for one reason."""
        if self.over_limit:
            raise QuarantineLimitExceeded(
                f"{name}: " + "; ".join(self.over_limit) + f" (limit {LIMIT:.0%}). Nothing of "
                "this delivery was kept; the refused rows are in quarantine. Correct the source "
                "or its declaration, then run again."
            )


@dataclass(frozen=True)
class _Columns:
    """The SQL of a delivery's columns, over the rows as found."""

    found: Mapping[str, str]  # every column with the engine's type
    casts: Mapping[str, str]  # declared column -> typed expression
    reason: str  # text or null
    time: str  # instant or null; null literal for snapshots

    @property
    def new(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.found) - set(self.casts)))


def deliver(
    engine: DuckDBEngine,
    incoming: Incoming,
    interval: Interval | None,
    target: str,
    refused: str,
    at: datetime,
) -> Delivery:
    """Write the interval's rows to `target` and the refused ones to `refused`, if there are any.

    Raises SourceChanged, with the whole difference, when the columns are not as declared.
    """
    with ExitStack() as stack:
        written = stack.enter_context(appearing_whole(target, engine.temp_directory))
        rejected = f"{written}.refused"
        stack.callback(Path(rejected).unlink, missing_ok=True)
        connection = stack.enter_context(engine.open([*incoming.files, written, rejected]))
        columns = _columns(incoming, show(connection, incoming))
        rows = copy_to_parquet(connection, _kept_sql(columns, interval, at), written)
        scan = _scan(connection, columns, interval, incoming.exact, at)
        if scan.refused:
            sql = _refused_sql(columns, interval, incoming)
            copy_to_parquet(connection, sql, rejected)
            Path(refused).parent.mkdir(parents=True, exist_ok=True)
            shutil.move(rejected, refused)  # the lake may lie on another disk
        stored = f"read_parquet({literal(written)})"
        names = sorted(columns.found)
        digest = connection.execute(digest_sql(names, stored)).fetchone()
    known = incoming.watermark_at
    newest = [moment for moment in (scan.newest, known) if moment is not None and moment <= at]
    return Delivery(
        rows=rows,
        digest=digest_text(digest),
        watermark_at=max(newest) if newest else None,
        new_columns=columns.new,
        refused_counts=scan.refused,
        over_limit=scan.over_limit,
    )


def compare_days(
    engine: DuckDBEngine,
    incoming: Incoming,
    loaded: str,
    relations: Mapping[str, Relation],
    timezone: str,
) -> list[tuple[date, bool]]:
    """Each day that has rows, and whether those found differ from those of the query `loaded`.

    The time of each side is cut into days of the time zone; `loaded` has the declared columns.
    """
    time = incoming.definition.time
    assert time is not None
    names = list(incoming.definition.columns)
    files = {file for relation in relations.values() for file in relation.files}
    with engine.open([*incoming.files, *sorted(files)]) as connection:
        columns = _columns(incoming, show(connection, incoming))
        for name, relation in relations.items():
            view = relation_sql(connection, relation)
            connection.execute(f"CREATE TEMP VIEW {identifier(name)} AS {view}")
        found = ", ".join(f"{cast} AS {identifier(name)}" for name, cast in columns.casts.items())
        kept = f"SELECT {found} FROM incoming WHERE {columns.reason} IS NULL"
        rows = connection.execute(
            f"WITH f AS ({_daily_sql(names, time, timezone, kept)}), "
            f"l AS ({_daily_sql(names, time, timezone, loaded)}) "
            "SELECT coalesce(f.day, l.day) AS day, "
            "(f.rows, f.total, f.mix) IS DISTINCT FROM (l.rows, l.total, l.mix) "
            "FROM f FULL JOIN l ON f.day = l.day ORDER BY 1"
        ).fetchall()
    return [(row[0], bool(row[1])) for row in rows]


def _daily_sql(names: list[str], time: str, timezone: str, rows: str) -> str:
    row = f"hash({', '.join(identifier(name) for name in names)})"
    moment = f"CAST({identifier(time)} AS TIMESTAMPTZ)"
    return (
        f"SELECT CAST(timezone({literal(timezone)}, {moment}) AS DATE) AS day, "
        f"count(*) AS rows, sum({row}) AS total, bit_xor(hash({row})) AS mix "
        f"FROM ({rows}) AS r GROUP BY 1"
    )


def digest_sql(columns: list[str], source: str) -> str:
    """A query of one row that says what rows a table holds, whatever their order."""
    row = f"hash({', '.join(identifier(name) for name in columns)})"
    return f"SELECT count(*), sum({row}), bit_xor({row}), sum(hash({row})) FROM {source}"


def digest_text(row: tuple[object, ...] | None) -> str:
    """The result of `digest_sql` as a text."""
    assert row is not None
    return "-".join(str(value or 0) for value in row)


def _columns(incoming: Incoming, found: Mapping[str, str]) -> _Columns:
    casts: dict[str, str] = {}
    reasons = [f"WHEN {REASON} IS NOT NULL THEN {REASON}"] if incoming.text else []
    files = incoming.definition if isinstance(incoming.definition, FileTable) else None
    for name, kind in incoming.definition.columns.items():
        value = identifier(name)
        if files and files.nulls and found[name] == "VARCHAR":
            value = f"CASE WHEN trim({value}) NOT IN ({_literals(files.nulls)}) THEN {value} END"
        formats = files.formats.get(name, ()) if files else ()
        casts[name] = cast_sql(value, found[name], kind, incoming.timezone, formats)
        unfit = unfit_sql(value, casts[name], found[name], kind)
        if unfit:
            reasons.append(f"WHEN {unfit} THEN {literal('unparsable_' + name)}")
    time = incoming.definition.time
    if time:
        reasons.append(f"WHEN {casts[time]} IS NULL THEN {literal('missing_' + time)}")
    reason = f"CASE {' '.join(reasons)} END" if reasons else "CAST(NULL AS VARCHAR)"
    moment = f"CAST({casts[time]} AS TIMESTAMPTZ)" if time else "CAST(NULL AS TIMESTAMPTZ)"
    return _Columns(found, casts, reason, moment)


def _literals(texts: Sequence[str]) -> str:
    return ", ".join(map(literal, texts))


def _within(moment: str, interval: Interval | None) -> str:
    if interval is None:
        return "true"
    return f"({moment} >= {instant(interval.start)} AND {moment} < {instant(interval.end)})"


def instant(moment: datetime) -> str:
    """An instant as a literal of the engine."""
    return f"TIMESTAMPTZ '{moment.isoformat(sep=' ')}'"


def _kept_sql(columns: _Columns, interval: Interval | None, at: datetime) -> str:
    shown = [f"{cast} AS {identifier(name)}" for name, cast in columns.casts.items()]
    shown += [f"CAST({identifier(name)} AS VARCHAR) AS {identifier(name)}" for name in columns.new]
    shown.append(f"{instant(at)} AS {identifier(LOADED_AT)}")
    return (
        f"SELECT {', '.join(shown)} FROM incoming "
        f"WHERE {columns.reason} IS NULL AND {_within(columns.time, interval)}"
    )


@dataclass(frozen=True)
class _Scan:
    """Counts over all rows of the files: (reason or None, place) -> rows."""

    counts: Mapping[tuple[str | None, str], int]
    newest: datetime | None
    exact: bool

    @property
    def refused(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for (reason, place), rows in self.counts.items():
            if place == "outside":
                reason = "outside_interval" if self.exact else None
            if reason:
                counts[reason] = counts.get(reason, 0) + rows
        return counts

    @property
    def over_limit(self) -> tuple[str, ...]:
        """The reasons whose share of the rows that they could have stood among is too large."""
        inside = sum(rows for (_, place), rows in self.counts.items() if place == "inside")
        everything = sum(self.counts.values())
        shares: dict[str, float] = {}
        for (reason, place), rows in self.counts.items():
            if place == "outside":
                reason = "outside_interval" if self.exact else None
            if reason:
                share = rows / (inside if place == "inside" else everything)
                shares[reason] = max(shares.get(reason, 0), share)
        return tuple(
            f"{share:.1%} of the rows are {reason}"
            for reason, share in sorted(shares.items())
            if share > LIMIT
        )


def _scan(
    connection: DuckDBPyConnection,
    columns: _Columns,
    interval: Interval | None,
    exact: bool,
    at: datetime,
) -> _Scan:
    place = "'inside'"
    if interval is not None:
        place = (
            f"CASE WHEN moment IS NULL THEN 'timeless' WHEN {_within('moment', interval)} "
            "THEN 'inside' ELSE 'outside' END"
        )
    rows = connection.execute(
        f"SELECT reason, {place} AS place, count(*), max(moment) FILTER (moment <= {instant(at)}) "
        f"FROM (SELECT {columns.reason} AS reason, {columns.time} AS moment FROM incoming) "
        "GROUP BY ALL"
    ).fetchall()
    newest = [row[3] for row in rows if row[3] is not None]
    counts = {(row[0], row[1]): int(row[2]) for row in rows}
    return _Scan(counts, max(newest) if newest else None, exact)


def _refused_sql(columns: _Columns, interval: Interval | None, incoming: Incoming) -> str:
    """(reason, position, row) of every refused row, with the values as they were found."""
    pairs = ", ".join(f"{literal(name)}, {identifier(name)}" for name in columns.found)
    reason, wanted = columns.reason, f"{columns.reason} IS NOT NULL"
    if interval is not None:
        outside = f"({columns.time} IS NOT NULL AND NOT {_within(columns.time, interval)})"
        if incoming.exact:
            reason = f"CASE WHEN {outside} THEN 'outside_interval' ELSE {reason} END"
            wanted = f"({wanted} OR {outside})"
        else:
            wanted = f"({wanted} AND NOT {outside})"
    line = f"CASE WHEN {LINE} IS NULL THEN json_object('file', {FILE}) ELSE "
    line += f"json_object('file', {FILE}, 'line', {LINE}) END"
    row = f"CASE WHEN {RAW} IS NULL THEN json_object({pairs}) ELSE json_object('text', {RAW}) END"
    return (
        f"SELECT {reason} AS reason, CAST({line} AS VARCHAR) AS position, "
        f"CAST({row} AS VARCHAR) AS row FROM incoming WHERE {wanted}"
    )


def column_types(declared: Mapping[str, DataType], new: tuple[str, ...]) -> dict[str, DataType]:
    """The columns of a raw file: declared ones, new ones as text, and when it was loaded."""
    return {**declared, **dict.fromkeys(new, DataType.TEXT), LOADED_AT: DataType.TIMESTAMP}
