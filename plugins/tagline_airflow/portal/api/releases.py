"""Releases: what was released, why it passed or not, what changed, and a steward's decisions."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, StringConstraints

from tagline.catalog import Catalog
from tagline.registry.schema import Release
from tagline.serve.changes import changes, comparable
from tagline.serve.history import (
    RollbackPlan,
    events_of,
    page_of_releases,
    rollback_plan,
    states_of,
)
from tagline_airflow.portal import security
from tagline_airflow.portal.answers import Answer
from tagline_airflow.portal.api.deployed import (
    OpenedDep,
    Steward,
    day_of,
    hidden_from,
    named,
)
from tagline_airflow.portal.security import User

router = APIRouter()
PAGE = 30
_DECISION = [security.changes, security.same_site]

Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=1000)]


class Rollback(BaseModel):
    """Withdraw the live release `expected_live`, or all releases after `to`."""

    model_config = ConfigDict(extra="forbid")
    reason: Reason
    expected_live: int
    to: int | None = None


class Activation(BaseModel):
    """Release a held or withdrawn release."""

    model_config = ConfigDict(extra="forbid")
    reason: Reason


@router.get("/releases")
def releases(opened: OpenedDep, skip: Annotated[int, Query(ge=0)] = 0) -> Answer:
    """`{live, total, releases}`, the newest as_of first."""
    live = opened.live()
    listed, total = page_of_releases(opened.registry, PAGE, skip)
    return Answer(
        {
            "live": None if live is None else _row(opened.catalog, live, live),
            "total": total,
            "skip": skip,
            "releases": [_row(opened.catalog, found, live) for found in listed],
        }
    )


@router.get("/releases/rollback")
def plan(opened: OpenedDep, to: int | None = None) -> Answer:
    """What rolling back would do: `{live, withdraws, becomes}`."""
    return Answer(_plan(opened.catalog, rollback_plan(opened.registry, to)))


@router.post("/releases/rollback", dependencies=_DECISION)
def rollback(wanted: Rollback, opened: OpenedDep, user: User) -> Answer:
    """Roll back; refused (409) if another release is live by now."""
    from tagline.release import rollback as roll_back

    now_live = roll_back(
        opened.deployment,
        wanted.reason,
        user.get_name(),
        opened.now(),
        wanted.to,
        wanted.expected_live,
    )
    return Answer({"live": _row(opened.catalog, now_live, now_live)})


@router.get("/releases/{release_id}")
def release(release_id: int, opened: OpenedDep, steward: Steward) -> Answer:
    """One release: its verdict with reasons, its tags, and who did what to it."""
    catalog, live = opened.catalog, opened.live()
    found = opened.release(release_id)
    hidden = hidden_from(steward, opened, found).values
    return Answer(
        {
            **_row(catalog, found, live),
            "tags": [_tag(catalog, slug, found, hidden) for slug in sorted(found.tags)],
            "models": found.models,
            "events": [
                {
                    "action": event.action,
                    "actor": event.actor,
                    "reason": event.reason,
                    "at": event.at,
                }
                for event in events_of(opened.registry, release_id)
            ],
        }
    )


@router.get("/releases/{release_id}/changes")
def changed(release_id: int, opened: OpenedDep, steward: Steward) -> Answer:
    """What changed against the release that it superseded, else against the day before it."""
    catalog, found = opened.catalog, opened.release(release_id)
    earlier = comparable(opened.registry, found)
    if earlier is None:
        return Answer({"earlier": None})
    engine = opened.deployment.engine
    made = opened.remembered(
        ("changes", earlier.id, found.id), lambda: changes(engine, earlier, found)
    )
    hidden = hidden_from(steward, opened, found).values
    tags = sorted(made.tags.items(), key=lambda each: -each[1].changed)
    return Answer(
        {
            "earlier": {"release": earlier.id, "day": day_of(catalog, earlier.as_of)},
            "customers": {"both": made.both, "came": made.came, "went": made.went},
            "tags": [
                {**named(catalog, slug), **asdict(moved), "changed": moved.changed}
                for slug, moved in tags
                if moved.changed and slug not in hidden
            ],
            "unchanged": sum(not moved.changed for _, moved in tags),
            "added": [named(catalog, slug) for slug in made.added],
            "removed": [named(catalog, slug) for slug in made.removed],
            "redefined": [named(catalog, slug) for slug in made.redefined],
        }
    )


@router.post("/releases/{release_id}/activate", dependencies=_DECISION)
def activate(release_id: int, wanted: Activation, opened: OpenedDep, user: User) -> Answer:
    """Release what the gate held, or what was withdrawn."""
    from tagline.release import activate as release_held

    made = release_held(opened.deployment, release_id, wanted.reason, user.get_name(), opened.now())
    return Answer({"release": _row(opened.catalog, made, opened.live())})


def _row(catalog: Catalog, found: Release, live: Release | None) -> dict[str, Any]:
    return {
        "release": found.id,
        "as_of": found.as_of,
        "day": day_of(catalog, found.as_of),
        "status": found.status,
        "live": live is not None and live.id == found.id,
        "customers": found.customers,
        "states": states_of(found),
        "verdict": found.gate.get("verdict"),
        "reasons": found.gate.get("reasons", []),
        "created_at": found.created_at,
        "activated_at": found.activated_at,
        "run": found.run_id,
        "supersedes": found.supersedes_id,
    }


def _plan(catalog: Catalog, made: RollbackPlan) -> dict[str, Any]:
    becomes = made.becomes
    return {
        "live": made.live,
        "withdraws": made.withdraws,
        "becomes": None
        if becomes is None
        else {"release": becomes.id, "day": day_of(catalog, becomes.as_of)},
    }


def _tag(catalog: Catalog, slug: str, found: Release, hidden: frozenset[str]) -> dict[str, Any]:
    entry, verdict = found.tags[slug], found.gate.get("tags", {}).get(slug, {})
    return {
        **named(catalog, slug),
        "state": entry["state"],
        "version": entry["version"],
        "as_of": entry["as_of"],
        "reason": None if slug in hidden else entry.get("reason"),
        "verdict": verdict.get("verdict"),
        "reasons": [] if slug in hidden else verdict.get("reasons", []),
    }
