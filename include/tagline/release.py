"""Releases: a candidate becomes a day's tags in one transaction, and can be rolled back."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from tagline.errors import ReleaseRefused
from tagline.registry.schema import LakePublication, ReleaseEvent
from tagline.registry.schema import Release as Release
from tagline.release_draft import draft_release
from tagline.serve.released import file_columns, files_of
from tagline.subjects import CUSTOMER, SUBJECTS

if TYPE_CHECKING:
    from tagline.deployment import Deployment

LOCK = "releases"  # one change of releases at a time
LAKE_TABLE = CUSTOMER.lake_table
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReleaseReport:
    """What the release stage made of a candidate; `live` is the id of the live release."""

    release: int
    status: str
    as_of: datetime
    live: int | None
    customers: int
    tags: int
    withheld: Mapping[str, str]
    unavailable: Mapping[str, str]
    reasons: tuple[str, ...]
    candidate: str
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """The report as a JSON object."""
        return {
            "release": self.release,
            "status": self.status,
            "as_of": self.as_of.isoformat(),
            "live": self.live,
            "customers": self.customers,
            "tags": self.tags,
            "withheld": dict(self.withheld),
            "unavailable": dict(self.unavailable),
            "reasons": list(self.reasons),
            "candidate": self.candidate,
            "seconds": round(self.seconds, 3),
        }


def release(
    deployment: Deployment, run_id: str, at: datetime, actor: str = "pipeline"
) -> ReleaseReport:
    """Release the audited candidate of a run, or keep it as held where the gate says so.

    The release row names all files and is written in one transaction that supersedes the active
    release of the same as_of. Withheld tags keep the values of the release before. Repeating the
    call for the same candidate makes no second release.
    """
    began = time.perf_counter()
    registry = deployment.registry
    run = registry.run(run_id)
    score, gate = registry.stage(run_id, "score"), registry.stage(run_id, "gate")
    with registry.session() as session:
        made = _made_from(session, run_id, score["path"])
    if made is None:
        draft = draft_release(deployment, run, score, gate, at)
        with registry.exclusive(LOCK) as session:
            made = _made_from(session, run_id, score["path"])  # by the same task, started twice
            if made is None:
                made = _enter(session, draft, actor, at)
        _say(made, "released" if made.status == "active" else "held", actor, f"run {run_id}")
    if made.status == "active":
        follow_lake(deployment, at)
        _fill_profiles(deployment, made, at)
    report = _report(deployment, made, score["path"], time.perf_counter() - began)
    registry.save_stage(run_id, "release", report.as_json(), report.seconds)
    status = "released" if made.status == "active" else "held"
    registry.finish_run(run_id, status, at, "; ".join(report.reasons) or None)
    return report


def activate(
    deployment: Deployment, release_id: int, reason: str, actor: str, at: datetime
) -> Release:
    """Release a held candidate, or one that was withdrawn, by a steward's decision."""
    _require_reason(reason)
    with deployment.registry.exclusive(LOCK) as session:
        found = _get(session, release_id)
        if found.status not in ("held", "withdrawn"):
            raise ReleaseRefused(
                f"release {release_id} is {found.status}; only a held or withdrawn one can be "
                "released. See `tagline releases`."
            )
        _activate(session, found, actor, reason, at)
    _say(found, "released", actor, reason)
    _follow(deployment, found, at)
    return found


def rollback(
    deployment: Deployment,
    reason: str,
    actor: str,
    at: datetime,
    to: int | None = None,
    expected: int | None = None,
) -> Release:
    """Withdraw the live release and return the one that is live then.

    The release that it superseded is restored, else the earlier day is live again. With `to`,
    every release after that one is withdrawn. With `expected`, the call is refused unless that
    release is live: two people who decide at once roll back once. The cost does not depend on
    the number of customers; the lake follows by one commit per changed day.
    """
    _require_reason(reason)
    with deployment.registry.exclusive(LOCK) as session:
        live = _live(session)
        if live is None:
            raise ReleaseRefused("nothing is released, so there is nothing to roll back")
        if expected is not None and live.id != expected:
            raise ReleaseRefused(
                f"release {live.id} is live, no longer {expected}: look at it, then decide again"
            )
        if to is None:
            _withdraw(session, live, actor, reason, at)
            earlier = session.get(Release, live.supersedes_id) if live.supersedes_id else None
            if earlier is not None and earlier.status == "superseded":
                _restore(session, earlier, actor, reason, at)
        else:
            _roll_back_to(session, to, live, actor, reason, at)
        now_live = _live(session)
        if now_live is None:
            raise ReleaseRefused(
                f"release {live.id} is the only one: after it nothing would be served. "
                "Run a day again with `tagline run --as-of` instead."
            )
    log.warning(
        "%s rolled release %s back, release %s is live: %s",
        actor,
        live.id,
        now_live.id,
        reason,
        extra={"release": now_live.id, "withdrawn": live.id, "actor": actor, "reason": reason},
    )
    _follow(deployment, now_live, at)
    return now_live


def follow_lake(deployment: Deployment, at: datetime) -> None:
    """Bring the Iceberg tables of released tags in line with the active releases.

    Only days that changed are committed; repeating the call changes nothing.
    """
    registry = deployment.registry
    with registry.lock("lake:" + LAKE_TABLE):
        with registry.session() as session:
            active = {
                r.as_of: r for r in session.scalars(select(Release).filter_by(status="active"))
            }
            shown = {p.as_of: p.release_id for p in session.scalars(select(LakePublication))}
        for as_of in sorted(active.keys() | shown.keys()):
            wanted = active.get(as_of)
            wanted_id = wanted.id if wanted else None
            if shown.get(as_of) == wanted_id:
                continue
            for subject in SUBJECTS.values():
                files: tuple[str, ...] = ()
                if wanted is not None and subject.name in wanted.files:
                    files = files_of(wanted, subject)
                table = subject.lake_table
                if files:
                    deployment.lake.ensure(table, file_columns(files[0]), partition_by="as_of")
                if files or deployment.lake.exists(table):
                    deployment.lake.replace(table, "as_of", as_of, files)
            values = {"release_id": wanted_id, "published_at": at}
            with registry.session() as session:
                session.execute(
                    insert(LakePublication)
                    .values(as_of=as_of, **values)
                    .on_conflict_do_update(index_elements=[LakePublication.as_of], set_=values)
                )


# The candidate


def _made_from(session: Session, run_id: str, candidate: str) -> Release | None:
    return session.scalars(
        select(Release)
        .filter_by(run_id=run_id, candidate=candidate)
        .where(Release.status.in_(("active", "held")))
        .order_by(Release.id.desc())
        .limit(1)
    ).first()


def _report(deployment: Deployment, made: Release, candidate: str, seconds: float) -> ReleaseReport:
    live = deployment.registry.live()
    by_state: dict[str, dict[str, str]] = {"current": {}, "withheld": {}, "unavailable": {}}
    for slug, entry in made.tags.items():
        by_state[entry["state"]][slug] = entry.get("reason", "")
    return ReleaseReport(
        release=made.id,
        status=made.status,
        as_of=made.as_of,
        live=live.id if live else None,
        customers=made.customers,
        tags=len(by_state["current"]),
        withheld=by_state["withheld"],
        unavailable=by_state["unavailable"],
        reasons=tuple(made.gate["reasons"]),
        candidate=candidate,
        seconds=seconds,
    )


# Steps of a release's life, each inside a transaction that holds LOCK


def _enter(session: Session, draft: Release, actor: str, at: datetime) -> Release:
    """Add a release row, active or held as the gate has it."""
    verdict, draft.status = draft.status, "held"
    session.add(draft)
    session.flush()
    if verdict == "active":
        _activate(session, draft, actor, f"run {draft.run_id}", at)
    else:
        _note(session, draft, "held", actor, "; ".join(draft.gate["reasons"]), at)
    return draft


def _activate(session: Session, new: Release, actor: str, reason: str, at: datetime) -> None:
    active = session.scalars(
        select(Release).filter_by(status="active", as_of=new.as_of).where(Release.id != new.id)
    ).first()
    new.supersedes_id = active.id if active else None
    if active is not None:
        active.status = "superseded"
        session.flush()  # before the new one is active: an as_of has one active release
        _note(session, active, "superseded", actor, f"by release {new.id}: {reason}", at)
    new.status, new.activated_at = "active", at
    _note(session, new, "activated", actor, reason, at)
    session.flush()


def _withdraw(session: Session, old: Release, actor: str, reason: str, at: datetime) -> None:
    old.status = "withdrawn"
    _note(session, old, "withdrawn", actor, reason, at)
    session.flush()


def _restore(session: Session, old: Release, actor: str, reason: str, at: datetime) -> None:
    old.status, old.activated_at = "active", at
    _note(session, old, "restored", actor, reason, at)
    session.flush()


def _roll_back_to(
    session: Session, to: int, live: Release, actor: str, reason: str, at: datetime
) -> None:
    target = _get(session, to)
    if target.id == live.id:
        raise ReleaseRefused(f"release {to} is live already")
    if target.status not in ("active", "superseded"):
        raise ReleaseRefused(
            f"release {to} is {target.status}; to release it again use "
            f"`tagline release {to} --reason TEXT`"
        )
    later = select(Release).filter_by(status="active").where(Release.as_of >= target.as_of)
    for found in session.scalars(later).all():
        if found.id != target.id:
            _withdraw(session, found, actor, reason, at)
    if target.status == "superseded":
        _restore(session, target, actor, reason, at)


def _live(session: Session) -> Release | None:
    return session.scalars(
        select(Release).filter_by(status="active").order_by(Release.as_of.desc()).limit(1)
    ).first()


def _get(session: Session, release_id: int) -> Release:
    found = session.get(Release, release_id)
    if found is None:
        raise ReleaseRefused(f"there is no release {release_id}; see `tagline releases`")
    return found


def _note(
    session: Session, about: Release, action: str, actor: str, reason: str, at: datetime
) -> None:
    session.add(ReleaseEvent(release_id=about.id, action=action, actor=actor, reason=reason, at=at))


def _say(about: Release, action: str, actor: str, reason: str) -> None:
    """Log a step that is done: its transaction has been committed."""
    log.info(
        "release %s as of %s is %s by %s: %s",
        about.id,
        about.as_of.isoformat(),
        action,
        actor,
        reason,
        extra={"release": about.id, "action": action, "actor": actor, "reason": reason},
    )


def _require_reason(reason: str) -> None:
    if not reason.strip():
        raise ReleaseRefused("a reason is needed; it is kept with the release")


# Followers


def _follow(deployment: Deployment, changed: Release, at: datetime) -> None:
    """Let the lake follow a person's decision, which holds even while the lake cannot."""
    try:
        follow_lake(deployment, at)
    except Exception:
        log.exception(
            "release %s holds, but the Iceberg table %s does not follow yet; "
            "the next release brings it in line",
            changed.id,
            LAKE_TABLE,
        )


def _fill_profiles(deployment: Deployment, made: Release, at: datetime) -> None:
    """Put the release into the profile store if it is live."""
    live = deployment.registry.live()
    if live is not None and live.id == made.id:
        from tagline.serve.store import open_profile_store

        with open_profile_store(deployment.settings) as store:
            store.load(deployment.engine, made, at)
