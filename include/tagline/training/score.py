"""Scores a candidate with the champions that could have existed on its day."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from tagline.compute import candidate_file, finish_candidate
from tagline.definitions import DataType
from tagline.definitions.tag import ModelTag
from tagline.errors import ModelRefused
from tagline.registry.schema import ModelVersion
from tagline.scratch import scratch_folder
from tagline.storage import appearing_whole
from tagline.subject_candidates import candidates
from tagline.subjects import CUSTOMER, SUBJECTS, Subject

if TYPE_CHECKING:
    from tagline.catalog import Catalog
    from tagline.deployment import Deployment

log = logging.getLogger(__name__)

_ARROW = {
    DataType.BOOLEAN: pa.bool_(),
    DataType.INTEGER: pa.int64(),
    DataType.NUMBER: pa.float64(),
    DataType.TEXT: pa.string(),
    DataType.TEXT_LIST: pa.list_(pa.string()),
}


@dataclass(frozen=True)
class Scored:
    """How many a model scored, and how far its inputs lay from its training.

    `drift` is the PSI of each feature, of a model that knows where its training rows lay.
    """

    rows: int
    drift: Mapping[str, float]


@dataclass(frozen=True)
class ScoreReport:
    """The finished candidate, the model versions in it, and every tag without a column."""

    path: str
    rows: int
    models: Mapping[str, Mapping[str, Any]]  # version, mlflow_version, label_end_at, drift, …
    unavailable: Mapping[str, str]  # slug -> reason
    seconds: float
    subjects: Mapping[str, Mapping[str, Any]]  # path and rows of the others' candidates

    def as_json(self) -> dict[str, Any]:
        """The stage's output as later stages read it."""
        return asdict(self)


def score(deployment: Deployment, run_id: str, as_of: datetime, at: datetime) -> ScoreReport:
    """Finish the candidate of stage `compute` with the outputs of the business's models.

    Each model is its newest champion whose labels ended by as_of. Where there is none, or what it
    reads or predicts has since changed its meaning, its tags are unavailable, with the reason, and
    the rest of the candidate is finished all the same.
    """
    started = time.perf_counter()
    catalog = deployment.catalog
    candidate = deployment.registry.stage(run_id, "compute")
    scores: dict[str, str] = {}
    models: dict[str, dict[str, Any]] = {}
    unavailable: dict[str, str] = {}
    made = candidates(candidate)
    for model, definition in catalog.models.items():
        try:
            version = serving_version(deployment, model, as_of)
            target = candidate_file(deployment, run_id, f"scores-{model}")
            scored = score_model(
                deployment, model, version, as_of, made[SUBJECTS[definition.subject]], target
            )
        except ModelRefused as error:
            log.info("model %s does not score as of %s: %s", model, as_of.isoformat(), error)
            unavailable |= without(catalog, model, str(error))
            continue
        scores[model] = target
        models[model] = {
            "version": version.id,
            "mlflow_version": version.mlflow_version,
            "label_end_at": version.label_end_at.isoformat(),
            "trained_as_of": version.trained_as_of.isoformat(),
            "run_url": version.run_url,
            "scored": scored.rows,
            "drift": scored.drift,
        }
    finished = {
        subject.name: _finished(deployment, run_id, as_of, subject, path, scores, unavailable)
        for subject, path in made.items()
        if subject is CUSTOMER or any(map(catalog.needs_model, catalog.tags_of(subject)))
    }
    report = ScoreReport(
        **finished.pop(CUSTOMER.name),
        models=models,
        unavailable={**candidate["unavailable"], **unavailable},
        seconds=round(time.perf_counter() - started, 3),
        subjects={**candidate.get("subjects", {}), **finished},
    )
    deployment.registry.save_stage(run_id, "score", report.as_json(), report.seconds)
    return report


def _finished(
    deployment: Deployment,
    run_id: str,
    as_of: datetime,
    subject: Subject,
    candidate: str,
    scores: Mapping[str, str],
    unavailable: Mapping[str, str],
) -> dict[str, Any]:
    """Write the finished candidate of a subject; its path and rows."""
    models = deployment.catalog.models
    own = {model: path for model, path in scores.items() if models[model].subject == subject.name}
    name = "scored" if subject is CUSTOMER else f"scored-{subject.table}"
    path = candidate_file(deployment, run_id, name)
    rows = finish_candidate(deployment, as_of, candidate, own, unavailable, path, subject)
    return {"path": path, "rows": rows}


def without(catalog: Catalog, model: str, reason: str) -> dict[str, str]:
    """The tags that are missing without a model: its outputs, and what reads those."""
    missing: dict[str, str] = {}
    for slug, tag in catalog.tags.items():  # what is read comes before its readers
        if isinstance(tag.definition, ModelTag):
            if tag.definition.model == model:
                missing[slug] = reason
            continue
        lacking = next((read for read in tag.reads if read in missing), None)
        if lacking is not None:
            missing[slug] = f"reads {lacking}, which is unavailable: {reason}"
    return missing


def serving_version(deployment: Deployment, model: str, as_of: datetime) -> ModelVersion:
    """The champion that may serve as_of; ModelRefused with a plain reason where there is none."""
    from tagline.training.inputs import other_versions, read_versions

    catalog = deployment.catalog
    read = read_versions(catalog, catalog.models[model])
    champion = deployment.registry.champion(model, as_of)
    if champion is None or champion.model_uri is None:
        raise ModelRefused(
            f"no accepted version of model {model!r} whose labels ended by {as_of:%Y-%m-%d}"
            f"{_refusal(deployment, model, as_of) or '; train it as of that day or before'}"
        )
    changed = other_versions(champion.features, read)
    if changed:
        raise ModelRefused(
            f"model {model!r} was trained on other versions of {', '.join(changed)}; train it again"
        )
    return champion


def _refusal(deployment: Deployment, model: str, as_of: datetime) -> str | None:
    """What the gate said of the newest version that could have served, if it refused that."""
    judged = [
        version
        for version in deployment.registry.model_versions(model)
        if version.label_end_at <= as_of and version.verdict == "refused"
    ]
    if not judged:
        return None
    newest = max(judged, key=lambda version: (version.label_end_at, version.id))
    reasons = "; ".join(newest.reasons)
    return f": the gate refused that of {newest.trained_as_of:%Y-%m-%d}, {reasons}"


def score_model(
    deployment: Deployment,
    model: str,
    version: ModelVersion,
    as_of: datetime,
    candidate: str,
    target: str,
) -> Scored:
    """Write the key of its subject and the model's outputs for its population."""
    from tagline.training.drift import Watch, watched
    from tagline.training.kinds import Scoring, kind_of
    from tagline.training.tracking import load_pipeline

    definition = deployment.catalog.models[model]
    kind = kind_of(definition)
    assert version.model_uri is not None
    fitted = load_pipeline(deployment.settings, version.model_uri)
    outputs = [(name, _ARROW[type_]) for name, type_ in definition.outputs.items()]
    schema = pa.schema([(SUBJECTS[definition.subject].key, pa.string()), *outputs])
    scratch = str(deployment.settings.home_path / "scratch")
    count = 0
    watch = Watch(watched(fitted, definition.drift_limits))
    with (
        scratch_folder(deployment.settings, f"score-{model}") as folder,
        appearing_whole(target, scratch) as unfinished,
        pq.ParquetWriter(unfinished, schema, compression="zstd") as writer,
    ):
        asked = Scoring(deployment, model, definition, as_of, candidate, folder)
        for part in kind.rows(asked):
            watch.see(part)
            told = kind.answers(definition, fitted, part)
            writer.write_table(pa.Table.from_pandas(told, schema, preserve_index=False))
            count += len(told)
    drift = {slug: round(psi, 6) for slug, psi in watch.drift().items()}
    return Scored(count, drift)
