"""Cleanings: what was cleaned into a canonical table, remembered so that a kill is made good."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from tagline.layout import BUCKET, LAID_OUT_IN, layout_properties, row_bucket_sql
from tagline.registry.schema import Cleaning
from tagline.storage import remove
from tagline.versions import Changes, entry_columns, row_columns

if TYPE_CHECKING:
    from tagline.deployment import Deployment

_TOKEN, _ENTRIES, _REPORT = "tagline.cleaning", "tagline.entries", "tagline.report"


@dataclass(frozen=True)
class TableClean:
    """What the cleaning of one canonical table did in a run; `files` hold the rows added."""

    files: tuple[str, ...] = ()
    rows: int = 0  # delivered
    added: int = 0
    superseded: int = 0
    quarantined: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class CleanReport:
    """What was cleaned, per canonical table."""

    tables: dict[str, TableClean]

    def as_json(self) -> dict[str, Any]:
        """The report as one JSON document."""
        return {
            "tables": {
                name: {**asdict(made), "files": list(made.files)}
                for name, made in self.tables.items()
            }
        }


def commit(
    deployment: Deployment, table: str, changes: Changes, token: str, record: Mapping[str, Any]
) -> None:
    """Add the files of a cleaning to the lake.

    Rows and superseded versions are two Iceberg tables, so two commits; the first names the
    files of the second, and the record of both, so that a killed attempt can be finished.
    """
    definition = deployment.catalog.tables[table]
    buckets = deployment.settings.customer_buckets
    deployment.lake.ensure(
        f"clean.{table}",
        row_columns(definition),
        partition_by=BUCKET if buckets > 1 else None,
        properties=layout_properties(buckets),
    )
    properties = {
        _TOKEN: token,
        _ENTRIES: json.dumps(changes.entry_files),
        _REPORT: json.dumps(record, ensure_ascii=False),
    }
    if changes.row_files:
        deployment.lake.append(f"clean.{table}", changes.row_files, properties)
    if changes.entry_files:
        superseded = f"clean.{table}__superseded"
        deployment.lake.ensure(superseded, entry_columns(definition))
        deployment.lake.append(superseded, changes.entry_files, properties)


def lay_out(deployment: Deployment, table: str) -> bool:
    """Write a clean table anew if it lies in another number of buckets than the settings name.

    Its rows stay what they are, but for their bucket; columns that are no longer declared are
    kept. One commit exchanges the files: a kill leaves all as it was. The caller holds the lock
    of the table's cleaning. Says whether the table was written anew; its files of before are not
    removed, since readers may be at them.
    """
    lake, buckets = deployment.lake, deployment.settings.customer_buckets
    name, definition = f"clean.{table}", deployment.catalog.tables[table]
    if lake.property_of(name, LAID_OUT_IN, "1") == str(buckets) or not lake.exists(name):
        return False
    stored = lake.relation(name, {})
    bucket = row_bucket_sql(definition, buckets)
    files = []
    count = buckets if definition.customer else 1
    for number in range(count if stored.files else 0):
        path = lake.new_file(name)
        rows = deployment.engine.write(
            f"SELECT * FROM (SELECT * REPLACE ({bucket} AS {BUCKET}) FROM stored) AS r "
            f"WHERE {BUCKET} = {number}",
            {"stored": stored},
            path,
        )
        if rows:
            files.append(path)
        else:
            remove(path)
    lake.follow(name, files, layout_properties(buckets))
    return True


def finish_entries(deployment: Deployment, table: str) -> None:
    """Add the superseded versions of a table's newest commit, if it was killed before it did.

    For a table of no cleanings: which files it has tells all.
    """
    properties = deployment.lake.last_commit(f"clean.{table}")
    if _entry_files(properties):
        superseded = f"clean.{table}__superseded"
        deployment.lake.ensure(superseded, entry_columns(deployment.catalog.tables[table]))
        deployment.lake.append(superseded, _entry_files(properties), _ours(properties))


def finish_last(deployment: Deployment, table: str) -> None:
    """Finish the newest cleaning of a table if it was killed between its commits.

    What the stage resolve made of the table, while its business still resolved, is taken back.
    """
    superseded = f"clean.{table}__superseded"
    for name in (f"clean.{table}", superseded):
        properties = deployment.lake.last_commit(name)
        if _TOKEN not in properties:
            continue
        record = json.loads(properties[_REPORT])
        is_cleaning = "table" in record  # else the stage resolve made it, which remembers none
        if is_cleaning and _is_recorded(deployment, record):
            continue
        if _entry_files(properties):
            deployment.lake.ensure(superseded, entry_columns(deployment.catalog.tables[table]))
            deployment.lake.append(superseded, _entry_files(properties), _ours(properties))
        if is_cleaning:
            remember(deployment, record)
    if table == "identity" and deployment.catalog.identity is None:
        from tagline.identity.resolve import withdraw

        withdraw(deployment)


def _entry_files(properties: Mapping[str, str]) -> list[str]:
    """The files of superseded versions that a commit names; older ones name one, as it is."""
    said = properties.get(_ENTRIES, "")
    return list(json.loads(said)) if said.startswith("[") else [said] * bool(said)


def _ours(summary: Mapping[str, str]) -> dict[str, str]:
    """The properties of a commit that Tagline gave it."""
    return {key: value for key, value in summary.items() if key.startswith("tagline.")}


def _is_recorded(deployment: Deployment, record: Mapping[str, Any]) -> bool:
    with deployment.registry.session() as session:
        found = session.scalars(
            select(Cleaning).where(
                Cleaning.table_name == record["table"],
                Cleaning.definition == record["definition"],
                Cleaning.load_id.in_(record["loads"]),
            )
        ).all()
    at = datetime.fromisoformat(record["at"])
    return len(found) == len(record["loads"]) and all(each.cleaned_at >= at for each in found)


def remember(deployment: Deployment, record: Mapping[str, Any]) -> None:
    """Remember a cleaning for each of its loads; the newest one's row has the report."""
    at = datetime.fromisoformat(record["at"])
    newest = max(record["loads"])
    with deployment.registry.session() as session:
        for load in record["loads"]:
            row = session.scalars(
                select(Cleaning).where(
                    Cleaning.table_name == record["table"],
                    Cleaning.definition == record["definition"],
                    Cleaning.load_id == load,
                )
            ).first()
            if row is None:
                row = Cleaning(
                    table_name=record["table"], definition=record["definition"], load_id=load
                )
                session.add(row)
            row.cleaned_at = at
            row.checked_at = None
            row.report = record["report"] if load == newest else {"cleaned_with": newest}
            row.run_id = record["run_id"]


def cleaned_with(deployment: Deployment, table: str, newest: Collection[int]) -> set[int]:
    """The loads that were cleaned together with these, which were the newest of theirs."""
    with deployment.registry.session() as session:
        found = session.execute(
            select(Cleaning.load_id, Cleaning.report).where(Cleaning.table_name == table)
        )
        return {load for load, report in found if report.get("cleaned_with") in newest}


def save(deployment: Deployment, run_id: str, tables: Sequence[str]) -> CleanReport:
    """The stage's output from all cleanings of the run, whichever attempt or task made them."""
    registry = deployment.registry
    with registry.lock("stage:clean"):
        made = {}
        with registry.session() as session:
            for table in tables:
                rows = session.scalars(
                    select(Cleaning)
                    .where(Cleaning.table_name == table, Cleaning.run_id == run_id)
                    .order_by(Cleaning.id)
                ).all()
                made[table] = _together([row.report for row in rows if "files" in row.report])
        report = CleanReport(made)
        before = registry.run(run_id).stages.get("clean", {}).get("tables", {})
        output = {**before, **report.as_json()["tables"]}
        seconds = sum(table["seconds"] for table in output.values())
        registry.save_stage(run_id, "clean", {"tables": output}, seconds)
    return report


def _together(reports: Sequence[Mapping[str, Any]]) -> TableClean:
    quarantined: dict[str, int] = {}
    for report in reports:
        for reason, rows in report["quarantined"].items():
            quarantined[reason] = quarantined.get(reason, 0) + rows
    return TableClean(
        files=tuple(file for report in reports for file in report["files"]),
        rows=sum(report["rows"] for report in reports),
        added=sum(report["added"] for report in reports),
        superseded=sum(report["superseded"] for report in reports),
        quarantined=quarantined,
        seconds=round(sum(report["seconds"] for report in reports), 3),
    )


@dataclass(frozen=True)
class Unchecked:
    """Rows of a table that have not met its critical expectations yet: cleanings and files."""

    cleanings: tuple[int, ...]
    files: tuple[str, ...]
    only_of_run: bool  # no earlier run has left any


def unchecked(deployment: Deployment, run_id: str, tables: Sequence[str]) -> dict[str, Unchecked]:
    """What is left to check of each table, from this run and from earlier ones that failed."""
    found: dict[str, Unchecked] = {}
    with deployment.registry.session() as session:
        for table in tables:
            rows = session.scalars(
                select(Cleaning)
                .where(Cleaning.table_name == table, Cleaning.checked_at.is_(None))
                .order_by(Cleaning.id)
            ).all()
            files = [file for row in rows for file in row.report.get("files", ())]
            if files:
                alone = all(row.run_id == run_id for row in rows if row.report.get("files"))
                found[table] = Unchecked(tuple(row.id for row in rows), tuple(files), alone)
    return found


def mark_checked(deployment: Deployment, cleanings: Sequence[int], at: datetime) -> None:
    """Remember that the rows of these cleanings met every critical expectation."""
    with deployment.registry.session() as session:
        session.execute(update(Cleaning).where(Cleaning.id.in_(cleanings)).values(checked_at=at))
