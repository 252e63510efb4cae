"""The audit stage: each tag of a candidate measured, and compared with an earlier release."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tagline.audit.measures import Measured, count_rows, measure
from tagline.audit.profile import AuditReport, Earlier, TagProfile
from tagline.audit.stability import Movement, compare, shown_bound
from tagline.subject_candidates import candidates
from tagline.subjects import CUSTOMER, Subject

if TYPE_CHECKING:
    from tagline.catalog import Catalog, Tag
    from tagline.deployment import Deployment
    from tagline.registry.schema import Release

__all__ = ["AuditReport", "Earlier", "TagProfile", "audit"]

OLDEST = timedelta(days=7)
NEWEST = timedelta(days=1)


def audit(deployment: Deployment, run_id: str, as_of: datetime, at: datetime) -> AuditReport:
    """Measure every tag of the run's scored candidate and check its quality limits.

    Stability is measured against the newest active release of 1 to 7 days before as_of; there
    is none on the first day. Failures are kept for the gate, which decides; none is raised.
    """
    from tagline.quality.profiles import check_tag_profile

    started = time.perf_counter()
    catalog, engine = deployment.catalog, deployment.engine
    score = deployment.registry.stage(run_id, "score")
    made = candidates(score)
    earlier = earlier_release(deployment, as_of)
    profiles: tuple[TagProfile, ...] = ()
    for subject, path in made.items():
        tags = catalog.tags_of(subject)
        tags = {s: t for s, t in tags.items() if s not in score.get("unavailable", {})}
        profiles += _measured(deployment, subject, (path,), tags, earlier)
    rows = count_rows(engine, (made[CUSTOMER],))
    limits = {profile.slug: catalog.tags[profile.slug].definition.quality for profile in profiles}
    failures, docs = check_tag_profile(deployment, profiles, limits, run_id, at)
    report = AuditReport(
        run_id=run_id,
        as_of=as_of,
        customers=rows,
        tags=tuple(replace(p, failures=failures.get(p.slug, ())) for p in profiles),
        compared_with=None if earlier is None else Earlier(earlier.id, earlier.as_of),
        docs=docs,
        seconds=time.perf_counter() - started,
        drift={
            model: scored["drift"]
            for model, scored in score.get("models", {}).items()
            if scored.get("drift")
        },
    )
    deployment.registry.save_stage(run_id, "audit", report.as_json(), report.seconds)
    return report


def _measured(
    deployment: Deployment,
    subject: Subject,
    files: tuple[str, ...],
    tags: dict[str, Tag],
    earlier: Release | None,
) -> tuple[TagProfile, ...]:
    """The profiles of a subject's tags, without the failures."""
    engine = deployment.engine
    columns = {slug: tag.definition.type for slug, tag in tags.items()}
    declared = {s: t.definition.values for s, t in tags.items() if t.definition.values}
    rows = count_rows(engine, files, subject.key)
    measured = measure(engine, files, columns, rows, declared)
    moved: dict[str, Movement] = {}
    if earlier is not None and subject.name in earlier.files:
        moved = _moved(deployment, subject, files, tags, rows, earlier)
    return tuple(
        _profile(tag, rows, measured[slug], moved.get(slug), earlier) for slug, tag in tags.items()
    )


def earlier_release(deployment: Deployment, as_of: datetime) -> Release | None:
    """The newest active release of 1 to 7 business days before as_of."""
    catalog = deployment.catalog
    newest = _days_before(catalog, as_of, NEWEST)
    found = deployment.registry.release_before(newest + timedelta(microseconds=1))
    if found is None or found.as_of < _days_before(catalog, as_of, OLDEST):
        return None
    return found


def _days_before(catalog: Catalog, as_of: datetime, days: timedelta) -> datetime:
    """The same time of day some business days earlier, whatever the length of those days."""
    return (as_of.astimezone(catalog.zone) - days).astimezone(UTC)


def _moved(
    deployment: Deployment,
    subject: Subject,
    files: tuple[str, ...],
    tags: dict[str, Tag],
    rows: int,
    earlier: Release,
) -> dict[str, Movement]:
    from tagline.serve.released import files_of, tag_columns

    released = tag_columns(earlier, subject)
    both = {
        slug: tag.definition.type
        for slug, tag in tags.items()
        if released.get(slug) is tag.definition.type
    }
    if not both:
        return {}
    before = files_of(earlier, subject)
    most = max(rows, count_rows(deployment.engine, before, subject.key))
    measured = measure(deployment.engine, before, both, most)
    return compare(deployment.engine, files, before, both, measured, most, subject.key)


def _profile(
    tag: Tag, rows: int, found: Measured, moved: Movement | None, earlier: Release | None
) -> TagProfile:
    version = (earlier.tags.get(tag.slug, {}) if earlier else {}).get("version")
    return TagProfile(
        slug=tag.slug,
        type=tag.definition.type,
        version=tag.version,
        rows=rows,
        present=found.present,
        distinct=found.distinct,
        minimum=shown_bound(found.minimum),
        maximum=shown_bound(found.maximum),
        mean=found.mean,
        deciles=tuple(map(shown_bound, found.deciles)),
        true_share=found.true_share,
        top=tuple((value, count / rows) for value, count in found.top),
        not_finite=found.not_finite,
        undeclared=found.undeclared,
        psi=moved.psi if moved else None,
        changed=moved.changed if moved else None,
        redefined=version is not None and version != tag.version,
    )
