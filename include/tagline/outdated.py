"""Releases whose day was touched by what came after they were made: rows, or earlier days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import select

from tagline.definitions.types import DataType
from tagline.registry.schema import Run

if TYPE_CHECKING:
    from tagline.deployment import Deployment
    from tagline.registry.schema import Release


@dataclass(frozen=True)
class Outdated:
    """An active release that computing its day again could change."""

    release: int
    as_of: datetime
    touched_at: datetime  # the earliest instant of what came later
    tables: tuple[str, ...]
    previous: int | None = None  # the outdated or replaced release that previous(tag) read


def outdated(deployment: Deployment) -> list[Outdated]:
    """The active releases whose days are touched by later rows, the oldest day first.

    A row touches a day when it holds from before its as_of; so does the end of a row. A day with
    tags that read `previous(tag)` is also touched when the day before it is, or was made again;
    so a change of one day touches all that were computed from it. Running the day again
    supersedes the release.
    """
    active = [each for each in deployment.registry.releases() if each.status == "active"]
    if not active:
        return []
    touches = {
        table: _touches(deployment, table)
        for table in deployment.catalog.tables
        if table not in deployment.catalog.derived
    }
    read, replaced = _previous_of_runs(deployment), dict[int | None, datetime]()
    found: list[Outdated] = []
    before: Release | None = None
    for release in sorted(active, key=lambda each: each.as_of):
        made, end = release.created_at, release.as_of
        later = {
            table: [since for at, since in touched if at > made and since < end]
            for table, touched in touches.items()
        }
        hit = {table: min(since) for table, since in later.items() if since}
        since, previous = list(hit.values()), None
        if release.run_id in read:
            used = read[release.run_id]
            if used != (before.id if before else None):
                since.append(before.as_of if before else end)
                previous = used
            elif used in replaced:
                since.append(replaced[used])
                previous = used
        if since:
            replaced[release.id] = min(since)
            found.append(
                Outdated(release.id, release.as_of, min(since), tuple(sorted(hit)), previous)
            )
        before = release
    return found


def _previous_of_runs(deployment: Deployment) -> dict[str, int | None]:
    """The release before that each run has read; runs that read none are left out."""
    path = Run.stages[("compute", "previous")]
    with deployment.registry.session() as session:
        rows = session.execute(select(Run.id, path)).all()
    return {run_id: previous["release"] for run_id, previous in rows if previous}


def _touches(deployment: Deployment, table: str) -> list[tuple[datetime, datetime]]:
    """When rows of a table were written or ended, with the earliest instant that they concern."""
    found: list[tuple[datetime, datetime]] = []
    for name, at, since in (
        (f"clean.{table}", "loaded_at", "valid_at"),
        (f"clean.{table}__superseded", "recorded_at", "until_at"),
    ):
        relation = deployment.lake.relation(name, dict.fromkeys((at, since), DataType.TIMESTAMP))
        if relation.files:
            sql = f"SELECT {at} AS at, min({since}) AS since FROM t GROUP BY 1"
            rows = deployment.engine.fetch(sql, {"t": relation}).to_pylist()
            found += [(row["at"], row["since"]) for row in rows]
    return found
