"""The files that the databases name: what must exist for runs and readers to go on."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.engine import Connection

_LOADS = "select jsonb_array_elements_text(files) as path from loads"
_RELEASES = """
select jsonb_array_elements_text(named.value) as path
from releases, jsonb_each(files) as named
where (not cast(:only_active as boolean) or status = 'active')
  and (cast(:subject as text) is null or named.key = :subject)
"""
_METADATA = """
select table_namespace || '.' || table_name as name, metadata_location
from iceberg_tables order by 1
"""


def files_of_loads(registry: Connection) -> list[str]:
    """The raw files of every load, from the registry."""
    return sorted(set(registry.scalars(text(_LOADS))))


def files_of_releases(
    registry: Connection, *, only_active: bool, subject: str | None = None
) -> list[str]:
    """The files of the active releases, or of all that a person could still make active.

    With `subject`, those of its table alone.
    """
    values = {"only_active": only_active, "subject": subject}
    return sorted(set(registry.scalars(text(_RELEASES), values)))


def metadata_of_tables(lake: Connection) -> dict[str, str]:
    """The present metadata file of every Iceberg table by its name, from the lake's catalog."""
    if lake.scalar(text("select to_regclass('iceberg_tables')")) is None:
        return {}
    return {row.name: row.metadata_location for row in lake.execute(text(_METADATA))}


def local_path(location: str) -> str | None:
    """The path of a file on this machine, None for one in an object store."""
    path = location.removeprefix("file://")
    return None if "://" in path else path
