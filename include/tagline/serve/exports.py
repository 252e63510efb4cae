"""Exports: the released wide table as a Parquet file for other programs."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tagline.engines import identifier
from tagline.errors import WrongUsage
from tagline.registry.schema import Release
from tagline.serve.released import keys_of, relation_of, tag_columns, wanted_release
from tagline.subjects import CUSTOMER, Subject

if TYPE_CHECKING:
    from tagline.deployment import Deployment


def export(
    deployment: Deployment,
    path: str,
    as_of: datetime | None = None,
    subject: Subject = CUSTOMER,
) -> int:
    """Write a subject's table of the live release, or that of an as_of; the number of rows."""
    check_target(path)
    release = wanted_release(deployment.registry, as_of)
    sql, relation = tags_sql(release, subject=subject), relation_of(release, subject)
    return deployment.engine.write(sql, {"tags": relation}, path)


def tags_sql(release: Release, condition: str = "true", subject: Subject = CUSTOMER) -> str:
    """SQL of a released table without its hidden columns, a row per subject in order."""
    columns = (*keys_of(subject), *tag_columns(release, subject))
    names = ", ".join(identifier(name) for name in columns)
    return f"SELECT {names} FROM tags WHERE {condition} ORDER BY {subject.key}"


def check_target(path: str) -> None:
    """Refuse a target that is no Parquet file in an existing folder."""
    target = Path(path)
    if target.suffix != ".parquet":
        raise WrongUsage(f"{path!r}: exports are Parquet; name a file that ends in .parquet")
    if not target.absolute().parent.is_dir():
        raise WrongUsage(f"{path!r}: the folder {target.absolute().parent} does not exist")
