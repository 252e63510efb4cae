"""The files and columns of a release, and which release a reader means."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tagline.definitions.types import HIDDEN, DataType
from tagline.engines import Relation
from tagline.errors import ReleaseRefused, TaglineError
from tagline.registry.schema import Release
from tagline.storage import opened
from tagline.subjects import CUSTOMER, SUBJECTS, Subject

if TYPE_CHECKING:
    import pyarrow

    from tagline.registry import Registry

CASE = "__case"  # ends the hidden column that says which case of a rule held


def wanted_release(registry: Registry, as_of: datetime | None) -> Release:
    """The active release of an as_of, or the live one; refused with the way to make one."""
    found = registry.live() if as_of is None else registry.release_at(as_of)
    if found is not None:
        return found
    if as_of is None:
        raise ReleaseRefused(
            "nothing is released yet; make a release with `tagline run --as-of YYYY-MM-DD`"
        )
    known = [r.as_of for r in registry.releases() if r.status == "active"]
    near = min(known, key=lambda instant: abs(instant - as_of), default=None)
    hint = f" The nearest is as of {near.isoformat()}." if near else ""
    raise ReleaseRefused(
        f"no active release as of {as_of.isoformat()}; make one with "
        f"`tagline run --as-of`, or see `tagline releases`.{hint}"
    )


def files_of(release: Release, subject: Subject = CUSTOMER) -> tuple[str, ...]:
    """The Parquet files of a subject's tags; refused where the release has none of it."""
    if subject.name not in release.files:
        known = " and ".join(SUBJECTS[name].table for name in release.files)
        raise ReleaseRefused(f"release {release.id} has tags of {known}, none of {subject.table}")
    return tuple(release.files[subject.name])


def keys_of(subject: Subject) -> tuple[str, str]:
    """The columns of a released table that are no tags."""
    return (subject.key, "as_of")


def subject_of(entry: Mapping[str, Any]) -> Subject:
    """What a released tag (an entry of `Release.tags`) is about."""
    return SUBJECTS[entry.get("subject", CUSTOMER.name)]


def relation_of(release: Release, subject: Subject = CUSTOMER) -> Relation:
    """The released table as an engine reads it, with its hidden columns."""
    files = files_of(release, subject)
    return Relation(files, file_columns(files[0]))


def tag_columns(release: Release, subject: Subject = CUSTOMER) -> dict[str, DataType]:
    """The released tags that have values, with their types, in the file's order."""
    columns = file_columns(files_of(release, subject)[0])
    return {
        name: type_
        for name, type_ in columns.items()
        if name not in keys_of(subject) and HIDDEN not in name
    }


def tag_of(column: str) -> str:
    """The tag that a column of a released table belongs to.

    >>> tag_of("is_dormant"), tag_of("is_dormant__case")
    ('is_dormant', 'is_dormant')
    """
    return column.partition(HIDDEN)[0]


@lru_cache(maxsize=256)
def file_columns(path: str) -> Mapping[str, DataType]:
    """The columns of a Parquet file; released files never change."""
    import pyarrow.parquet as parquet

    try:
        with opened(path) as file:
            schema = parquet.read_schema(file)
    except FileNotFoundError as error:
        raise TaglineError(
            f"the released file {path} is gone; run its day again with `tagline run --as-of`"
        ) from error
    return {field.name: _data_type(path, field) for field in schema}


def _data_type(path: str, field: pyarrow.Field) -> DataType:
    from pyarrow import types

    kind = field.type
    for is_type, data_type in (
        (types.is_boolean, DataType.BOOLEAN),
        (types.is_integer, DataType.INTEGER),
        (types.is_floating, DataType.NUMBER),
        (types.is_decimal, DataType.NUMBER),
        (types.is_string, DataType.TEXT),
        (types.is_large_string, DataType.TEXT),
        (types.is_date, DataType.DATE),
        (types.is_timestamp, DataType.TIMESTAMP),
        (types.is_list, DataType.TEXT_LIST),
        (types.is_large_list, DataType.TEXT_LIST),
        (types.is_null, DataType.TEXT),
    ):
        if is_type(kind):
            return data_type
    raise TaglineError(f"{path}: column {field.name!r} has the unknown type {kind}")
