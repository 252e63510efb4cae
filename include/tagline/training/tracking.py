"""MLflow: where runs are kept, and how a judged model gets there."""

from __future__ import annotations

import logging
import os
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from tagline.database import database_url
from tagline.errors import ModelRefused, TaglineError
from tagline.scratch import scratch_folder
from tagline.settings import Settings

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.models.model import ModelInfo

    from tagline.training.kinds import Candidate, Judged

CHAMPION = "champion"
CHALLENGER = "challenger"
ESTIMATORS = "tagline.training.estimators."
DATA_TYPE = "numpy.dtype"
TREES = "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"  # arrays of nodes
REQUIREMENTS = ("scikit-learn", "numpy", "scipy", "pandas", "skops", "mlflow")
# of MLflow itself, for every process that imports it or runs its server
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_CONFIGURE_LOGGING": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}


_FILE = "model.skops"  # as MLflow names it in the artifact
_TRANSIENT = {"TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED"}
# what reading raises of a file that is damaged, or of classes that were renamed since
_BROKEN = (
    OSError,
    zipfile.BadZipFile,
    zlib.error,
    ImportError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    EOFError,
)


class TrackingUnavailable(TaglineError):
    """The MLflow server does not answer; the task may be retried."""

    is_transient = True


@dataclass(frozen=True)
class Record:
    """Everything about one judged training that its MLflow run shows."""

    model: str
    run_name: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    documents: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Tracked:
    """Where a training went: its run, and the registered version if a model was fitted."""

    run_id: str
    run_url: str | None
    version: str | None
    model_uri: str | None


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings that MLflow draws from its own code and from SQLAlchemy 2.1."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def artifact_root(settings: Settings) -> str:
    """The folder of all artifacts; the MLflow server's --default-artifact-root.

    Clients and server use the files directly (--no-serve-artifacts).
    """
    return str(settings.home_path / "mlflow" / "artifacts")


def tracking_uri(settings: Settings) -> str:
    """The MLflow server of the settings, or else the MLflow database; its --backend-store-uri."""
    return settings.mlflow_url or database_url(settings, "mlflow")


def registered_name(settings: Settings, model: str) -> str:
    """The name of a model's experiment and of its registered model."""
    return f"{settings.business}.{model}"


@_quiet()
def open_client(settings: Settings) -> MlflowClient:
    """MLflow, quiet, without telemetry, pointed at this deployment's tracking."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    import mlflow

    uri = tracking_uri(settings)
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    return mlflow.MlflowClient(uri, uri)


@_quiet()
def track(settings: Settings, record: Record, judged: Judged) -> Tracked:
    """Keep one training as an MLflow run with a child per candidate.

    The run itself shows the chosen candidate's metrics and plots, so that two trainings compare;
    its model is registered under the alias challenger.
    """
    client = open_client(settings)
    import mlflow

    experiment = _experiment(settings, client, record.model)
    mlflow.set_experiment(experiment_id=experiment)
    chosen = judged.chosen
    with mlflow.start_run(run_name=record.run_name, tags=dict(record.tags)) as run:
        _log(record.params, record.metrics, record.documents)
        logged = None
        if chosen is not None:
            _log_candidate(chosen)
            mlflow.log_param("candidate", chosen.name)
            if chosen.model is not None:
                logged = _log_model(chosen.model, judged.example)
        for candidate in judged.candidates:
            tags = {"model": record.model, "candidate": candidate.name}
            name = f"{record.run_name}: {candidate.name}"
            with mlflow.start_run(run_name=name, nested=True, tags=tags):
                mlflow.log_param("candidate", candidate.name)
                _log_candidate(candidate)
    number = uri = None
    if logged is not None:
        number = _register(client, settings, record, logged, run.info.run_id)
        uri = f"models:/{registered_name(settings, record.model)}/{number}"
    url = None
    if settings.mlflow_url:
        server = settings.mlflow_url.rstrip("/")
        url = f"{server}/#/experiments/{experiment}/runs/{run.info.run_id}"
    return Tracked(run.info.run_id, url, number, uri)


def _log_candidate(candidate: Candidate) -> None:
    """Parameters, metrics with their intervals, documents and plots, into the present run."""
    import mlflow

    metrics: dict[str, float] = {}
    for name, interval in candidate.metrics.items():
        metrics[name] = interval.value
        metrics[f"{name}_low"] = interval.low
        metrics[f"{name}_high"] = interval.high
    _log(candidate.params, metrics, candidate.documents)
    for name, figure in candidate.figures.items():
        mlflow.log_figure(figure, f"plots/{name}")


def _log(
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    documents: Mapping[str, Mapping[str, Any]],
) -> None:
    import mlflow

    mlflow.log_params(dict(params))
    mlflow.log_metrics(dict(metrics))
    for name, document in documents.items():
        mlflow.log_dict(dict(document), name)


@_quiet()
def promote(settings: Settings, model: str, number: str) -> None:
    """Give a registered version the alias champion."""
    client = open_client(settings)
    client.set_registered_model_alias(registered_name(settings, model), CHAMPION, number)


@_quiet()
def load_pipeline(settings: Settings, model_uri: str) -> Any:
    """The fitted pipeline of a registered version.

    What the artifact says of itself is not believed: only types that training saves are read.
    Raises ModelRefused where it is gone, cannot be read or holds any other, and
    TrackingUnavailable where MLflow does not answer.
    """
    open_client(settings)
    from mlflow import MlflowException
    from mlflow.artifacts import download_artifacts

    with scratch_folder(settings, "model") as folder:
        try:
            path = download_artifacts(artifact_uri=f"{model_uri}/{_FILE}", dst_path=str(folder))
        except (MlflowException, OSError) as error:
            if _may_pass(error):
                raise TrackingUnavailable(f"MLflow does not answer: {error}; try again") from error
            raise _unreadable(model_uri, error) from error
        try:
            return _read(path)
        except _BROKEN as error:
            raise _unreadable(model_uri, error) from error


def _read(path: str) -> Any:
    """A model from its file; TypeError where that holds types which training does not save."""
    import skops.io

    found = skops.io.get_untrusted_types(file=path)
    foreign = _foreign(found)
    if foreign:
        raise TypeError(f"it holds {', '.join(foreign)}, which no training saves")
    return skops.io.load(path, trusted=found)


def _unreadable(model_uri: str, error: Exception) -> ModelRefused:
    said = f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else error
    return ModelRefused(f"model {model_uri} cannot be loaded from MLflow ({said}); train it again")


def _may_pass(error: BaseException | None) -> bool:
    """Whether an error of MLflow may be another one later, or none.

    INTERNAL_ERROR alone says nothing: it is the code of every error that was given no other.
    """
    from requests import RequestException

    if getattr(error, "error_code", None) in _TRANSIENT:
        return True
    while error is not None and not isinstance(error, RequestException):
        error = error.__cause__ or error.__context__
    return error is not None


def _experiment(settings: Settings, client: MlflowClient, model: str) -> str:
    """The experiment's id, created or restored where needed."""
    from mlflow import MlflowException

    name = registered_name(settings, model)
    if client.get_experiment_by_name(name) is None:
        try:
            client.create_experiment(name, artifact_location=f"{artifact_root(settings)}/{name}")
        except MlflowException:  # another process was quicker
            if client.get_experiment_by_name(name) is None:
                raise
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    return str(experiment.experiment_id)


def _log_model(model: Any, example: pd.DataFrame) -> ModelInfo:
    import mlflow.sklearn
    from mlflow.models import infer_signature

    answer = "predict_proba" if hasattr(model, "predict_proba") else "predict"
    info: ModelInfo = mlflow.sklearn.log_model(
        model,
        name="model",
        signature=infer_signature(example, getattr(model, answer)(example)),
        pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
        pyfunc_predict_fn=answer,
        serialization_format="skops",  # see load_pipeline
        skops_trusted_types=_trusted(model),
    )
    return info


def _trusted(model: Any) -> list[str]:
    """The types of a model that skops does not know: data types, and estimators of our own.

    Raises TaglineError where it holds any other, which could run code when it is loaded.
    """
    import skops.io

    found = skops.io.get_untrusted_types(data=skops.io.dumps(model))
    foreign = _foreign(found)
    if foreign:
        raise TaglineError(
            f"the fitted model holds {', '.join(foreign)}, which is not saved: keep the state of "
            f"an estimator in {ESTIMATORS} as numbers, texts and numpy arrays"
        )
    return sorted({DATA_TYPE, *found})


def _foreign(types: Iterable[str]) -> list[str]:
    """Those of the types that a model must not hold."""
    return [name for name in types if name not in (DATA_TYPE, TREES) and not _is_own(name)]


def _is_own(name: str) -> bool:
    """Whether it names a class that an estimators' module defines, and not one it only imports.

    ImportError or AttributeError where such a module or class is not there any more.
    """
    module, _, own = name.rpartition(".")
    if not module.startswith(ESTIMATORS):
        return False
    named = getattr(import_module(module), own)
    return isinstance(named, type) and named.__module__ == module


def _register(
    client: MlflowClient, settings: Settings, record: Record, logged: ModelInfo, run_id: str
) -> str:
    from mlflow import MlflowException

    name = registered_name(settings, record.model)
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    created = client.create_model_version(
        name, logged.model_uri, run_id=run_id, tags=dict(record.tags), model_id=logged.model_id
    )
    client.set_registered_model_alias(name, CHALLENGER, created.version)
    return str(created.version)
