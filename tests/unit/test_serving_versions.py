"""Which version of a model serves: what it was trained for, the last decision, a restored one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import sqlglot
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from tests.conftest import SmallShop

from tagline.catalog import Catalog, load_catalog
from tagline.definitions.models import BinaryModel, PurchaseProcessModel
from tagline.deployment import Deployment
from tagline.errors import ModelRefused
from tagline.registry.schema import ModelVersion
from tagline.sqlfiles import SqlFile
from tagline.training.inputs import WHAT_IS_PREDICTED, other_versions, read_versions
from tagline.training.kinds import Judged, Training
from tagline.training.promotion import promote_judged, restore
from tagline.training.score import serving_version
from tagline.training.tracking import Tracked
from tagline.training.train import train
from tagline.training.verdict import Verdict

slow = pytest.mark.slow
PROJECT = Path(__file__).parents[2]
FIRST = datetime(2017, 11, 1, tzinfo=UTC)
AS_OF = datetime(2017, 12, 1, tzinfo=UTC)
NOW = datetime(2017, 12, 1, 6, tzinfo=UTC)
LAPSE = BinaryModel.model_validate(
    {
        "name": {"en": "Lapse", "zh": "流失"},
        "description": "Made for a test.",
        "owner": "crm",
        "task": "binary",
        "population": "recency_days <= 60",
        "label": "lapsed",
        "horizon": "30 days",
        "features": ["recency_days", "order_amount_90d"],
        "rule": {"tag": "recency_days", "high_means": "positive"},
        "candidates": ["logistic_regression"],
        "panels": {"count": 3, "every": "30 days"},
        "gate": {"min_roc_auc": 0.7, "max_calibration_error": 0.1},
    }
)


@cache
def grocer() -> Catalog:
    return load_catalog(PROJECT / "include", "grocer")


def asks(model: str, **changed: Any) -> Mapping[str, str]:
    """The versions that a model of the grocer depends on, with changed keys of its file."""
    catalog = grocer()
    definition = catalog.models[model]
    return read_versions(catalog, definition.model_copy(update=changed))


def test_a_model_asked_for_another_horizon_or_other_classes_is_another_model() -> None:
    assert other_versions(asks("lapse_risk"), asks("lapse_risk")) == ()
    longer = asks("lapse_risk", horizon=timedelta(days=61))
    assert other_versions(asks("lapse_risk"), longer) == (WHAT_IS_PREDICTED,)
    fewer = asks("lifecycle_stage", classes=("new", "active"))
    assert other_versions(asks("lifecycle_stage"), fewer) == (WHAT_IS_PREDICTED,)
    assert other_versions(asks("lapse_risk"), asks("lapse_risk", threshold=0.9)) == ()


def test_a_history_whose_tags_have_changed_places_is_another_history() -> None:
    model = grocer().models["purchase_process"]
    assert isinstance(model, PurchaseProcessModel)
    history = model.history
    swapped = history.model_copy(update={"recency": history.age, "age": history.recency})
    found = other_versions(asks("purchase_process"), asks("purchase_process", history=swapped))
    assert found == (WHAT_IS_PREDICTED,)


def test_an_attribute_that_has_changed_its_meaning_is_to_be_inferred_anew() -> None:
    catalog, model = grocer(), "inferred_marital_status"
    told = replace(catalog.tags["marital_status"], version="another")
    changed = replace(catalog, tags={**catalog.tags, "marital_status": told})
    read = read_versions(changed, changed.models[model])
    assert other_versions(asks(model), read) == (WHAT_IS_PREDICTED,)


@pytest.fixture
def deployment(shop: SmallShop) -> Deployment:
    """A shop with a model, and nothing trained yet."""
    return asked(shop.deployment, "recency_days > 30")


def asked(shop: Deployment, lapsed: str, **changed: Any) -> Deployment:
    """The same shop with the model's label query, and changed keys of its file."""
    tree = sqlglot.parse_one(f"SELECT customer_id, {lapsed} AS label FROM orders", dialect="duckdb")
    assert isinstance(tree, sqlglot.exp.Query)
    label = SqlFile("lapsed", tree, ("orders",), ("customer_id", "label"))
    catalog = replace(
        shop.catalog,
        models={"lapse_risk": LAPSE.model_copy(update=changed)},
        labels={"lapsed": label},
    )
    return replace(shop, catalog=catalog)


def trained(
    deployment: Deployment, as_of: datetime, verdict: str = "accepted", status: str = "judged"
) -> int:
    """A training whose outcome is in the registry; its version."""
    definition = deployment.catalog.models["lapse_risk"]
    row = ModelVersion(
        model="lapse_risk",
        definition="d",
        trained_as_of=as_of,
        label_end_at=as_of,
        trained_at=NOW,
        verdict=verdict,
        status=status,
        reasons=[] if verdict == "accepted" else ["the champion stays"],
        metrics={},
        features=read_versions(deployment.catalog, definition),
        mlflow_run_id="abc",
        model_uri="models:/shop.lapse_risk/1",
    )
    with deployment.registry.session() as session:
        session.add(row)
        session.flush()
        return row.id


def serves(deployment: Deployment) -> int:
    return serving_version(deployment, "lapse_risk", AS_OF).id


def restored(deployment: Deployment, version: int) -> None:
    restore(deployment, "lapse_risk", version, "the newer one drifts", "wei", NOW)


@slow
def test_a_champion_of_another_label_does_not_serve(deployment: Deployment) -> None:
    first = trained(deployment, FIRST, status="promoted")
    assert serves(deployment) == first
    assert serves(asked(deployment, "recency_days > 30 /* a month */")) == first
    for other in (
        asked(deployment, "recency_days > 31"),
        asked(deployment, "recency_days > 30", horizon=timedelta(days=60)),
    ):
        with pytest.raises(ModelRefused, match="other versions of what is predicted; train it"):
            serves(other)


@slow
def test_a_version_that_could_not_serve_is_not_restored_and_takes_nothing_down(
    deployment: Deployment,
) -> None:
    first = trained(deployment, FIRST, status="promoted")
    tags = dict(deployment.catalog.tags)
    tags["recency_days"] = replace(tags["recency_days"], version="v2")
    redefined = replace(deployment, catalog=replace(deployment.catalog, tags=tags))
    second = trained(redefined, AS_OF, status="promoted")
    with pytest.raises(ModelRefused, match="other versions of recency_days and cannot serve"):
        restored(redefined, first)
    assert serves(redefined) == second


@slow
def test_a_repeated_training_that_is_refused_takes_down_what_it_repeats(
    deployment: Deployment,
) -> None:
    before, corrupt = trained(deployment, FIRST), trained(deployment, AS_OF)
    promote_judged(deployment, "lapse_risk", FIRST, NOW)
    assert promote_judged(deployment, "lapse_risk", AS_OF, NOW).promoted
    assert serves(deployment) == corrupt
    again = trained(deployment, AS_OF, "refused")
    report = promote_judged(deployment, "lapse_risk", AS_OF, NOW)
    assert (report.version, report.promoted) == (again, False)
    assert report.reasons == ("the champion stays",)
    assert serves(deployment) == before

    restored(deployment, corrupt)
    promote_judged(deployment, "lapse_risk", AS_OF, NOW)
    assert serves(deployment) == corrupt, "the task was cleared once more"


@slow
def test_a_withdrawn_version_is_not_called_promoted_when_its_task_runs_again(
    deployment: Deployment,
) -> None:
    before, later = trained(deployment, FIRST), trained(deployment, AS_OF)
    promote_judged(deployment, "lapse_risk", FIRST, NOW)
    promote_judged(deployment, "lapse_risk", AS_OF, NOW)
    restored(deployment, before)
    report = promote_judged(deployment, "lapse_risk", AS_OF, NOW)
    assert (report.version, report.promoted, report.serves_from) == (later, False, None)
    assert report.reasons == ("it was withdrawn: the newer one drifts",)
    assert serves(deployment) == before


@slow
def test_a_backup_may_begin_while_a_model_learns_but_not_while_it_is_written_down(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = dict[str, bool]()

    def ask(stage: str) -> None:
        """Whether a backup would have to wait: it asks for the table as `tagline backup` does."""
        with deployment.registry.engine.connect() as connection:
            connection.execute(text("set local lock_timeout = '200ms'"))
            try:
                connection.execute(text("lock table locks in exclusive mode"))
                held[stage] = False
            except OperationalError:
                held[stage] = True

    def learn(asked: Training) -> Judged:
        ask("learning")
        with deployment.registry.lock("derived:orders"):
            pass
        return Judged((), None, Verdict(("no signal",)), {}, {}, {}, pd.DataFrame(), asked.as_of)

    def keep(*_: Any) -> Tracked:
        ask("writing")
        return Tracked("abc", None, None, None)

    monkeypatch.setattr("tagline.training.train.require_data", lambda *_: None)
    monkeypatch.setattr("tagline.training.train.kind_of", lambda _: SimpleNamespace(train=learn))
    monkeypatch.setattr("tagline.training.train.track", keep)
    report = train(deployment, "lapse_risk", AS_OF, NOW)
    assert held == {"learning": False, "writing": True}
    assert (report.verdict, report.reasons) == ("refused", ("no signal",))


@slow
def test_of_two_trainings_of_an_instant_the_newer_counts_whichever_is_decided_first(
    deployment: Deployment,
) -> None:
    before = trained(deployment, FIRST, status="promoted")
    older, newer = trained(deployment, AS_OF), trained(deployment, AS_OF, "refused")
    promote_judged(deployment, "lapse_risk", AS_OF, NOW, version=newer)
    report = promote_judged(deployment, "lapse_risk", AS_OF, NOW, version=older)
    assert (report.version, report.promoted) == (older, False)
    assert serves(deployment) == before
    with pytest.raises(ModelRefused, match="was not trained as of"):
        promote_judged(deployment, "lapse_risk", AS_OF, NOW, version=before)
