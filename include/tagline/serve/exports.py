"""Exports: the released wide table as a Parquet file for other programs."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tagline.engines import identifier
from tagline.errors import WrongUsage
from tagline.registry.schema import Release
from tagline.serve.released import KEYS, relation_of, tag_columns, wanted_release

if TYPE_CHECKING:
    from tagline.deployment import Deployment


def export(deployment: Deployment, path: str, as_of: datetime | None = None) -> int:
    """Write the live release, or that of an as_of, to `path`; the number of customers."""
    check_target(path)
    release = wanted_release(deployment.registry, as_of)
    return deployment.engine.write(tags_sql(release), {"tags": relation_of(release)}, path)


def tags_sql(release: Release, condition: str = "true") -> str:
    """SQL of the released table without its hidden columns, a row per customer in order."""
    names = ", ".join(identifier(name) for name in (*KEYS, *tag_columns(release)))
    return f"SELECT {names} FROM tags WHERE {condition} ORDER BY customer_id"


def check_target(path: str) -> None:
    """Refuse a target that is no Parquet file in an existing folder."""
    target = Path(path)
    if target.suffix != ".parquet":
        raise WrongUsage(f"{path!r}: exports are Parquet; name a file that ends in .parquet")
    if not target.absolute().parent.is_dir():
        raise WrongUsage(f"{path!r}: the folder {target.absolute().parent} does not exist")
