"""Which judged model serves: promoting the accepted, and restoring an older one."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from tagline.errors import ModelRefused, UnknownName
from tagline.registry.schema import ModelEvent, ModelVersion

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
    deployment: Deployment, model: str, as_of: datetime, at: datetime
) -> PromotionReport:
    """Let the newest training of that as_of serve, if its gate has accepted it.

    Promoting once more changes nothing. Raises ModelRefused where there was no such training.
    """
    with deployment.registry.session() as session:
        found = session.scalars(
            select(ModelVersion)
            .where(ModelVersion.model == model, ModelVersion.trained_as_of == as_of)
            .order_by(ModelVersion.id.desc())
            .limit(1)
        ).first()
        if found is None:
            raise ModelRefused(
                f"model {model!r} was not trained as of {as_of.isoformat()}; train it first"
            )
        accepted = found.verdict == "accepted"
        if accepted and found.status == "judged":
            _step(session, found, "promoted", GATE, "accepted by its gate", at)
        number, serves_from = found.id, found.label_end_at if accepted else None
        reasons, url = tuple(found.reasons), found.run_url
    _show_champion(deployment, model)
    return PromotionReport(model, number, accepted, serves_from, reasons, url)


def restore(
    deployment: Deployment, model: str, number: int, reason: str, actor: str, at: datetime
) -> ModelVersion:
    """Let an older champion serve again: every version that would go before it is withdrawn.

    A withdrawn version may itself be restored. Raises UnknownName for a version that the model
    does not have, ModelRefused for one that its gate has refused.
    """
    if not reason.strip():
        raise ModelRefused("a restored model needs a reason; say why with --reason")
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
