"""Extract: source tables into the lake's raw tables, only what is missing or may have changed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from tagline import quarantine
from tagline.definitions.source import SourceTable
from tagline.engines.duckdb import local_engine
from tagline.errors import NoData, TaglineError, UnknownName
from tagline.loads import covered, interval_of, loads_of, merged, newest_parts, parts_sql, without
from tagline.registry.schema import Load
from tagline.revised import Revised, find_revised, last_state, save_state
from tagline.scratch import scratch_folder
from tagline.sources import Interval, SourceReader, open_source
from tagline.sources.delivery import Delivery, column_types, deliver, digest_sql, digest_text
from tagline.storage import remove

if TYPE_CHECKING:
    from tagline.catalog import Catalog
    from tagline.deployment import Deployment


@dataclass(frozen=True)
class TableExtract:
    """What the extraction of one source table did."""

    rows: int  # read
    loads: tuple[int, ...] = ()  # new loads; none when all that was read is already there
    new_columns: tuple[str, ...] = ()  # kept in raw, read by nothing
    quarantined: dict[str, int] = field(default_factory=dict)
    revised_days: tuple[str, ...] = ()  # before the last day, with late, changed or lost rows
    watermark_at: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class ExtractReport:
    """What was extracted, per `source.table`."""

    tables: dict[str, TableExtract]

    def as_json(self) -> dict[str, Any]:
        """The report as one JSON document."""
        return {"tables": {name: asdict(made) for name, made in self.tables.items()}}


def source_tables(catalog: Catalog) -> tuple[str, ...]:
    """The tables of the business's sources, as `source.table`."""
    return tuple(
        f"{source}.{table}"
        for source in catalog.definition.sources
        for table in catalog.sources[source].tables
    )


def extract(
    deployment: Deployment,
    run_id: str,
    as_of: datetime,
    at: datetime,
    tables: Sequence[str] | None = None,
) -> ExtractReport:
    """Load what the lake lacks of each source table up to as_of, and the last day afresh.

    Earlier days are compared with the source where it may have revised them: when files have
    come or changed since they were read last, and within the table's `late_by`. A table that
    fails stops no other table; the failures are raised together at the end. Of rows that are
    already there nothing is written.
    """
    made: dict[str, TableExtract] = {}
    failures: list[TaglineError] = []
    for name in source_tables(deployment.catalog) if tables is None else tables:
        started = time.perf_counter()
        try:
            found = _Extraction(deployment, name, run_id, as_of, at).run()
        except TaglineError as error:
            failures.append(error)
            continue
        made[name] = _with_seconds(found, started)
    report = ExtractReport(made)
    _save(deployment, run_id, report)
    _raise(failures)
    return report


def extract_again(
    deployment: Deployment, name: str, loads: Sequence[int], run_id: str, at: datetime
) -> TableExtract:
    """Read the intervals of these loads again and replace their rows in quarantine."""
    source, table = _split(deployment.catalog, name)
    with deployment.registry.session() as session:
        found = [load for load in loads_of(session, source, table) if load.id in set(loads)]
    ends = [load.end_at for load in found if load.end_at]
    extraction = _Extraction(deployment, name, run_id, max(ends, default=at), at)
    timed = merged(interval_of(load) for load in found if load.start_at)
    return extraction.run(again=timed or [None], loads=loads)


def require_data(deployment: Deployment, run_id: str, as_of: datetime) -> None:
    """Raise NoData before the business begins, or beyond what a required timed source reaches."""
    from tagline.clean import tables_read

    catalog = deployment.catalog
    starts_on = catalog.definition.starts_on
    if as_of <= catalog.midnight(starts_on):
        raise NoData(
            f"no data for {as_of:%Y-%m-%d %H:%M} UTC: the first day of {catalog.business} is "
            f"{starts_on} (starts_on in businesses/{catalog.business}.yaml). Ask for a later as_of."
        )
    short = set()
    for table in catalog.tables:
        if not catalog.tables[table].required:
            continue
        for source in catalog.feeds(table):
            for name in tables_read(catalog, source, table):
                definition = catalog.sources[source].tables[name]
                if definition.time is None:
                    continue
                with deployment.registry.session() as session:
                    loads = loads_of(session, source, name)
                marks = [load.watermark_at for load in loads if load.watermark_at]
                newest = max(marks) if marks else None
                if newest is None or newest < as_of - definition.idle:
                    reach = f"reaches {newest:%Y-%m-%d %H:%M} UTC" if newest else "has no rows"
                    short.add(f"{source}.{name} {reach}")
    if short:
        raise NoData(
            f"no data for {as_of:%Y-%m-%d %H:%M} UTC: {'; '.join(sorted(short))}. "
            "Nothing was released; run again when the source has delivered."
        )


@dataclass(frozen=True)
class _Extraction:
    """The extraction of one source table, alone at it."""

    deployment: Deployment
    name: str
    run_id: str
    as_of: datetime
    at: datetime

    def run(self, again: Sequence[Interval | None] = (), loads: Sequence[int] = ()) -> TableExtract:
        """Read what is wanted and keep what is new; `again` names intervals read in any case."""
        source, table = _split(self.deployment.catalog, self.name)
        home = self.deployment.settings.home_path
        reader = open_source(self.deployment.catalog, source, home)
        with self.deployment.registry.lock(f"extract:{self.name}"):
            if again or self._definition(source, table).time is None:
                made = [self._read(source, table, reader, part, loads) for part in again or [None]]
                return self._follow(source, table, made)
            state = reader.state(table)
            wanted, revised = self._wanted(source, table, reader, state)
            made = [self._read(source, table, reader, part, loads) for part in wanted]
            save_state(self.deployment, source, table, state, self.at)
            return self._follow(source, table, made, revised)

    def _wanted(
        self, source: str, table: str, reader: SourceReader, state: dict[str, str] | None
    ) -> tuple[list[Interval], Revised]:
        """The gaps up to as_of, the last business day afresh, and what was revised."""
        catalog = self.deployment.catalog
        definition = self._definition(source, table)
        start = catalog.midnight(catalog.definition.starts_on)
        last = catalog.midnight(catalog.day(self.as_of - timedelta(microseconds=1)))
        with self.deployment.registry.session() as session:
            there = covered(loads_of(session, source, table), definition.idle, catalog.midnight)
        gaps = without([Interval(start, self.as_of)], there)
        own = [Interval(max(last, start), self.as_of)]
        doubtful = without(there, own)
        if state == last_state(self.deployment, source, table):
            late = Interval(last - definition.late_by, last)
            doubtful = without([late], without([late], doubtful))
        revised = find_revised(self.deployment, source, table, reader, doubtful)
        parts = merged([*gaps, *own, *revised.intervals])
        return [part for each in parts for part in reader.delivered(table, each)], revised

    def _read(
        self,
        source: str,
        table: str,
        reader: SourceReader,
        interval: Interval | None,
        loads: Sequence[int],
    ) -> TableExtract:
        deployment = self.deployment
        settings = deployment.settings
        target = deployment.lake.new_file(self._raw(source, table))
        with scratch_folder(settings, f"extract-{self.name}") as scratch:
            refused = str(scratch / "refused.parquet")
            engine = local_engine(settings)
            with reader.read(table, interval, self.as_of, scratch) as incoming:
                delivery = deliver(engine, incoming, interval, target, refused, self.at)
            held = refused if delivery.refused_counts else None
            if delivery.over_limit and held:
                self._refuse(held, None)
                remove(target)
            delivery.require_limits(self.name)
            with deployment.registry.session() as session:
                load = self._known(session, source, table, interval, delivery)
                if load is None:
                    load = self._new_load(source, table, interval, delivery, target)
                    session.add(load)
                    session.flush()
                    kept: tuple[int, ...] = (load.id,)
                else:
                    kept = ()
                    load.checked_at = self.at
                    marks = [load.watermark_at, delivery.watermark_at]
                    load.watermark_at = max((mark for mark in marks if mark), default=None)
                if loads:
                    origin = quarantine.Origin(source, self.run_id, load.id, self.at)
                    refuse = [held] if held else []
                    quarantine.replace(
                        deployment, quarantine.table_name(self.name), loads, refuse, origin
                    )
                elif held:
                    self._refuse(held, load.id)
            if not kept or not delivery.rows:
                remove(target)
        return TableExtract(
            rows=delivery.rows,
            loads=kept,
            new_columns=delivery.new_columns,
            quarantined=dict(delivery.refused_counts),
            watermark_at=delivery.watermark_at.isoformat() if delivery.watermark_at else None,
        )

    def _known(
        self,
        session: Session,
        source: str,
        table: str,
        interval: Interval | None,
        delivery: Delivery,
    ) -> Load | None:
        """The newest load of these instants, if they already hold exactly these rows."""
        loads = loads_of(session, source, table)
        if interval is None:
            newest = loads[-1] if loads else None
            return newest if newest and newest.digest == delivery.digest else None
        touching = [
            load
            for load in loads
            if load.start_at
            and interval.start < interval_of(load).end
            and interval_of(load).start < interval.end
        ]
        if not touching or without([interval], [interval_of(load) for load in touching]):
            return None
        definition = self._definition(source, table)
        types = column_types(definition.columns, delivery.new_columns)
        columns = sorted({*definition.columns, *delivery.new_columns})
        sql, relations = parts_sql(
            table, newest_parts(touching, [interval]), types, definition.time
        )
        engine = local_engine(self.deployment.settings)
        row = engine.fetch(digest_sql(columns, f"({sql})"), relations).to_pylist()[0]
        same = digest_text(tuple(row.values())) == delivery.digest
        return touching[-1] if same else None

    def _new_load(
        self,
        source: str,
        table: str,
        interval: Interval | None,
        delivery: Delivery,
        target: str,
    ) -> Load:
        return Load(
            source=source,
            table_name=table,
            start_at=interval.start if interval else None,
            end_at=interval.end if interval else None,
            loaded_at=self.at,
            checked_at=self.at,
            rows=delivery.rows,
            digest=delivery.digest,
            files=[target] if delivery.rows else [],
            watermark_at=delivery.watermark_at,
            run_id=self.run_id,
        )

    def _refuse(self, refused: str, load_id: int | None) -> None:
        source, _, _ = self.name.partition(".")
        origin = quarantine.Origin(source, self.run_id, load_id, self.at)
        quarantine.add(self.deployment, quarantine.table_name(self.name), refused, origin)

    def _follow(
        self,
        source: str,
        table: str,
        made: Sequence[TableExtract],
        revised: Revised | None = None,
    ) -> TableExtract:
        """Bring the Iceberg table in line with the loads, also those of a killed attempt."""
        with self.deployment.registry.session() as session:
            files = [file for load in loads_of(session, source, table) for file in load.files]
        new = tuple(sorted({column for each in made for column in each.new_columns}))
        if files:
            types = column_types(self._definition(source, table).columns, new)
            self.deployment.lake.ensure(self._raw(source, table), types)
            self.deployment.lake.follow(self._raw(source, table), files)
        quarantined: dict[str, int] = {}
        for each in made:
            for reason, rows in each.quarantined.items():
                quarantined[reason] = quarantined.get(reason, 0) + rows
        return TableExtract(
            rows=sum(each.rows for each in made),
            loads=tuple(load for each in made for load in each.loads),
            new_columns=new,
            quarantined=quarantined,
            revised_days=tuple(day.isoformat() for day in revised.days) if revised else (),
            watermark_at=max((e.watermark_at for e in made if e.watermark_at), default=None),
        )

    def _definition(self, source: str, table: str) -> SourceTable:
        return self.deployment.catalog.sources[source].tables[table]

    @staticmethod
    def _raw(source: str, table: str) -> str:
        return f"raw.{source}__{table}"


def _split(catalog: Catalog, name: str) -> tuple[str, str]:
    if name not in source_tables(catalog):
        raise UnknownName("source table", name, source_tables(catalog))
    source, _, table = name.partition(".")
    return source, table


def _with_seconds(made: TableExtract, started: float) -> TableExtract:
    return TableExtract(**{**asdict(made), "seconds": round(time.perf_counter() - started, 3)})


def _save(deployment: Deployment, run_id: str, report: ExtractReport) -> None:
    """Add to the stage's output; tables are extracted by parallel tasks of the same run."""
    registry = deployment.registry
    with registry.lock("stage:extract"):
        before = registry.run(run_id).stages.get("extract", {}).get("tables", {})
        tables = {**before, **report.as_json()["tables"]}
        seconds = sum(table["seconds"] for table in tables.values())
        registry.save_stage(run_id, "extract", {"tables": tables}, seconds)


def _raise(failures: Sequence[TaglineError]) -> None:
    """Raise one error for all failures, of the first one's kind."""
    if len(failures) == 1:
        raise failures[0]
    if failures:
        message = "\n".join(str(failure) for failure in failures)
        raise type(failures[0])(message) from failures[0]
