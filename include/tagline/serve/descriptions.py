"""What there is to say about a tag: its summary, its readers and its figures in a release."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tagline.catalog import Catalog, Tag
    from tagline.registry.schema import Release


def summary(tag: Tag) -> dict[str, Any]:
    """A tag in short, as lists show it."""
    definition = tag.definition
    return {
        "slug": tag.slug,
        "name": definition.name.model_dump(),
        "description": definition.description,
        "theme": tag.theme,
        "dimension": tag.dimension,
        "kind": definition.kind,
        "type": definition.type.value,
        "unit": definition.unit,
        "owner": definition.owner,
        "polarity": definition.polarity,
        "sensitivity": definition.sensitivity,
        "critical": definition.critical,
        "version": tag.version,
        "path": tag.path,
    }


def reading_tags(catalog: Catalog, slug: str) -> list[str]:
    """The tags that are made from a tag, without a step between."""
    return [other.slug for other in catalog.tags.values() if slug in other.reads]


def reading_models(catalog: Catalog, slug: str) -> list[str]:
    """The models that learn from a tag, or are compared with it."""
    return [
        name
        for name, model in catalog.models.items()
        if slug in model.features or slug in model.compared.values()
    ]


def scorecard(live: Release | None, slug: str) -> dict[str, Any] | None:
    """What the live release says of a tag: its state, figures and verdict."""
    if live is None or slug not in live.tags:
        return None
    verdict = live.gate.get("tags", {}).get(slug, {})
    return {
        "release": live.id,
        **live.tags[slug],
        "verdict": verdict.get("verdict"),
        "reasons": verdict.get("reasons", []),
        **live.profile.get(slug, {}),
    }
