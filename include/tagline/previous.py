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
    from tagline.registry.schema import Release


def reads_previous(catalog: Catalog) -> bool:
    """Whether a tag of the business reads the release before, so that its days have an order."""
    return any(tag.meaning.previous for tag in catalog.tags.values())


def previous_release(registry: Registry, as_of: datetime) -> Release | None:
    """The newest active release of an earlier as_of."""
    earlier = [each for each in registry.releases() if each.status == "active"]
    return max(
        (each for each in earlier if each.as_of < as_of),
        key=lambda each: each.as_of,
        default=None,
    )


def previous_relation(
    registry: Registry, as_of: datetime, subject: str, columns: Mapping[str, DataType]
) -> Relation:
    """The columns of a subject in the release before as_of; no rows without one.

    A tag that the release did not have, or had with another type, is null in every row.
    """
    release = previous_release(registry, as_of)
    files = tuple(release.files.get(subject, ())) if release else ()
    held = file_columns(files[0]) if files else {}
    other = {name for name, kind in columns.items() if held.get(name, kind) != kind}
    return Relation(files, columns, frozenset(other))
