"""Clean: loaded source rows into canonical tables, refused rows into quarantine."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select

from tagline import quarantine
from tagline.cleanings import (
    CleanReport,
    cleaned_with,
    commit,
    finish_last,
    lay_out,
    remember,
    save,
)
from tagline.compaction import compact
from tagline.definitions.source import SourceTable
from tagline.delivered import Delivered, deliver_rows
from tagline.errors import QuarantineLimitExceeded, TaglineError, UnknownName
from tagline.loads import common, interval_of, loads_of, merged
from tagline.pieces import pieces
from tagline.registry.schema import Cleaning, Load
from tagline.rules import over_limit
from tagline.scratch import scratch_folder
from tagline.sources import Interval
from tagline.sqlfiles import parse_sql
from tagline.storage import remove
from tagline.versions import Changes, Versions

if TYPE_CHECKING:
    from tagline.catalog import Catalog
    from tagline.deployment import Deployment


def canonical_tables(catalog: Catalog) -> tuple[str, ...]:
    """The stored tables of the business: those that a source feeds."""
    return tuple(name for name in catalog.tables if catalog.feeds(name))


def tables_read(catalog: Catalog, source: str, table: str) -> tuple[str, ...]:
    """The source tables that the SQL of a canonical table reads."""
    name = f"sql/sources/{source}/{table}.sql"
    read = parse_sql(name, catalog.source_sql(source, table)).tables
    return tuple(each for each in read if each in catalog.sources[source].tables)


def clean(
    deployment: Deployment,
    run_id: str,
    as_of: datetime,
    at: datetime,
    tables: Sequence[str] | None = None,
) -> CleanReport:
    """Bring canonical tables up to date with all loads that they were not cleaned from yet.

    A table that fails stops no other; the failures are raised together at the end. Cleaning
    again, also after being killed half-way, gives the same rows.
    """
    names = canonical_tables(deployment.catalog) if tables is None else tables
    failures: list[TaglineError] = []
    for name in names:
        try:
            clean_table(deployment, name, run_id, at)
        except TaglineError as error:
            failures.append(error)
    report = save(deployment, run_id, names)
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise type(failures[0])("\n".join(map(str, failures))) from failures[0]
    return report


def clean_table(deployment: Deployment, table: str, run_id: str, at: datetime) -> None:
    """Clean one canonical table from what its sources loaded since it was cleaned last."""
    if table not in canonical_tables(deployment.catalog):
        raise UnknownName("canonical table", table, canonical_tables(deployment.catalog))
    with deployment.registry.lock(f"clean:{table}"):
        finish_last(deployment, table)
        lay_out(deployment, table)
        for source in deployment.catalog.feeds(table):
            _Cleaning(deployment, table, source, run_id, at).run()
        compact(deployment.lake, deployment.engine, table, at)


def clean_again(
    deployment: Deployment, table: str, loads: Sequence[int], run_id: str, at: datetime
) -> None:
    """Clean again what was cleaned together with these loads, and replace their refused rows."""
    with deployment.registry.lock(f"clean:{table}"):
        finish_last(deployment, table)
        lay_out(deployment, table)
        for source in deployment.catalog.feeds(table):
            _Cleaning(deployment, table, source, run_id, at).run(again=frozenset(loads))


@dataclass(frozen=True)
class _Cleaning:
    """One canonical table cleaned from one source."""

    deployment: Deployment
    table: str
    source: str
    run_id: str
    at: datetime

    def run(self, again: frozenset[int] = frozenset()) -> None:
        """Clean what is pending, and again what was cleaned together with the loads named."""
        started = time.perf_counter()
        names = tables_read(self.deployment.catalog, self.source, self.table)
        definition = _definition_digest(self.deployment, self.source, self.table, names)
        with self.deployment.registry.session() as session:
            loads = {name: loads_of(session, self.source, name) for name in names}
            done = set(
                session.scalars(
                    select(Cleaning.load_id).where(
                        Cleaning.table_name == self.table, Cleaning.definition == definition
                    )
                )
            )
        # the refused rows of a cleaning are filed under its newest load
        repeated = again | (cleaned_with(self.deployment, self.table, again) if again else set())
        every = [load for each in loads.values() for load in each]
        pending = [load for load in every if load.id in repeated or load.id not in done]
        if not pending or any(not each for each in loads.values()):
            return  # nothing new, or a table that the SQL reads is not loaded yet
        scope = self._scope(every, pending, again, done)
        token = _digest(self.table, self.source, definition, sorted(load.id for load in pending))
        if again:
            token = _digest(token, self.at.isoformat())
        newest = max(load.id for load in pending)
        origin = quarantine.Origin(self.source, self.run_id, newest, self.at)
        changes, rows, counts = Changes(), 0, Counter[str]()
        with scratch_folder(self.deployment.settings, f"refused-{self.table}") as folder:
            try:
                for piece in pieces(self.deployment, self.source, loads, scope):
                    delivered, made = self._deliver(loads, piece, changes, newest, folder)
                    changes = changes.followed_by(made)
                    rows += delivered.rows
                    counts.update(delivered.counts)
                refused = [str(each) for each in sorted(folder.iterdir())]
                for each in refused:
                    quarantine.add(self.deployment, self.table, each, origin)
                self._require_limits(counts, rows)
            except BaseException:
                for file in (*changes.row_files, *changes.entry_files):
                    remove(file)
                raise
            report = {
                "source": self.source,
                "files": list(changes.row_files),
                "rows": rows,
                "added": changes.added,
                "superseded": changes.superseded,
                "quarantined": dict(counts),
                "seconds": round(time.perf_counter() - started, 3),
            }
            record = {
                "table": self.table,
                "definition": definition,
                "loads": sorted(load.id for load in pending),
                "run_id": self.run_id,
                "at": self.at.isoformat(),
                "report": report,
            }
            commit(self.deployment, self.table, changes, token, record)
            remember(self.deployment, record)
            if again:  # only now: until the good rows are in the table, they stay in quarantine
                quarantine.replace(self.deployment, self.table, sorted(again), refused, origin)

    def _deliver(
        self,
        loads: Mapping[str, Sequence[Load]],
        scope: Sequence[Interval] | None,
        before: Changes,
        newest: int,
        refused: Path,
    ) -> tuple[Delivered, Changes]:
        """The rows of one piece, and what they change; nothing of it is in the table yet.

        Those that were refused are left as one more file in the folder `refused`.
        """
        settings = self.deployment.settings
        with scratch_folder(settings, f"clean-{self.table}-{self.source}") as scratch:
            delivered = deliver_rows(
                self.deployment, self.table, self.source, loads, scope, scratch, newest
            )
            if delivered.refused:
                Path(delivered.refused).rename(
                    refused / f"{len(list(refused.iterdir())):06}.parquet"
                )
            versions = Versions(
                engine=self.deployment.engine,
                lake=self.deployment.lake,
                name=self.table,
                table=self.deployment.catalog.tables[self.table],
                source=self.source,
                buckets=settings.customer_buckets,
                scratch=scratch,
            )
            return delivered, versions.changes(
                delivered.path,
                scope,
                self.at,
                undated=delivered.undated,
                single=delivered.single,
                only=delivered.only,
                before=before,
            )

    def _scope(
        self,
        every: Sequence[Load],
        pending: Sequence[Load],
        again: frozenset[int],
        done: set[int],
    ) -> list[Interval] | None:
        """The intervals to clean; None for a snapshot feed.

        A new snapshot, or a new definition, may change any row: then all that is loaded. A load
        may change the rows that look back on it, too.
        """
        source = self.deployment.catalog.sources[self.source]
        if source.feeds[self.table] == "snapshot":
            return None
        whole = not (done & {load.id for load in every}) or any(
            load.start_at is None and (again or not source.tables[load.table_name].append_only)
            for load in pending
        )
        loaded = merged(interval_of(load) for load in every if load.start_at is not None)
        if whole:
            return loaded
        parts = [(load, interval_of(load)) for load in pending if load.start_at is not None]
        return common(
            (
                Interval(part.start, part.end + source.tables[load.table_name].lookback)
                for load, part in parts
            ),
            loaded,
        )

    def _require_limits(self, counts: Mapping[str, int], rows: int) -> None:
        table = self.deployment.catalog.tables[self.table]
        over = over_limit(table, counts, rows)
        if over:
            raise QuarantineLimitExceeded(
                f"{self.table} from {self.source}: {'; '.join(over)}. Nothing of this load was "
                f"kept in {self.table}; see `tagline quarantine {self.table}`. Correct the "
                f"source, sql/sources/{self.source}/{self.table}.sql or the expectation, then "
                "run again."
            )


def to_clean_again(deployment: Deployment) -> tuple[str, ...]:
    """The tables that the next run cleans anew as a whole, since their definition has changed."""
    found = []
    for table in canonical_tables(deployment.catalog):
        for source in deployment.catalog.feeds(table):
            names = tables_read(deployment.catalog, source, table)
            definition = _definition_digest(deployment, source, table, names)
            with deployment.registry.session() as session:
                loads = {load.id for name in names for load in loads_of(session, source, name)}
                made_by = session.execute(
                    select(Cleaning.load_id, Cleaning.definition).where(
                        Cleaning.table_name == table, Cleaning.load_id.in_(loads)
                    )
                ).all()
            if made_by and definition not in {made.definition for made in made_by}:
                found.append(table)
    return tuple(dict.fromkeys(found))


def _definition_digest(
    deployment: Deployment, source: str, table: str, names: Sequence[str]
) -> str:
    """What decides how source rows become rows of the table; not its descriptions."""
    catalog = deployment.catalog
    definition, origin = catalog.tables[table], catalog.sources[source]
    personal = any(column.pii == "direct" for column in definition.columns.values())
    return _digest(
        catalog.source_sql(source, table),
        [
            (name, column.type, column.nullable, column.pii)
            for name, column in definition.columns.items()
        ],
        [definition.key, definition.customer, definition.event_at],
        [
            each.model_dump(mode="json")
            for each in definition.expectations
            if each.severity == "row"
        ],
        [origin.feeds[table], origin.timezone],
        [_read_as(name, origin.tables[name]) for name in names],
        [deployment.settings.hash_salt if personal else ""],
    )


def _read_as(name: str, table: SourceTable) -> list[object]:
    """What of a source table's definition decides which of its rows the SQL sees, and how."""
    lookback = [table.lookback] if table.lookback else []
    return [name, table.columns, table.time, *lookback]


def _digest(*parts: object) -> str:
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
