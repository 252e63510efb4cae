"""The gate stage: what of a candidate may be released.

A tag that breaks a quality limit is withheld, with all tags made from it: they keep their last
released values. A tag that moved too far warns. A critical tag that cannot be released holds
the whole candidate for a steward.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from tagline.definitions.tag import ModelTag

if TYPE_CHECKING:
    from tagline.catalog import Catalog, Tag
    from tagline.definitions.models import DriftLimits
    from tagline.definitions.tag import Stability
    from tagline.deployment import Deployment

Verdict = Literal["pass", "warn", "withhold"]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Judged:
    """What the gate knows of one tag: its limits' failures, its movement, what it is made from."""

    reads: tuple[str, ...] = ()
    critical: bool = False
    failures: tuple[str, ...] = ()  # quality limits that do not hold
    movements: tuple[str, ...] = ()  # stability limits that do not hold
    unavailable: str | None = None  # why this run has no values of it


@dataclass(frozen=True)
class TagVerdict:
    """The verdict on one tag; reasons are sentences with what, limit and actual."""

    verdict: Verdict
    reasons: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The verdict as a JSON object."""
        return {"verdict": self.verdict, "reasons": list(self.reasons)}


@dataclass(frozen=True)
class GateReport:
    """The verdict on a candidate, its reasons, and the verdict on each tag that it has."""

    verdict: Literal["pass", "warn", "hold"]
    reasons: tuple[str, ...]
    tags: Mapping[str, TagVerdict]
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """The report as a JSON object, as it is kept with the run and with the release."""
        return {
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "tags": {slug: tag.as_json() for slug, tag in self.tags.items()},
            "seconds": round(self.seconds, 3),
        }


def gate(deployment: Deployment, run_id: str, as_of: datetime, at: datetime) -> GateReport:
    """Judge the run's audited candidate. A hold is a verdict, not an error."""
    started = time.perf_counter()
    catalog, registry = deployment.catalog, deployment.registry
    audit, score = registry.stage(run_id, "audit"), registry.stage(run_id, "score")
    missing = score.get("unavailable", {})
    tags = {}
    for slug, tag in catalog.tags.items():
        profile = audit["tags"].get(slug, {})
        far, too_far = _drifted(catalog, tag, audit.get("drift", {}))
        moved = movements(profile, tag.definition.stability, audit["compared_with"])
        tags[slug] = Judged(
            reads=tag.reads,
            critical=tag.definition.critical,
            failures=(*profile.get("failures", ()), *too_far),
            movements=(*moved, *far),
            unavailable=missing.get(slug),
        )
    before = registry.release_before(as_of)
    released = {
        slug
        for slug, entry in (before.tags if before is not None else {}).items()
        if entry.get("as_of") is not None
    }
    report = decide(tags, audit["customers"], released)
    report = GateReport(report.verdict, report.reasons, report.tags, time.perf_counter() - started)
    registry.save_stage(run_id, "gate", report.as_json(), report.seconds)
    _say(report)
    return report


def _drifted(
    catalog: Catalog, tag: Tag, drift: Mapping[str, Mapping[str, float]]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a model's tag is warned of and withheld for: inputs far from the model's training."""
    if not isinstance(tag.definition, ModelTag):
        return (), ()
    model = tag.definition.model
    limits = catalog.models[model].drift_limits
    return drifted(model, drift.get(model, {}), limits) if limits else ((), ())


def drifted(
    model: str, drift: Mapping[str, float], limits: DriftLimits
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A sentence for each feature beyond the limit of a warning, and beyond that of withholding."""

    def sentence(slug: str, psi: float, limit: float) -> str:
        return (
            f"input {slug} of model {model} has moved away from its training: PSI {psi:.3f}, "
            f"at most {limit:g} is allowed"
        )

    ranked = sorted(drift.items(), key=lambda pair: -pair[1])
    warn, withhold = limits.warn, limits.withhold
    far = tuple(sentence(slug, psi, warn) for slug, psi in ranked if warn < psi <= withhold)
    return far, tuple(sentence(slug, psi, withhold) for slug, psi in ranked if psi > withhold)


def _say(report: GateReport) -> None:
    """Log the verdict; a hold waits for a person and is therefore a warning."""
    withheld = [slug for slug, tag in report.tags.items() if tag.verdict == "withhold"]
    log.log(
        logging.WARNING if report.verdict == "hold" else logging.INFO,
        "the gate's verdict is %s; withheld: %s",
        report.verdict,
        ", ".join(withheld) or "none",
        extra={"verdict": report.verdict, "withheld": withheld, "reasons": list(report.reasons)},
    )


def decide(
    tags: Mapping[str, Judged], customers: int, released: Collection[str] = ()
) -> GateReport:
    """The verdict on a candidate; `tags` come in order of their dependencies.

    `released` are the tags of which an earlier release has values; a withheld tag that is not
    among them will be unavailable, and its reasons say so.
    """
    verdicts: dict[str, TagVerdict] = {}
    holds: list[str] = []
    if customers == 0:
        holds.append("The candidate has no customers.")
    for slug, tag in tags.items():
        if tag.unavailable is not None:
            if tag.critical:
                holds.append(f"Critical tag {slug} is unavailable: {tag.unavailable}")
            continue
        reasons = [f"{slug}: {failure}." for failure in tag.failures]
        reasons += [
            f"{slug} is made from {source}, which is withheld."
            for source in tag.reads
            if source in verdicts and verdicts[source].verdict == "withhold"
        ]
        moved = [f"{slug}: {movement}." for movement in tag.movements]
        if reasons:
            if tag.critical:
                holds += [f"Critical tag {reason}" for reason in reasons]
            if slug not in released:
                reasons.append(f"{slug} has no earlier released values, so it is unavailable.")
            verdicts[slug] = TagVerdict("withhold", (*reasons, *moved))
        else:
            verdicts[slug] = TagVerdict("warn" if moved else "pass", tuple(moved))
    said = [
        reason
        for kind in ("withhold", "warn")
        for verdict in verdicts.values()
        if verdict.verdict == kind
        for reason in verdict.reasons
    ]
    if holds:
        of_holds = {reason.removeprefix("Critical tag ") for reason in holds}
        rest = [reason for reason in said if reason not in of_holds]
        return GateReport("hold", (*holds, *rest), verdicts)
    return GateReport("warn" if said else "pass", tuple(said), verdicts)


def movements(
    profile: Mapping[str, Any], limits: Stability, compared_with: Mapping[str, Any] | None
) -> tuple[str, ...]:
    """A sentence for each stability limit that a tag's profile does not keep."""
    if compared_with is None:
        return ()
    against = f"release {compared_with['release']} (as of {compared_with['as_of']})"
    redefined = "; its definition has changed since" if profile.get("redefined") else ""
    said = []
    psi, changed = profile.get("psi"), profile.get("changed")
    if limits.max_psi is not None and psi is not None and psi > limits.max_psi:
        said.append(
            f"PSI against {against} is {psi:.3f}, at most {limits.max_psi:g} is allowed{redefined}"
        )
    if limits.max_changed is not None and changed is not None and changed > limits.max_changed:
        said.append(
            f"{changed:.1%} of the customers changed against {against}, "
            f"at most {limits.max_changed:.1%} is allowed{redefined}"
        )
    return tuple(said)
