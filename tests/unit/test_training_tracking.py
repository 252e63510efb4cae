"""Keeping judged models in a real MLflow on a real PostgreSQL."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from tagline.definitions.types import DataType
from tagline.errors import ModelRefused
from tagline.settings import Settings
from tagline.training import tracking
from tagline.training.evaluate import Interval
from tagline.training.fit import Fitted, fit, probability
from tagline.training.kinds import Candidate, Judged
from tagline.training.panels import Panel
from tagline.training.plots import figures
from tagline.training.tracking import Record
from tagline.training.verdict import Verdict

pytestmark = pytest.mark.slow

FEATURES = {"order_amount": DataType.NUMBER, "region": DataType.TEXT}


@pytest.fixture(scope="module")
def training() -> Panel:
    from datetime import UTC, datetime

    random = np.random.default_rng(0)
    amount = random.lognormal(3, 1, 600)
    amount[:60] = np.nan
    region = pd.Series(random.choice(["north", "south"], 600), dtype=object)
    region[:30] = None
    label = (random.random(600) < np.where(region == "south", 0.6, 0.2)).astype(float)
    frame = pd.DataFrame({"order_amount": amount, "region": region})
    customers = np.arange(600).astype(str).astype(object)
    return Panel(datetime(2017, 11, 1, tzinfo=UTC), customers, frame, label)


@pytest.fixture(scope="module")
def fitted(training: Panel) -> Fitted:
    return fit("logistic_regression", FEATURES, training)


def judged(training: Panel, model: Fitted | None = None, **figures: Figure) -> Judged:
    """A training of one candidate, or of none."""
    tried = () if model is None else (
        Candidate(
            name=model.kind,
            model=model.pipeline,
            metrics={"roc_auc": Interval(0.857, 0.8, 0.9)},
            params={"strength": 0.1},
            figures=figures,
        ),
    )  # fmt: skip
    return Judged(
        candidates=tried,
        chosen=tried[0] if tried else None,
        verdict=Verdict(()),
        counts={},
        digests={},
        params={},
        example=training.rows.head(50),
        label_end_at=training.as_of,
    )


def record(verdict: str = "accepted", **more: object) -> Record:
    return Record(
        model="lapse_risk",
        run_name="lapse_risk as of 2017-12-31",
        params={"as_of": "2017-12-31T00:00:00+00:00"},
        metrics={"holdout_rows": 600.0},
        tags={"verdict": verdict, "reasons": "" if verdict == "accepted" else "no signal"},
        **more,  # type: ignore[arg-type]
    )


def test_a_run_shows_everything_and_its_model_is_loaded_again(
    settings: Settings, training: Panel, fitted: Fitted
) -> None:
    scores = fitted.probability(training.rows)
    rule = np.where(scores < np.median(scores), -np.inf, scores)  # half have no value of the rule
    drawn = figures(training.label, scores, rule, fitted.weights())
    kept = record(documents={"inputs.json": {"panels": {"a": "b"}}})
    tracked = tracking.track(settings, kept, judged(training, fitted, **drawn))
    client = tracking.open_client(settings)

    run = client.get_run(tracked.run_id)
    assert run.info.status == "FINISHED"
    of_candidate = {"candidate": "logistic_regression", "strength": "0.1"}
    measured = {"roc_auc": 0.857, "roc_auc_low": 0.8, "roc_auc_high": 0.9}
    assert run.data.params == {"as_of": "2017-12-31T00:00:00+00:00", **of_candidate}
    assert run.data.metrics == {"holdout_rows": 600.0, **measured}
    parent = f"tags.`mlflow.parentRunId` = '{tracked.run_id}'"
    (child,) = client.search_runs([run.info.experiment_id], parent)
    assert child.data.params == of_candidate
    assert child.data.metrics == measured
    assert run.data.tags["verdict"] == "accepted"
    assert run.info.run_name == "lapse_risk as of 2017-12-31"
    root = Path(tracking.artifact_root(settings))
    assert {path.name for path in root.rglob("*.png")} == set(drawn)
    assert list(root.rglob("inputs.json"))
    experiment = client.get_experiment(run.info.experiment_id)
    assert experiment.name == f"{settings.business}.lapse_risk"

    assert tracked.model_uri == f"models:/{settings.business}.lapse_risk/1"
    loaded = tracking.load_pipeline(settings, tracked.model_uri)
    assert (probability(loaded, training.rows) == scores).all()
    requirements = next(root.rglob("requirements.txt")).read_text()
    assert "scikit-learn==" in requirements
    from mlflow.models import get_model_info

    signature = get_model_info(tracked.model_uri).signature
    assert signature is not None
    assert signature.inputs.input_names() == list(FEATURES)


def test_the_newest_is_challenger_and_only_a_promoted_one_champion(
    settings: Settings, training: Panel, fitted: Fitted
) -> None:
    name = tracking.registered_name(settings, "lapse_risk")
    first = tracking.track(settings, record(), judged(training, fitted))
    assert first.version is not None
    tracking.promote(settings, "lapse_risk", first.version)
    second = tracking.track(settings, record("refused"), judged(training, fitted))
    client = tracking.open_client(settings)
    assert str(client.get_model_version_by_alias(name, "champion").version) == first.version
    challenger = client.get_model_version_by_alias(name, "challenger")
    assert str(challenger.version) == second.version
    assert challenger.tags["reasons"] == "no signal"


def test_a_training_without_a_model_is_still_a_run(settings: Settings, training: Panel) -> None:
    tracked = tracking.track(settings, record("refused"), judged(training))
    assert tracked.version is None
    assert tracked.model_uri is None
    assert tracked.run_url is None
    run = tracking.open_client(settings).get_run(tracked.run_id)
    assert run.data.tags["verdict"] == "refused"


class Foreign:
    """What no training saves, although its artifact calls it trusted."""

    def __init__(self) -> None:
        self.loaded = True


def test_only_what_training_saves_is_read_whatever_the_artifact_says_of_itself(
    settings: Settings, training: Panel, fitted: Fitted
) -> None:
    import skops.io

    tracked = tracking.track(settings, record(), judged(training, fitted))
    assert tracked.model_uri is not None
    (file,) = Path(tracking.artifact_root(settings)).rglob("model.skops")
    kept, described = file.read_bytes(), file.with_name("MLmodel")
    own = "tagline.training.estimators.tag_classifier.TagClassifier"
    assert own in described.read_text("utf-8")

    def refusal(content: bytes) -> str:
        file.write_bytes(content)
        with pytest.raises(ModelRefused, match="train it again") as refused:
            tracking.load_pipeline(settings, str(tracked.model_uri))
        return str(refused.value)

    foreign = f"{__name__}.Foreign"
    described.write_text(described.read_text("utf-8").replace(own, foreign), "utf-8")
    assert f"holds {foreign}" in refusal(skops.io.dumps(Foreign()))
    assert "has no attribute 'TagClassifier0'" in refusal(_renamed(kept, "TagClassifier"))
    assert "not a zip file" in refusal(b"half a file")
    file.write_bytes(kept)
    loaded = tracking.load_pipeline(settings, tracked.model_uri)
    assert (probability(loaded, training.rows) == fitted.probability(training.rows)).all()


def _renamed(model: bytes, name: str) -> bytes:
    """The file of a model one of whose classes has another name since."""
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(model)) as old, zipfile.ZipFile(written, "w") as new:
        for entry in old.namelist():
            content = old.read(entry)
            if entry == "schema.json":
                content = content.replace(f'"{name}"'.encode(), f'"{name}0"'.encode())
            new.writestr(entry, content)
    return written.getvalue()


def test_a_server_that_does_not_answer_is_asked_again_but_a_refusal_is_none(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    away = settings.model_copy(update={"mlflow_url": "http://127.0.0.1:9"})
    with pytest.raises(tracking.TrackingUnavailable, match="try again") as lost:
        tracking.load_pipeline(away, "models:/shop.lapse_risk/1")
    assert lost.value.is_transient

    def refuse(**_: object) -> None:
        raise mlflow.MlflowException("no such place")  # its code is INTERNAL_ERROR

    monkeypatch.setattr("mlflow.artifacts.download_artifacts", refuse)
    with pytest.raises(ModelRefused, match="no such place"):
        tracking.load_pipeline(settings, "models:/shop.lapse_risk/1")


def test_a_model_that_is_gone_is_refused_with_the_fix(settings: Settings) -> None:
    with pytest.raises(ModelRefused, match="train it again"):
        tracking.load_pipeline(settings, "models:/nowhere/1")
