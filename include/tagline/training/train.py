"""Trains a model as of an instant, judges it on its holdout, and records the outcome."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from tagline.errors import ModelRefused, UnknownName
from tagline.extract import require_data
from tagline.registry.schema import ModelVersion
from tagline.training.evaluate import RESAMPLES, SEED
from tagline.training.fit import probability
from tagline.training.inputs import load_panel, tags_read
from tagline.training.panels import Array, Panel, Schedule, schedule, stack
from tagline.training.plots import figures
from tagline.training.tracking import Record, Tracked, load_pipeline, promote, track
from tagline.training.verdict import Outcome, Verdict, assess

if TYPE_CHECKING:
    from tagline.catalog import Catalog
    from tagline.definitions.model import ModelDefinition
    from tagline.deployment import Deployment

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainReport:
    """What came of a training; `version` is the registry's id of the judged model."""

    model: str
    as_of: datetime
    verdict: str  # accepted, refused
    reasons: tuple[str, ...]
    metrics: Mapping[str, Any]  # each with value, low, high; holdout and training with rows
    version: int
    mlflow_version: str | None
    mlflow_run_id: str
    run_url: str | None
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Plain values; instants in ISO 8601."""
        return {**asdict(self), "as_of": self.as_of.isoformat(), "reasons": list(self.reasons)}


def train(deployment: Deployment, model: str, as_of: datetime, at: datetime) -> TrainReport:
    """Train `model` with what is known as of the instant; promote it if its gate accepts it.

    A refusal by the gate is an outcome, recorded with its reasons. ModelRefused is raised only
    when the model's definition cannot be trained at all, and NoData when the sources do not reach
    as_of, since then customers would look as if they had left.
    """
    started = time.monotonic()
    catalog = deployment.catalog
    definition = model_definition(catalog, model)
    types = tags_read(catalog, definition)
    plan = schedule(definition.panels, definition.horizon, as_of)
    if not plan.trained:
        raise ModelRefused(
            f"model {model!r} has no panel whose horizon ends by the holdout's "
            f"{plan.holdout.isoformat()}; raise panels.count or panels.every"
        )
    require_data(deployment, f"train {model}", as_of)
    versions = {slug: catalog.tags[slug].version for slug in types}
    features = {slug: types[slug] for slug in definition.features}
    with deployment.registry.lock(f"train:{model}"):
        holdout = load_panel(deployment, model, plan.holdout)
        trained = [load_panel(deployment, model, instant) for instant in plan.trained]
        training = stack(trained)
        champion = _champion_scores(deployment, model, as_of, versions, holdout)
        outcome = assess(definition, features, training, holdout, champion)
        summary = _summary(outcome, plan, trained, holdout)
        record = _record(deployment, model, as_of, outcome, summary, versions, [*trained, holdout])
        tracked = track(
            deployment.settings, record, outcome.fitted, training.rows[list(features)].head(200)
        )
        version = _register(
            deployment, model, as_of, at, outcome.verdict, summary, versions, tracked
        )
    log.info(
        "model %s as of %s is %s%s",
        model,
        as_of.isoformat(),
        outcome.verdict.word,
        "".join(f"; {reason}" for reason in outcome.verdict.reasons),
    )
    return TrainReport(
        model,
        as_of,
        outcome.verdict.word,
        outcome.verdict.reasons,
        summary,
        version,
        tracked.version,
        tracked.run_id,
        tracked.run_url,
        round(time.monotonic() - started, 3),
    )


def model_definition(catalog: Catalog, model: str) -> ModelDefinition:
    """The definition of a model of this business; UnknownName with the closest one."""
    try:
        return catalog.models[model]
    except KeyError:
        raise UnknownName("model", model, catalog.models) from None


def _champion_scores(
    deployment: Deployment, model: str, as_of: datetime, versions: Mapping[str, str], holdout: Panel
) -> Array | None:
    """What the present champion says of the holdout, if it reads the same tags.

    Its own training never saw the holdout's labels: its label horizons for training ended one
    horizon before its as_of, which is not after this one's.
    """
    champion = deployment.registry.champion(model, as_of)
    if champion is None or champion.model_uri is None or champion.features != dict(versions):
        return None
    try:
        pipeline = load_pipeline(deployment.settings, champion.model_uri)
    except ModelRefused as error:
        log.warning("not compared with the champion: %s", error)
        return None
    return probability(pipeline, holdout.rows)


def _summary(
    outcome: Outcome, plan: Schedule, trained: list[Panel], holdout: Panel
) -> dict[str, Any]:
    """The metrics as the registry keeps them."""
    return {
        **{name: interval.as_json() for name, interval in outcome.metrics.items()},
        "holdout": {
            "as_of": plan.holdout.isoformat(),
            "rows": len(holdout.label),
            "positives": holdout.positives,
        },
        "training": {
            "as_of": [panel.as_of.isoformat() for panel in trained],
            "rows": sum(len(panel.label) for panel in trained),
            "positives": sum(panel.positives for panel in trained),
        },
    }


def _record(
    deployment: Deployment,
    model: str,
    as_of: datetime,
    outcome: Outcome,
    summary: Mapping[str, Any],
    versions: Mapping[str, str],
    used: list[Panel],
) -> Record:
    fitted, verdict = outcome.fitted, outcome.verdict
    metrics: dict[str, float] = {}
    for name, interval in outcome.metrics.items():
        metrics[name] = interval.value
        metrics[f"{name}_low"] = interval.low
        metrics[f"{name}_high"] = interval.high
    for part in ("training", "holdout"):
        for count in ("rows", "positives"):
            metrics[f"{part}_{count}"] = summary[part][count]
    documents: dict[str, Mapping[str, Any]] = {
        "inputs.json": {
            "panels": {panel.as_of.isoformat(): panel.digest for panel in used},
            "holdout": used[-1].as_of.isoformat(),
            "tags": dict(versions),
        },
        "verdict.json": {"verdict": verdict.word, "reasons": list(verdict.reasons)},
    }
    drawn = {}
    if fitted is not None and outcome.scores is not None:
        weights = fitted.weights()
        documents["features.json"] = {"shapes": dict(fitted.shapes), "weights": weights}
        drawn = figures(used[-1].label, *outcome.scores, weights)
    definition = deployment.catalog.models[model]
    return Record(
        model=model,
        run_name=f"{model} as of {as_of:%Y-%m-%d}",
        params={
            "as_of": as_of.isoformat(),
            "holdout": used[-1].as_of.isoformat(),
            "panels": len(used) - 1,
            "features": len(definition.features),
            "population": definition.population,
            "label": definition.label,
            "horizon_days": definition.horizon.days,
            "bootstrap_resamples": RESAMPLES,
            "seed": SEED,
            "inputs_digest": _digest([panel.digest for panel in used]),
            "definition": _definition_digest(deployment.catalog, definition),
            **({"candidate": fitted.kind, **fitted.parameters} if fitted else {}),
        },
        metrics=metrics,
        tags={
            "business": deployment.settings.business,
            "model": model,
            "trained_as_of": as_of.isoformat(),
            "verdict": verdict.word,
            "reasons": "; ".join(verdict.reasons)[:4000],
        },
        documents=documents,
        figures=drawn,
    )


def _register(
    deployment: Deployment,
    model: str,
    as_of: datetime,
    at: datetime,
    verdict: Verdict,
    summary: dict[str, Any],
    versions: dict[str, str],
    tracked: Tracked,
) -> int:
    """Write the outcome into the registry; the newest accepted one becomes champion in MLflow."""
    catalog = deployment.catalog
    row = ModelVersion(
        model=model,
        definition=_definition_digest(catalog, catalog.models[model]),
        trained_as_of=as_of,
        label_end_at=as_of,  # the holdout's horizon ends here
        trained_at=at,
        verdict=verdict.word,
        reasons=list(verdict.reasons),
        metrics=summary,
        features=versions,
        mlflow_run_id=tracked.run_id,
        mlflow_version=tracked.version,
        model_uri=tracked.model_uri,
        run_url=tracked.run_url,
    )
    with deployment.registry.session() as session:
        later = session.scalar(
            select(ModelVersion.id).where(
                ModelVersion.model == model,
                ModelVersion.verdict == "accepted",
                ModelVersion.label_end_at > as_of,
            )
        )
        session.add(row)
        session.flush()
        number = row.id
    if verdict.accepted and later is None and tracked.version is not None:
        promote(deployment.settings, model, tracked.version)
    return number


def _definition_digest(catalog: Catalog, definition: ModelDefinition) -> str:
    """A digest of what the definition means, with its label's SQL."""
    meaning = definition.model_dump(mode="json", exclude={"name", "description", "owner"})
    label = catalog.label_sql(definition.label)
    return _digest([meaning, label.tree.sql(dialect="duckdb", comments=False)])


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
