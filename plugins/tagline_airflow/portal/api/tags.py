"""One tag: what it means, how it is spread, where it comes from, how it fared."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter

from tagline.catalog import Catalog, Tag
from tagline.definitions import ModelTag, RankTag
from tagline.errors import UnknownName
from tagline.registry.schema import Release
from tagline.serve.descriptions import reading_models, reading_tags, scorecard, summary
from tagline.serve.distributions import distribution
from tagline.serve.history import tag_over_releases
from tagline.serve.released import subject_of, tag_columns
from tagline_airflow.portal.answers import Answer
from tagline_airflow.portal.api.catalogue import live_release, state_of
from tagline_airflow.portal.api.deployed import (
    OpenedDep,
    Steward,
    day_of,
    hidden_from,
    named,
    unit_of,
)
from tagline_airflow.portal.opened import Opened

router = APIRouter()
POINTS = 90  # releases that a line shows


@router.get("/tags/{slug}")
def tag(slug: str, opened: OpenedDep, steward: Steward) -> Answer:
    """All there is to say about a tag but its distribution."""
    catalog, live = opened.catalog, opened.live()
    found = _tag(catalog, slug)
    hidden = slug in hidden_from(steward, opened, live).values
    theme = catalog.themes.get(found.theme)
    released = (live.tags if live else {}).get(slug, {})
    card = scorecard(live, slug)
    return Answer(
        {
            **summary(found),
            "unit": unit_of(catalog, found.definition.unit),
            "theme_name": theme.name.model_dump() if theme else None,
            "dimension_name": theme.dimensions[found.dimension].model_dump() if theme else None,
            "valid_for_seconds": found.definition.valid_for.total_seconds(),
            "values": found.definition.values,
            "definition": catalog.tag_text(found),
            "hidden": hidden,
            "live": live_release(catalog, live),
            **state_of(catalog, slug, released),
            "figures": None if hidden else card,
            "sql": _sql(opened, found, live),
            "lineage": _lineage(catalog, found),
            "versions": [
                {
                    "version": version.version,
                    "state": state.state if state else None,
                    "actor": state.actor if state else None,
                    "reason": state.reason if state else None,
                    "first_seen_at": version.first_seen_at,
                    "defined": version.version == found.version,
                    "live": version.version == released.get("version"),
                }
                for version, state in opened.registry.tag_versions(slug)
            ],
            "history": [
                {
                    **asdict(point),
                    "mean": None if hidden else point.mean,
                    "day": day_of(catalog, point.as_of),
                }
                for point in tag_over_releases(opened.registry, slug, POINTS)
            ],
        }
    )


@router.get("/tags/{slug}/distribution")
def spread(slug: str, opened: OpenedDep, steward: Steward) -> Answer:
    """The distribution in the live release; `shape` is null where it has none to show."""
    catalog, live = opened.catalog, opened.live()
    _tag(catalog, slug)
    nothing = {"shape": None, "hidden": False}
    if slug in hidden_from(steward, opened, live).values:
        return Answer(nothing | {"hidden": True})
    kind = None
    if live is not None and slug in live.tags:
        kind = tag_columns(live, subject_of(live.tags[slug])).get(slug)
    if live is None or kind is None:
        return Answer(nothing)
    engine = opened.deployment.engine
    found = opened.remembered(
        ("distribution", live.id, slug),
        lambda: asdict(distribution(engine, live, slug, kind)),
    )
    return Answer({**found, "hidden": False, "live": live_release(catalog, live)})


def _tag(catalog: Catalog, slug: str) -> Tag:
    found = catalog.tags.get(slug) or catalog.lacking.get(slug)
    if found is None:
        raise UnknownName("tag", slug, {**catalog.tags, **catalog.lacking})
    return found


def _sql(opened: Opened, tag: Tag, live: Release | None) -> dict[str, Any]:
    """The SQL that computes the tag, or why there is none; `step` is that over other tags alone."""
    from tagline.compile.plan import compile_over, compile_tags

    catalog = opened.catalog
    if tag.slug in catalog.lacking:
        return {"text": None, "note": "lacking"}
    if isinstance(tag.definition, ModelTag):
        return {"text": None, "note": "model", "model": tag.definition.model}
    at = live.as_of if live else catalog.midnight(catalog.day(opened.now()))

    def make() -> dict[str, Any]:
        if catalog.needs_model(tag.slug):
            note = "rank" if isinstance(tag.definition, RankTag) else "rule"
            return {"text": compile_over(catalog, at, tag).sql, "note": note}
        return {"text": compile_tags(catalog, at, [tag.slug]).sql, "note": None}

    found: dict[str, Any] = opened.remembered(("sql", tag.slug, tag.version, at), make)
    return {**found, "as_of": at}


def _lineage(catalog: Catalog, tag: Tag) -> dict[str, Any]:
    """What the tag is made from, and what is made from it."""
    definition = tag.definition
    derived = catalog.derived.get(tag.table or "")
    return {
        "table": None
        if tag.table is None
        else {
            "name": tag.table,
            "sources": catalog.feeds(tag.table),
            "from_tables": derived.tables if derived is not None else (),
        },
        "model": definition.model if isinstance(definition, ModelTag) else None,
        "reads": [named(catalog, slug) for slug in tag.reads],
        "read_by": [named(catalog, slug) for slug in reading_tags(catalog, tag.slug)],
        "models": reading_models(catalog, tag.slug),
    }
