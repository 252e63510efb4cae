"""The values that a tag's definition of today would have in the live release's population."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagline.audit.measures import count_rows, measure
from tagline.catalog import Tag
from tagline.definitions import DataType
from tagline.engines import Relation, identifier
from tagline.errors import ModelRefused, WrongUsage
from tagline.scratch import scratch_folder
from tagline.serve.reasons import reason_of, told_tags
from tagline.serve.released import files_of, tag_columns, wanted_release

if TYPE_CHECKING:
    from tagline.deployment import Deployment
    from tagline.registry.schema import Release

ROWS = 10


def preview(deployment: Deployment, slug: str, rows: int = ROWS) -> dict[str, Any]:
    """What a definition gives as of the live release, without a release; writes to scratch only.

    `{tag, version, release, as_of, live_version, summary, compared, rows, seconds}`: `summary`
    tells the spread of the values, `compared` how many are those of the live release (None
    where that has none of this type), and `rows` shows some with the reason, differing ones
    first.
    """
    began = time.perf_counter()
    catalog = deployment.catalog
    if slug in catalog.unavailable:
        raise WrongUsage(f"{slug} is unavailable: {catalog.unavailable[slug]}")
    tag = catalog.tag(slug)
    release = wanted_release(deployment.registry, None)
    with scratch_folder(deployment.settings, "preview") as folder:
        draft = _computed(deployment, release, tag, folder)
        live = _released(release, tag)
        document = {
            "tag": slug,
            "version": tag.version,
            "release": release.id,
            "as_of": release.as_of.isoformat(),
            "live_version": release.tags.get(slug, {}).get("version") if live else None,
            "summary": _summary(deployment, tag, draft),
            "compared": _compared(deployment, tag, draft, live) if live else None,
            "rows": _rows(deployment, release, tag, draft, live, rows),
        }
    return document | {"seconds": round(time.perf_counter() - began, 3)}


def _computed(deployment: Deployment, release: Release, tag: Tag, folder: Path) -> Relation:
    """A file of the tag, of all that it reads and of what its reason tells, hidden columns too."""
    from tagline.plan.computed import compute_needed

    told = sorted(told_tags(tag.definition) & deployment.catalog.tags.keys() - {tag.slug})
    found = compute_needed(
        deployment, release, [tag.slug, *told], frozenset(), folder, same_population=False
    )
    if tag.slug in found.unavailable:
        raise ModelRefused(f"{tag.slug}: {found.unavailable[tag.slug]}")
    return found.relations[tag.subject]


def _released(release: Release, tag: Tag) -> Relation | None:
    """The live values of the tag; None where there are none of its type."""
    if tag.subject.name not in release.files:
        return None
    if tag_columns(release, tag.subject).get(tag.slug) is not tag.definition.type:
        return None
    columns = {tag.subject.key: DataType.TEXT, tag.slug: tag.definition.type}
    return Relation(files_of(release, tag.subject), columns)


def _summary(deployment: Deployment, tag: Tag, draft: Relation) -> dict[str, Any]:
    kind, engine = tag.definition.type, deployment.engine
    size = count_rows(engine, draft.files, tag.subject.key)
    found = measure(engine, draft.files, {tag.slug: kind}, size)[tag.slug]
    return {
        "rows": size,
        "present": found.present,
        "coverage": found.present / size if size else 0.0,
        "distinct": found.distinct,
        "min": found.minimum,
        "max": found.maximum,
        "mean": found.mean,
        "quantiles": list(found.deciles),
        "top": [list(each) for each in found.top],
    }


def _compared(deployment: Deployment, tag: Tag, draft: Relation, live: Relation) -> dict[str, Any]:
    """Customers by what becomes of their live value."""
    key = identifier(tag.subject.key)
    new, old = f"draft.{identifier(tag.slug)}", f"live.{identifier(tag.slug)}"
    sql = (
        f"SELECT count(CASE WHEN {new} IS NOT DISTINCT FROM {old} THEN 1 END) AS same, "
        f"count(CASE WHEN {old} IS NULL AND {new} IS NOT NULL THEN 1 END) AS gains, "
        f"count(CASE WHEN {old} IS NOT NULL AND {new} IS NULL THEN 1 END) AS loses, "
        f"count(CASE WHEN {old} <> {new} THEN 1 END) AS changes "
        f"FROM draft LEFT JOIN live ON live.{key} = draft.{key}"
    )
    found: dict[str, Any]
    (found,) = deployment.engine.fetch(sql, {"draft": draft, "live": live}).to_pylist()
    return found


def _rows(
    deployment: Deployment,
    release: Release,
    tag: Tag,
    draft: Relation,
    live: Relation | None,
    count: int,
) -> list[dict[str, Any]]:
    """Some customers with the draft's value, the reason and the live value."""
    key, value = identifier(tag.subject.key), identifier(tag.slug)
    order, joined, shown = f"{value} IS NULL", "", "NULL AS live"
    found = {"draft": draft}
    if live is not None:
        found["live"] = live
        joined = f" LEFT JOIN live ON live.{key} = draft.{key}"
        shown = f"live.{value} AS live"
        order = f"draft.{value} IS NOT DISTINCT FROM live.{value}, draft.{value} IS NULL"
    sql = f"SELECT draft.*, {shown} FROM draft{joined} ORDER BY {order}, draft.{key} LIMIT {count}"
    because = reason_of(tag.slug, tag.definition, release.models)

    def told(row: Mapping[str, Any]) -> dict[str, Any]:
        found = {tag.subject.key: row[tag.subject.key], "value": row[tag.slug]}
        found["because"] = because(row)
        return found if live is None else found | {"live": row["live"]}

    return [told(row) for row in deployment.engine.fetch(sql, found).to_pylist()]
