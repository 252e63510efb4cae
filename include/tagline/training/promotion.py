"""Which judged model serves: promoting the accepted, and restoring an older one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from tagline.errors import ModelRefused, UnknownName
from tagline.registry.schema import ModelEvent, ModelVersion
from tagline.training.inputs import model_definition, other_versions, read_versions

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from tagline.deployment import Deployment

log = logging.getLogger(__name__)

GATE = "gate"  # who promotes what it has accepted


@dataclass(frozen=True)
class PromotionReport:
    """What became of a judged model: whether it serves, and from which as_of on."""

    model: str
    version: int
    promoted: bool
    serves_from: datetime | None
    reasons: tuple[str, ...]
    run_url: str | None

    def as_json(self) -> dict[str, Any]:
        """Plain values; instants in ISO 8601."""
        serves_from = self.serves_from.isoformat() if self.serves_from else None
        return {**asdict(self), "serves_from": serves_from, "reasons": list(self.reasons)}


def promote_judged(
    deployment: Deployment,
    model: str,
    as_of: datetime,
    at: datetime,
    *,
    version: int | None = None,
) -> PromotionReport:
    """Decide on the newest training of that as_of, or on `version`: it serves if it is accepted.

    The first decision on a training also withdraws what was trained before it as of the same
    instant, which it supersedes: a refused repetition must not leave serving what it repeats.
    Deciding once more changes nothing, so what was restored since stays. Raises ModelRefused
    where there was no such training.
    """
    with deployment.registry.session() as session:
        trained = session.scalars(
            select(ModelVersion)
            .where(ModelVersion.model == model, ModelVersion.trained_as_of == as_of)
            .order_by(ModelVersion.id.desc())
            .with_for_update()
        ).all()
        found = next((one for one in trained if version in (None, one.id)), None)
        if found is None:
            raise ModelRefused(
                f"model {model!r} was not trained as of {as_of.isoformat()}; train it first"
            )
        if found.status == "judged":
            _decide(session, found, [one for one in trained if one.id < found.id], at)
        report = _report(session, found)
    _show_champion(deployment, model)
    return report


def _decide(
    session: Session, found: ModelVersion, earlier: Sequence[ModelVersion], at: datetime
) -> None:
    """Promote a judged version or note its refusal, and withdraw those that it supersedes."""
    if found.verdict == "accepted":
        _step(session, found, "promoted", GATE, "accepted by its gate", at)
    else:
        _step(session, found, "refused", GATE, "; ".join(found.reasons), at)
    for one in earlier:
        if one.verdict == "accepted" and one.status in ("judged", "promoted"):
            reason = f"superseded by version {found.id}, trained again as of the same instant"
            _step(session, one, "withdrawn", GATE, reason, at)


def _report(session: Session, found: ModelVersion) -> PromotionReport:
    """What a decided version is now; the reasons say why it does not serve."""
    promoted = found.status == "promoted"
    reasons = tuple(found.reasons)
    if found.status == "withdrawn":
        reasons = ("it was withdrawn: " + _last_reason(session, found),)
    return PromotionReport(
        found.model,
        found.id,
        promoted,
        found.label_end_at if promoted else None,
        reasons,
        found.run_url,
    )


def _last_reason(session: Session, version: ModelVersion) -> str:
    return session.scalars(
        select(ModelEvent.reason)
        .where(ModelEvent.model_version_id == version.id)
        .order_by(ModelEvent.id.desc())
        .limit(1)
    ).one()


def restore(
    deployment: Deployment, model: str, number: int, reason: str, actor: str, at: datetime
) -> ModelVersion:
    """Let an older champion serve again: every version that would go before it is withdrawn.

    A withdrawn version may itself be restored. Raises UnknownName for a version that the model
    does not have, ModelRefused for one that its gate has refused, and for one that could not
    serve what the definitions now ask.
    """
    if not reason.strip():
        raise ModelRefused("a restored model needs a reason; say why with --reason")
    read = read_versions(deployment.catalog, model_definition(deployment.catalog, model))
    with deployment.registry.session() as session:
        versions = session.scalars(select(ModelVersion).where(ModelVersion.model == model)).all()
        by_number = {version.id: version for version in versions}
        if number not in by_number:
            known = [str(each) for each in by_number]
            raise UnknownName(f"version of model {model}", str(number), known)
        wanted = by_number[number]
        if wanted.verdict != "accepted":
            raise ModelRefused(
                f"version {number} of model {model!r} was refused by its gate "
                f"({'; '.join(wanted.reasons)}) and cannot serve"
            )
        changed = other_versions(wanted.features, read)
        if changed:
            raise ModelRefused(
                f"version {number} of model {model!r} was trained on other versions of "
                f"{', '.join(changed)} and cannot serve; train the model again"
            )
        for version in versions:
            later = (version.label_end_at, version.id) > (wanted.label_end_at, wanted.id)
            if later and version.status == "promoted":
                _step(session, version, "withdrawn", actor, reason, at)
        if wanted.status != "promoted":
            _step(session, wanted, "promoted", actor, reason, at)
    _show_champion(deployment, model)
    return wanted


def _step(
    session: Session, version: ModelVersion, action: str, actor: str, reason: str, at: datetime
) -> None:
    version.status = action
    session.add(
        ModelEvent(model_version_id=version.id, action=action, actor=actor, reason=reason, at=at)
    )
    log.info("model %s version %s is %s: %s", version.model, version.id, action, reason)


def _show_champion(deployment: Deployment, model: str) -> None:
    """Give MLflow's alias to the version that serves the newest as_of.

    The registry decides; the alias is for people, and is set again by the next promotion.
    """
    from tagline.training.tracking import promote

    with deployment.registry.session() as session:
        champion = session.scalars(
            select(ModelVersion)
            .where(ModelVersion.model == model, ModelVersion.status == "promoted")
            .order_by(ModelVersion.label_end_at.desc(), ModelVersion.id.desc())
            .limit(1)
        ).first()
    if champion is not None and champion.mlflow_version is not None:
        promote(deployment.settings, model, champion.mlflow_version)
