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

from tagline.errors import ModelRefused
from tagline.extract import require_data
from tagline.registry.schema import ModelVersion
from tagline.training.inputs import model_definition, other_versions, read_versions
from tagline.training.kinds import Judged, Training, kind_of
from tagline.training.promotion import promote_judged
from tagline.training.tracking import Record, Tracked, load_pipeline, track

if TYPE_CHECKING:
    from tagline.catalog import Catalog
    from tagline.definitions.models import AnyModel
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
    """Train and judge `model`, and let it serve if its gate accepts it; see `judge`."""
    report = judge(deployment, model, as_of, at)
    promote_judged(deployment, model, as_of, at, version=report.version)
    return report


def judge(deployment: Deployment, model: str, as_of: datetime, at: datetime) -> TrainReport:
    """Train `model` with what is known as of the instant, and judge it; it does not serve yet.

    A refusal by the gate is an outcome, recorded with its reasons. ModelRefused is raised only
    when the model's definition cannot be trained at all, and NoData when the sources do not reach
    as_of, since then customers would look as if they had left.
    """
    started = time.monotonic()
    definition = model_definition(deployment.catalog, model)
    versions = read_versions(deployment.catalog, definition)
    require_data(deployment, f"train {model}", as_of)
    with deployment.registry.alone(f"train:{model}"):
        champion = _champion(deployment, model, as_of, versions)
        asked = Training(deployment, model, definition, as_of, champion)
        judged = kind_of(definition).train(asked)
        summary = _summary(judged)
        with deployment.registry.lock(f"train:{model}"):  # a backup has both records or neither
            tracked = track(deployment.settings, _record(asked, judged, versions), judged)
            version = _register(asked, at, judged, summary, versions, tracked)
    log.info(
        "model %s as of %s is %s%s",
        model,
        as_of.isoformat(),
        judged.verdict.word,
        "".join(f"; {reason}" for reason in judged.verdict.reasons),
    )
    return TrainReport(
        model,
        as_of,
        judged.verdict.word,
        judged.verdict.reasons,
        summary,
        version,
        tracked.version,
        tracked.run_id,
        tracked.run_url,
        round(time.monotonic() - started, 3),
    )


def _champion(
    deployment: Deployment, model: str, as_of: datetime, versions: Mapping[str, str]
) -> Any | None:
    """The fitted champion of an earlier training that serves as_of, if it could serve today's file.

    A training that is run again supersedes what it made before, as a release does; so it is
    compared with the same champion as then.

    Its own training never saw the holdout's labels: its label horizons for training ended one
    horizon before its as_of, which is not after this one's.
    """
    champion = deployment.registry.champion(model, as_of, trained_before=as_of)
    if champion is None or champion.model_uri is None:
        return None
    changed = other_versions(champion.features, versions)
    if changed:
        log.info("not compared with the champion: it has other versions of %s", ", ".join(changed))
        return None
    try:
        return load_pipeline(deployment.settings, champion.model_uri)
    except ModelRefused as error:
        log.warning("not compared with the champion: %s", error)
        return None


def _summary(judged: Judged) -> dict[str, Any]:
    """The chosen candidate's metrics, and what was looked at, as the registry keeps them."""
    metrics = judged.chosen.metrics if judged.chosen else {}
    return {
        **{name: interval.as_json() for name, interval in metrics.items()},
        **{name: dict(counts) for name, counts in judged.counts.items()},
    }


def _record(asked: Training, judged: Judged, versions: Mapping[str, str]) -> Record:
    """The training as its MLflow run shows it."""
    catalog, definition = asked.deployment.catalog, asked.definition
    metrics = {
        f"{part}_{name}": float(value)
        for part, counts in judged.counts.items()
        for name, value in counts.items()
        if isinstance(value, int | float)
    }
    return Record(
        model=asked.model,
        run_name=f"{asked.model} as of {asked.as_of:%Y-%m-%d}",
        params={
            "as_of": asked.as_of.isoformat(),
            "task": definition.task,
            "population": definition.population,
            "features": len(definition.features),
            "inputs_digest": _digest(list(judged.digests.values())),
            "definition": _definition_digest(catalog, definition),
            **judged.params,
        },
        metrics=metrics,
        tags={
            "business": asked.deployment.settings.business,
            "model": asked.model,
            "trained_as_of": asked.as_of.isoformat(),
            "verdict": judged.verdict.word,
            "reasons": "; ".join(judged.verdict.reasons)[:4000],
        },
        documents={
            "inputs.json": {"digests": dict(judged.digests), "versions": dict(versions)},
            "verdict.json": {
                "verdict": judged.verdict.word,
                "reasons": list(judged.verdict.reasons),
            },
        },
    )


def _register(
    asked: Training,
    at: datetime,
    judged: Judged,
    summary: dict[str, Any],
    versions: dict[str, str],
    tracked: Tracked,
) -> int:
    """Write the outcome into the registry; its id."""
    deployment = asked.deployment
    row = ModelVersion(
        model=asked.model,
        definition=_definition_digest(deployment.catalog, asked.definition),
        trained_as_of=asked.as_of,
        label_end_at=judged.label_end_at,
        trained_at=at,
        verdict=judged.verdict.word,
        status="judged",
        reasons=list(judged.verdict.reasons),
        metrics=summary,
        features=versions,
        mlflow_run_id=tracked.run_id,
        mlflow_version=tracked.version,
        model_uri=tracked.model_uri,
        run_url=tracked.run_url,
    )
    with deployment.registry.session() as session:
        session.add(row)
        session.flush()
        return row.id


def _definition_digest(catalog: Catalog, definition: AnyModel) -> str:
    """A digest of what the definition means, with the SQL that it names."""
    meaning = definition.model_dump(mode="json", exclude={"name", "description", "owner"})
    label = definition.label_query
    queries = [catalog.label_sql(label.name)] if label else []
    queries += [catalog.input_sql(name) for name in definition.input_columns]
    written = [query.tree.sql(dialect="duckdb", comments=False) for query in queries]
    return _digest([meaning, *written])


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
