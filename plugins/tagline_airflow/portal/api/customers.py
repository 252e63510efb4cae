"""Customers: finding one by id, and its profile."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, TypeAdapter

from tagline.catalog import Catalog
from tagline.definitions import AnyTag
from tagline.registry import Registry
from tagline.registry.schema import Release
from tagline.serve.history import active_days
from tagline.serve.released import subject_of
from tagline.subjects import CUSTOMER
from tagline_airflow.portal.answers import Answer
from tagline_airflow.portal.api.deployed import (
    OpenedDep,
    Steward,
    day_of,
    hidden_from,
    unit_of,
)
from tagline_airflow.portal.opened import Opened

router = APIRouter()
LISTED = 12  # ids that a search suggests
DAYS = 60  # days that the page offers
_TAG: TypeAdapter[AnyTag] = TypeAdapter(AnyTag)


@router.get("/customers")
def customers(opened: OpenedDep, prefix: Annotated[str, Query(max_length=200)] = "") -> Answer:
    """The first customers of the live release whose id begins with `prefix`, and the days."""
    days = active_days(opened.registry, DAYS)
    ids = opened.store.ids_from(days[0][0], prefix, LISTED) if days else []
    catalog = opened.catalog
    shown = [{"as_of": as_of, "day": day_of(catalog, as_of)} for _, as_of in days]
    return Answer({"customers": ids, "days": shown})


@router.get("/profile")
def profile(
    opened: OpenedDep,
    steward: Steward,
    customer_id: Annotated[str, Query(min_length=1, max_length=200)],
    as_of: AwareDatetime | None = None,
) -> Answer:
    """Every tag of a customer as released: value, unit, age, version and reason."""
    found = opened.reader.profile(customer_id, as_of, opened.now())
    key = ("profile", opened.edition, found["release"], steward)
    fixed: _Fixed = opened.remembered(key, lambda: _Fixed(opened, found["release"], steward))
    tags = [
        {**about, **_values(slug, found["tags"][slug], fixed)}
        for slug, about in fixed.tags.items()
        if slug in found["tags"]
    ]
    return Answer(
        {
            "customer_id": customer_id,
            "release": found["release"],
            "as_of": found["as_of"],
            "day": fixed.day,
            "tags": tags,
            "unavailable": fixed.unavailable,
        }
    )


class _Fixed:
    """What a profile says of each tag that is the same for every customer of a release."""

    def __init__(self, opened: Opened, release_id: int, steward: bool) -> None:
        catalog, release = opened.catalog, opened.release(release_id)
        hidden = hidden_from(steward, opened, release)
        self.values, self.reasons = hidden.values, hidden.reasons
        self.day = day_of(catalog, release.as_of)
        self.tags = dict(
            sorted(
                (
                    (slug, _about(catalog, opened.registry, slug, entry))
                    for slug, entry in release.tags.items()
                    if entry["state"] != "unavailable" and subject_of(entry) is CUSTOMER
                ),
                key=lambda each: (each[1]["theme"] or "~", each[1]["dimension"] or "", each[0]),
            )
        )
        self.unavailable = _unavailable(catalog, release)


def _values(slug: str, told: Mapping[str, Any], fixed: _Fixed) -> dict[str, Any]:
    if slug in fixed.values:
        hidden = {"hidden": True, "value": None, "expired": told["expired"]}
        return {**hidden, "because": None, "because_zh": None}
    said = {} if slug in fixed.reasons else told
    return {
        "hidden": False,
        "value": told["value"],
        "expired": told["expired"],
        "because": said.get("because"),
        "because_zh": said.get("because_zh"),
    }


def _about(
    catalog: Catalog, registry: Registry, slug: str, entry: Mapping[str, Any]
) -> dict[str, Any]:
    """A released tag by the definition that made its values, which may not be today's."""
    tag, version = catalog.tags.get(slug), entry["version"]
    definition = tag.definition if tag is not None else None
    if version is not None and (tag is None or tag.version != version):
        definition = _TAG.validate_python(registry.definition_of(slug, version))
    made = datetime.fromisoformat(entry["as_of"]) if entry["as_of"] else None
    return {
        "slug": slug,
        "name": definition.name.model_dump() if definition else {"en": slug, "zh": slug},
        "theme": tag.theme if tag else None,
        "dimension": tag.dimension if tag else None,
        "type": definition.type.value if definition else None,
        "unit": unit_of(catalog, definition.unit) if definition else None,
        "polarity": definition.polarity if definition else None,
        "state": entry["state"],
        "withheld_because": entry.get("reason"),
        "version": version,
        "made_as_of": made,
        "made_day": day_of(catalog, made) if made else None,
        **_expiry(catalog, made + definition.valid_for if made and definition else None),
    }


def _expiry(catalog: Catalog, until: datetime | None) -> dict[str, Any]:
    """The instant, and the day where it is the start of one."""
    if until is None:
        return {"expires_at": None, "expires_day": None}
    whole = catalog.midnight(catalog.day(until)) == until
    return {"expires_at": until, "expires_day": day_of(catalog, until) if whole else None}


def _unavailable(catalog: Catalog, release: Release) -> list[dict[str, Any]]:
    known = {**catalog.lacking, **catalog.tags}
    return [
        {
            "slug": slug,
            "name": known[slug].definition.name.model_dump() if slug in known else None,
            "reason": entry.get("reason"),
        }
        for slug, entry in sorted(release.tags.items())
        if entry["state"] == "unavailable"
    ]
