"""What the databases say, held against the files: lake, releases and runs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import Connection

from tagline.doctor.finding import Finding, fault, ok, warning
from tagline.doctor.server import LONG
from tagline.registry.files import (
    files_of_loads,
    files_of_releases,
    local_path,
    metadata_of_tables,
)
from tagline.subjects import CUSTOMER, SUBJECTS

_RESTORE = "restore the last backup into an empty home: see docs/operations.md"


def check_lost(lake: Path | None) -> Iterator[Finding]:
    """For a registry that is not there: whether there are files that one must have known."""
    if lake is not None and next(lake.rglob("*.parquet"), None) is not None:
        yield fault(
            "registry",
            f"is missing or empty, but {lake} has files: it was lost, or lies in another server",
            f"name the server of then in TAGLINE_DATABASE_URL, or {_RESTORE}",
        )


def check_named_files(registry: Connection) -> Iterator[Finding]:
    """Whether the files of loads and active releases exist; object stores are not asked."""
    for where, files, fix in (
        ("files of loads", files_of_loads(registry), _RESTORE),
        (
            "files of releases",
            files_of_releases(registry, only_active=True),
            "run their days again with `tagline run --as-of`, or " + _RESTORE,
        ),
    ):
        yield _exist(where, files, fix)


def check_catalog(lake: Connection) -> Iterator[Finding]:
    """Whether the metadata of each Iceberg table can be read and its data files exist."""
    tables = metadata_of_tables(lake)
    there = {name: found for name, found in tables.items() if local_path(found)}
    broken = False
    files: list[str] = []
    for name, location in there.items():
        try:
            from tagline.lake import files_of_metadata

            files += files_of_metadata(location)
        except Exception as error:  # whatever a broken file makes its reader say
            broken = True
            yield fault(f"lake table {name}", f"{location} cannot be read: {error}", _RESTORE)
    if not broken:
        kept = len(tables) - len(there)
        said = f"{len(there)} tables can be read"
        if kept:
            said += f", {kept} are in an object store and not looked at"
        yield ok("lake catalog", said)
    yield _exist("files of the lake", files, _RESTORE)


def _exist(where: str, files: Iterable[str], fix: str) -> Finding:
    local = [path for file in files if (path := local_path(file))]
    gone = [path for path in local if not Path(path).is_file()]
    if gone:
        more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
        return fault(where, f"{gone[0]}{more} of {len(local):,} are gone", fix)
    return ok(where, f"all {len(local):,} exist")


def check_released_tables(registry: Connection, lake: Connection) -> Iterator[Finding]:
    """Whether the Iceberg table of each subject's tags shows exactly the active releases."""
    tables = metadata_of_tables(lake)
    for subject in SUBJECTS.values():
        wanted = files_of_releases(registry, only_active=True, subject=subject.name)
        if subject is CUSTOMER or wanted or subject.lake_table in tables:
            yield _released_table(registry, tables, subject.lake_table, wanted)


def _released_table(
    registry: Connection, tables: Mapping[str, str], table: str, wanted: Sequence[str]
) -> Finding:
    where = f"lake table {table}"
    fix = "the next release brings it in line: run a day, or `tagline run --as-of` the live one"
    behind = registry.scalars(
        text(
            "select coalesce(r.as_of, p.as_of) from"
            " (select as_of, id from releases where status = 'active') as r"
            " full join lake_publications as p on p.as_of = r.as_of"
            " where r.id is distinct from p.release_id order by 1"
        )
    ).all()
    if behind:
        days = ", ".join(f"{each:%Y-%m-%d}" for each in behind[:5])
        return warning(where, f"does not follow the releases as of {days}", fix)
    location = tables.get(table)
    if location is None:
        if wanted:
            return warning(where, "is missing, though there are releases", fix)
        return ok(where, "not made yet: there is no release")
    if local_path(location) is not None:
        from tagline.lake import files_of_metadata

        if set(files_of_metadata(location)) != set(wanted):
            return warning(where, "holds other files than the active releases", fix)
    return ok(where, "follows the active releases")


def check_runs(registry: Connection, at: datetime) -> Iterator[Finding]:
    """Runs that were killed, the newest run if it failed, and releases that wait for a person."""
    killed = registry.execute(
        text(
            "select id, as_of, started_at from runs as r where status = 'running'"
            " and started_at < :since and not exists (select 1 from runs as later"
            " where later.as_of = r.as_of and later.started_at > r.started_at"
            " and later.status in ('released', 'held', 'no_data', 'trained')) order by started_at"
        ),
        {"since": at - LONG},
    ).all()
    for run in killed:
        yield warning(
            f"run {run.id}",
            f"as of {run.as_of:%Y-%m-%d} began {run.started_at:%Y-%m-%d %H:%M} and never ended",
            "if nothing works at it any more, run its day again: "
            f"`tagline run --as-of {run.as_of.isoformat()}`, or clear it in Airflow",
        )
    newest = registry.execute(
        text("select id, status, reason from runs order by started_at desc, id limit 1")
    ).first()
    if newest is None:
        yield ok("runs", "none yet")
    elif newest.status == "failed":
        yield warning(f"run {newest.id}", f"failed: {newest.reason}", "mend the cause, run again")
    elif not killed:
        yield ok("runs", f"the newest, {newest.id}, is {newest.status}")
    for release in registry.execute(
        text(
            "select id, as_of from releases as r where status = 'held' and not exists"
            " (select 1 from releases as later where later.as_of = r.as_of and later.id > r.id)"
            " order by id"
        )
    ):
        yield warning(
            f"release {release.id}",
            f"as of {release.as_of:%Y-%m-%d} is held by the gate",
            f"`tagline release {release.id} --reason TEXT`, or mend the cause and run again",
        )


def check_future(registry: Connection, at: datetime) -> Finding:
    """Whether the clock has gone back behind what was written before."""
    newest = registry.scalar(
        text(
            "select greatest((select max(loaded_at) from loads),"
            " (select max(started_at) from runs))"
        )
    )
    if newest is not None and newest > at:
        return fault(
            "clock",
            f"it is {at:%Y-%m-%d %H:%M} here, but something was written at {newest:%Y-%m-%d %H:%M}",
            "correct the clock: rows loaded now would count as older than those",
        )
    return ok("clock", "later than everything written")


def check_leftovers(home: Path) -> Iterator[Finding]:
    """Scratch folders of steps that were killed."""
    old = [
        each
        for folder in (home / "scratch", home / "duckdb_tmp")
        if folder.is_dir()
        for each in sorted(folder.iterdir())
        if time.time() - each.stat().st_mtime > LONG.total_seconds()
    ]
    if old:
        size = sum(f.stat().st_size for each in old for f in [each, *each.rglob("*")])
        yield warning(
            "scratch",
            f"{len(old)} left by killed steps ({size / 1e6:,.0f} MB), such as {old[0]}",
            "delete them while no run is going on",
        )
    else:
        yield ok("scratch", "nothing left by killed steps")
