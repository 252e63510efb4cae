"""How routes get at the deployment, and words that several of them use."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request

from tagline.catalog import Catalog
from tagline.registry.schema import Release
from tagline.serve.sensitivity import Restricted, restricted
from tagline_airflow.portal.opened import Opened
from tagline_airflow.portal.security import may_change


def serve(app: FastAPI, opened: Opened) -> None:
    """Let the routes of an application show this deployment."""
    app.state.opened = opened


async def _opened(request: Request) -> Opened:
    opened: Opened = request.app.state.opened
    return opened


OpenedDep = Annotated[Opened, Depends(_opened)]
Steward = Annotated[bool, Depends(may_change)]
NOTHING_HIDDEN = Restricted(frozenset(), frozenset())


def hidden_from(steward: bool, opened: Opened, release: Release | None) -> Restricted:
    """What the user may not see of a release."""
    if steward:
        return NOTHING_HIDDEN
    catalog, registry = opened.catalog, opened.registry
    released = release.tags if release is not None else {}
    key = ("restricted", opened.edition, release.id if release else None)
    found: Restricted = opened.remembered(key, lambda: restricted(catalog, registry, released))
    return found


def unit_of(catalog: Catalog, unit: str | None) -> str | None:
    """A tag's unit; that of money is the business's currency."""
    return catalog.definition.currency if unit == "currency" else unit


def day_of(catalog: Catalog, as_of: datetime) -> str:
    """The business day at whose start an as_of lies."""
    return catalog.day(as_of).isoformat()


def named(catalog: Catalog, slug: str) -> dict[str, Any]:
    """A tag's slug and names, for a link."""
    tag = catalog.tags.get(slug) or catalog.lacking.get(slug)
    return {"slug": slug, "name": tag.definition.name.model_dump() if tag else None}
