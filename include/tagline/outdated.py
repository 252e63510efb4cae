"""Releases whose day was touched by rows that came, changed or went after they were made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from tagline.definitions.types import DataType

if TYPE_CHECKING:
    from tagline.deployment import Deployment


@dataclass(frozen=True)
class Outdated:
    """An active release that computing its day again could change."""

    release: int
    as_of: datetime
    touched_at: datetime  # the earliest instant of what came later
    tables: tuple[str, ...]


def outdated(deployment: Deployment) -> list[Outdated]:
    """The active releases whose days are touched by later rows, the oldest day first.

    A row touches a day when it holds from before its as_of; so does the end of a row. Running
    the day again supersedes the release.
    """
    active = [each for each in deployment.registry.releases() if each.status == "active"]
    if not active:
        return []
    touches = {
        table: _touches(deployment, table)
        for table in deployment.catalog.tables
        if table not in deployment.catalog.derived
    }
    found = []
    for release in sorted(active, key=lambda each: each.as_of):
        made, end = release.created_at, release.as_of
        later = {
            table: [since for at, since in touched if at > made and since < end]
            for table, touched in touches.items()
        }
        hit = {table: min(since) for table, since in later.items() if since}
        if hit:
            touched_at = min(hit.values())
            found.append(Outdated(release.id, release.as_of, touched_at, tuple(sorted(hit))))
    return found


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
