"""The release before an as_of, which `previous(tag)` reads."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from tagline.catalog import Catalog
from tagline.definitions import DataType
from tagline.engines import Relation
from tagline.serve.released import file_columns

if TYPE_CHECKING:
    from tagline.registry import Registry


def reads_previous(catalog: Catalog) -> bool:
    """Whether a tag of the business reads the release before, so that its days have an order."""
    return any(tag.meaning.previous for tag in catalog.tags.values())


def release_read(
    catalog: Catalog, registry: Registry, as_of: datetime
) -> dict[str, int | None] | None:
    """The release before as_of as compute keeps it, {"release": id}; None where no tag reads it.

    It is asked before the values are read. If another one takes its place in between, the day is
    listed as outdated, which costs a run at most.
    """
    if not reads_previous(catalog):
        return None
    before = registry.release_before(as_of)
    return {"release": before.id if before else None}


def previous_relation(
    registry: Registry, as_of: datetime, subject: str, columns: Mapping[str, DataType]
) -> Relation:
    """The columns of a subject in the release before as_of; no rows without one.

    A tag that the release did not have, or had with another type, is null in every row.
    """
    release = registry.release_before(as_of)
    files = tuple(release.files.get(subject, ())) if release else ()
    held = file_columns(files[0]) if files else {}
    other = {name for name, kind in columns.items() if held.get(name, kind) != kind}
    return Relation(files, columns, frozenset(other))
