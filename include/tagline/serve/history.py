"""The releases as people look back at them: a page, one tag over them, a rollback's effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import defer

from tagline.errors import ReleaseRefused
from tagline.registry import Registry
from tagline.registry.schema import Release, ReleaseEvent

STATES = ("current", "withheld", "unavailable")


@dataclass(frozen=True)
class TagPoint:
    """A tag in the active release of one as_of."""

    release: int
    as_of: datetime
    version: str | None
    state: str | None
    coverage: float | None
    mean: float | None
    psi: float | None
    verdict: str | None


@dataclass(frozen=True)
class RollbackPlan:
    """What a rollback would do: the releases it withdraws, and the one that is live then."""

    live: int
    withdraws: tuple[int, ...]
    becomes: Release | None


def page_of_releases(registry: Registry, limit: int, skip: int = 0) -> tuple[list[Release], int]:
    """Releases by as_of, newest first, without their figures; and how many there are."""
    statement = (
        select(Release)
        .options(defer(Release.profile, raiseload=True))
        .order_by(Release.as_of.desc(), Release.id.desc())
        .limit(limit)
        .offset(skip)
    )
    with registry.session() as session:
        count = session.scalar(select(func.count()).select_from(Release)) or 0
        return list(session.scalars(statement)), count


def active_days(registry: Registry, limit: int) -> list[tuple[int, datetime]]:
    """The newest active releases with their as_of; the first is live."""
    statement = (
        select(Release.id, Release.as_of)
        .where(Release.status == "active")
        .order_by(Release.as_of.desc())
        .limit(limit)
    )
    with registry.session() as session:
        return [(row.id, row.as_of) for row in session.execute(statement)]


def tag_over_releases(registry: Registry, slug: str, limit: int) -> list[TagPoint]:
    """A tag in the newest active releases, the oldest first."""
    figures = Release.profile[slug]
    statement = (
        select(
            Release.id,
            Release.as_of,
            Release.tags[slug].label("entry"),
            figures["coverage"].label("coverage"),
            figures["mean"].label("mean"),
            figures["psi"].label("psi"),
            Release.gate["tags"][slug]["verdict"].label("verdict"),
        )
        .where(Release.status == "active")
        .order_by(Release.as_of.desc())
        .limit(limit)
    )
    with registry.session() as session:
        rows = session.execute(statement).all()
    return [
        TagPoint(
            release=row.id,
            as_of=row.as_of,
            version=(row.entry or {}).get("version"),
            state=(row.entry or {}).get("state"),
            coverage=row.coverage,
            mean=row.mean,
            psi=row.psi,
            verdict=row.verdict,
        )
        for row in reversed(rows)
    ]


def events_of(registry: Registry, release_id: int) -> Sequence[ReleaseEvent]:
    """Who did what to a release, and why, in order."""
    statement = select(ReleaseEvent).filter_by(release_id=release_id).order_by(ReleaseEvent.id)
    with registry.session() as session:
        return session.scalars(statement).all()


def rollback_plan(registry: Registry, to: int | None = None) -> RollbackPlan:
    """What `tagline.release.rollback` would do now; it changes nothing."""
    light = defer(Release.profile, raiseload=True)
    with registry.session() as session:
        active = session.scalars(
            select(Release).options(light).filter_by(status="active").order_by(Release.as_of.desc())
        ).all()
        if not active:
            raise ReleaseRefused("nothing is released, so there is nothing to roll back")
        live = active[0]
        if to is None:
            before = live.supersedes_id
            earlier = session.get(Release, before, options=[light]) if before else None
            if earlier is None or earlier.status != "superseded":
                earlier = active[1] if len(active) > 1 else None
            return RollbackPlan(live.id, (live.id,), earlier)
        target = session.get(Release, to, options=[light])
    if target is None or target.id == live.id or target.status not in ("active", "superseded"):
        raise ReleaseRefused(f"release {to} is not one to go back to; see `tagline releases`")
    later = tuple(r.id for r in active if r.as_of >= target.as_of and r.id != target.id)
    return RollbackPlan(live.id, later, target)


def states_of(release: Release) -> dict[str, int]:
    """How many tags of a release are current, withheld and unavailable."""
    states = [entry["state"] for entry in release.tags.values()]
    return {state: states.count(state) for state in STATES}
