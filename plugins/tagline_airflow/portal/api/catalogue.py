"""The catalogue: every tag of the business, whether it has values, and why not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter

from tagline.catalog import Catalog, Tag
from tagline.registry.schema import Release
from tagline.serve.descriptions import summary
from tagline_airflow.portal.answers import Answer
from tagline_airflow.portal.api.deployed import OpenedDep, Steward, day_of, hidden_from, unit_of

router = APIRouter()


@router.get("/catalogue")
def catalogue(opened: OpenedDep, steward: Steward) -> Answer:
    """`{live, themes, tags, faults}`; a tag's state is that in the live release."""
    catalog, live = opened.catalog, opened.live()
    hidden = hidden_from(steward, opened, live).values
    known = {**catalog.lacking, **catalog.tags}
    listed = [_entry(catalog, tag, live) for tag in known.values()]
    for entry in listed:
        entry["hidden"] = entry["slug"] in hidden
    listed.sort(key=lambda each: (each["theme"], each["dimension"], each["slug"]))
    return Answer(
        {
            "live": live_release(catalog, live),
            "themes": [
                {
                    "slug": slug,
                    "name": theme.name.model_dump(),
                    "description": theme.description,
                    "dimensions": {
                        name: names.model_dump() for name, names in theme.dimensions.items()
                    },
                }
                for slug, theme in catalog.themes.items()
                if any(entry["theme"] == slug for entry in listed)
            ],
            "tags": listed,
            "faults": [str(fault) for fault in opened.faults],
        }
    )


def live_release(catalog: Catalog, live: Release | None) -> dict[str, Any] | None:
    """The live release in short."""
    if live is None:
        return None
    return {
        "release": live.id,
        "as_of": live.as_of,
        "day": day_of(catalog, live.as_of),
        "customers": live.customers,
    }


def _entry(catalog: Catalog, tag: Tag, live: Release | None) -> dict[str, Any]:
    released: Mapping[str, Any] = (live.tags if live else {}).get(tag.slug, {})
    return {
        **summary(tag),
        "unit": unit_of(catalog, tag.definition.unit),
        **state_of(catalog, tag.slug, released),
        "coverage": (live.profile if live else {}).get(tag.slug, {}).get("coverage"),
    }


def state_of(catalog: Catalog, slug: str, released: Mapping[str, Any]) -> dict[str, Any]:
    """`{state, reason, live_version}`: as released, or why the business cannot have it.

    States: current, withheld, unavailable, and unreleased where no run has seen the tag yet.
    """
    if slug in catalog.unavailable:
        return {"state": "unavailable", "reason": catalog.unavailable[slug], "live_version": None}
    if not released:
        return {"state": "unreleased", "reason": None, "live_version": None}
    return {
        "state": released["state"],
        "reason": released.get("reason"),
        "live_version": released.get("version"),
    }
