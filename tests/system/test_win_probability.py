"""Tags and a model of opportunities: refused on a CRM without signal, served where there is one.

The real files are Maven Analytics' CRM of a fictitious seller of hardware. They are not part of the
project: they lie in `../shared/data/maven_crm` beside it, or in the folder that
TAGLINE_CRM_DATA names; without them its tests are skipped.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as parquet
import pytest
from tests.conftest import drop_databases

from tagline.clean import clean
from tagline.compute import feature_table, label_table
from tagline.deployment import Deployment, open_deployment
from tagline.extract import extract
from tagline.pipeline import run_day
from tagline.serve.audiences import ids
from tagline.serve.profiles import profile
from tagline.serve.released import files_of
from tagline.settings import PROJECT, Settings
from tagline.subjects import CUSTOMER, SUBJECTS, Subject
from tagline.training.train import TrainReport, train

pytestmark = pytest.mark.slow

DEFINITIONS = PROJECT / "tests" / "crm"
DATA = Path(os.environ.get("TAGLINE_CRM_DATA", PROJECT.parent / "shared" / "data" / "maven_crm"))
FILES = ("accounts", "products", "sales_teams", "sales_pipeline")
OPPORTUNITY = SUBJECTS["opportunity"]
AS_OF = datetime(2018, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
needs_data = pytest.mark.skipif(
    not (DATA / "sales_pipeline.csv.gz").exists(), reason="no ../shared/data/maven_crm"
)


def made_up(folder: Path) -> None:
    """A small CRM in the same files: the region of the seller decides what is won.

    One candidate is enough to see how opportunities are scored, and a small holdout measures
    calibration roughly.
    """
    model = folder.parent / "models" / "win_probability.yaml"
    text = model.read_text("utf-8")
    text = text.replace(", boosted_trees]", "]")
    text = text.replace("max_calibration_error: 0.1", "max_calibration_error: 0.2")
    model.write_text(text, "utf-8")
    random = np.random.default_rng(7)
    rows = 3000
    engaged = pd.Timestamp("2016-11-01") + pd.to_timedelta(random.integers(0, 420, rows), "D")
    closed = engaged + pd.to_timedelta(random.integers(5, 100, rows), "D")
    region = random.choice(["Central", "East", "West"], rows, p=[0.4, 0.3, 0.3])
    rate = pd.Series({"Central": 0.25, "East": 0.6, "West": 0.9})[region].to_numpy()
    won = random.random(rows) < rate
    is_open = closed >= pd.Timestamp("2018-01-01")
    price = random.choice([55.0, 550.0, 4821.0], rows)
    names = {55.0: "MG Special", 550.0: "GTX Basic", 4821.0: "GTXPro"}
    pipeline = pd.DataFrame(
        {
            "opportunity_id": [f"D{number:04}" for number in range(rows)],
            "sales_agent": region,  # one seller in each office
            "product": [names[each] for each in price],
            "account": [f"Firm {number}" for number in random.integers(0, 40, rows)],
            "deal_stage": np.where(is_open, "Engaging", np.where(won, "Won", "Lost")),
            "engage_date": engaged,
            "close_date": closed.where(~is_open),
            "close_value": np.where(is_open, np.nan, won * price),
        }
    )
    accounts = pd.DataFrame(
        {
            "account": [f"Firm {number}" for number in range(40)],
            "sector": random.choice(["retail", "medical", "technolgy"], 40),
            "year_established": random.integers(1980, 2010, 40),
            "revenue": random.random(40) * 1000,
            "employees": random.integers(10, 9000, 40),
            "office_location": "Kenya",
        }
    )
    products = pd.DataFrame(
        {
            "product": ["MG Special", "GTX Basic", "GTX Pro"],
            "series": ["MG", "GTX", "GTX"],
            "sales_price": [55, 550, 4821],
        }
    )
    regions = ["Central", "East", "West"]
    teams = pd.DataFrame(
        {"sales_agent": regions, "manager": "Dustin Brinkmann", "regional_office": regions}
    )
    for name, table in zip(FILES, (accounts, products, teams, pipeline), strict=True):
        table.to_csv(folder / f"{name}.csv.gz", index=False)


def real(folder: Path) -> None:
    for name in FILES:
        shutil.copy(DATA / f"{name}.csv.gz", folder)


def opened(folder: Path, url: str, deliver: Callable[[Path], None]) -> Iterator[Deployment]:
    """A deployment of the hardware seller with what `deliver` writes."""
    definitions = folder / "definitions"
    shutil.copytree(DEFINITIONS, definitions)
    name = f"hardware_{deliver.__name__}"
    (definitions / "businesses" / "hardware.yaml").rename(
        definitions / "businesses" / f"{name}.yaml"
    )
    (definitions / "data").mkdir()
    deliver(definitions / "data")
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
def seller(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[Deployment]:
    """The real CRM, loaded."""
    yield from opened(tmp_path_factory.mktemp("maven"), postgres_url, real)


@pytest.fixture(scope="module")
def telling(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[Deployment]:
    """The made-up CRM, in which there is something to learn."""
    yield from opened(tmp_path_factory.mktemp("made_up"), postgres_url, made_up)


@pytest.fixture(scope="module")
def refused(seller: Deployment) -> TrainReport:
    """The training on the real CRM."""
    return train(seller, "win_probability", AS_OF, NOW)


@pytest.fixture(scope="module")
def day(seller: Deployment, refused: TrainReport) -> Deployment:
    """The seller with a day released after the training."""
    assert run_day(seller, AS_OF, "day", lambda: NOW).status == "released"
    return seller


def released(deployment: Deployment, subject: Subject = OPPORTUNITY) -> list[dict[str, Any]]:
    """The live rows of a subject."""
    release = deployment.registry.live()
    assert release is not None
    found: list[dict[str, Any]] = parquet.read_table(list(files_of(release, subject))).to_pylist()
    return found


@needs_data
def test_a_dirty_crm_becomes_opportunities_with_their_firms(day: Deployment) -> None:
    rows = released(day)
    stages = Counter(row["opportunity_stage"] for row in rows)
    assert stages == {"won": 4238, "lost": 2473, "engaging": 1589}
    assert sum(row["opportunity_amount"] for row in rows if row["opportunity_stage"] == "won") == (
        10_005_534
    )
    products = Counter(row["opportunity_product"] for row in rows)
    assert len(products) == 7 and products["GTX Pro"] > 1000 and "GTXPro" not in products
    assert {row["opportunity_sector"] for row in rows} >= {"technology", None}
    without_firm = [row for row in rows if row["opportunity_sector"] is None]
    assert len(without_firm) == 1589 - 501
    firms = released(day, CUSTOMER)
    assert len(firms) == 85
    assert sum(firm["open_opportunity_count"] for firm in firms) == 501


@needs_data
def test_prospects_without_a_day_wait_in_quarantine(seller: Deployment) -> None:
    clean = seller.registry.stage("load", "clean")
    assert clean["tables"]["opportunities"]["quarantined"] == {"not_engaged": 500}


@needs_data
def test_a_past_instant_sees_nothing_of_how_an_opportunity_ended(seller: Deployment) -> None:
    instant = datetime(2017, 7, 1, tzinfo=UTC)
    slugs = ("opportunity_stage", "opportunity_amount", "opportunity_age_days")
    frame = feature_table(seller, instant, slugs).to_pandas().set_index("opportunity_id")
    raw = pd.read_csv(DATA / "sales_pipeline.csv.gz", index_col="opportunity_id")
    raw = raw[raw["engage_date"] < "2017-07-01"]
    assert set(frame.index) == set(raw.index)
    is_open = ~(raw["close_date"] < "2017-07-01")
    assert set(frame.index[frame["opportunity_stage"] == "engaging"]) == set(raw.index[is_open])
    assert (
        frame.loc[raw.index[is_open], "opportunity_amount"]
        .isin([550, 4821, 55, 3393, 1096, 26768, 5482])
        .all()
    )
    query = seller.catalog.models["win_probability"].label_query
    assert query is not None
    labels = label_table(seller, query, instant, OPPORTUNITY).to_pandas()
    labels = labels.set_index("opportunity_id")["label"]
    ended = raw.index[is_open & (raw["close_date"] < "2017-09-29")]
    assert (labels[ended] == (raw.loc[ended, "deal_stage"] == "Won")).all()
    still = raw.index[~(raw["close_date"] < "2017-09-29")]
    assert labels[still].isna().all()


@needs_data
def test_a_win_model_without_signal_is_refused_in_plain_words(refused: TrainReport) -> None:
    assert refused.verdict == "refused"
    auc = refused.metrics["roc_auc"]
    assert auc["low"] < 0.5 < auc["high"] < 0.56
    assert refused.metrics["holdout"]["rows"] > 500
    assert any("below min_roc_auc 0.6" in reason for reason in refused.reasons)
    assert any(reason.startswith("there is no signal: ROC AUC") for reason in refused.reasons)


@needs_data
def test_without_a_model_its_tags_are_unavailable_and_the_rest_is_released(
    day: Deployment,
) -> None:
    release = day.registry.live()
    assert release is not None
    for slug in ("win_probability", "is_likely_won", "next_step"):
        assert release.tags[slug]["state"] == "unavailable"
        assert "no accepted version of model 'win_probability'" in release.tags[slug]["reason"]
        assert slug not in released(day)[0]
    assert release.tags["opportunity_age_days"]["state"] == "current"


def test_where_there_is_a_signal_each_open_opportunity_is_scored(telling: Deployment) -> None:
    report = train(telling, "win_probability", AS_OF, NOW)
    assert report.verdict == "accepted", report.reasons
    assert report.metrics["roc_auc"]["value"] > 0.65
    assert run_day(telling, AS_OF, "day", lambda: NOW).status == "released"
    rows = pd.DataFrame(released(telling))
    is_open = rows["opportunity_stage"] == "engaging"
    assert (rows["win_probability"].notna() == is_open).all()
    mean = rows[is_open].groupby("opportunity_region")["win_probability"].mean()
    assert mean["Central"] < 0.4 < mean["East"] < 0.75 < mean["West"]
    likely = rows["is_likely_won"].fillna(False).astype(bool)
    assert (likely == (rows["win_probability"] >= 0.7)).all()
    assert set(rows.loc[likely, "next_step"]) == {"ask for the order"}
    release = telling.registry.live()
    assert release is not None
    assert release.models["win_probability"]["scored"] == int(is_open.sum())
    key = str(rows.loc[likely, "opportunity_id"].iloc[0])
    told = profile(telling, key, None, NOW, OPPORTUNITY)["tags"]
    assert told["next_step"]["because"].startswith("won with a probability of 0.")
    wanted = sorted(rows.loc[rows["win_probability"] > 0.85, "opportunity_id"])
    assert ids(telling, "win_probability > 0.85", None, OPPORTUNITY) == wanted
