"""When a training looks at the past, where clocks change; and trainings that begin with nothing."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.made_panels import FEATURES, panel

from tagline.catalog import Catalog, load_catalog
from tagline.definitions.models import CirclesModel, MulticlassModel, Panels
from tagline.errors import ModelRefused
from tagline.training.class_verdict import assess_classes
from tagline.training.estimators.tag_classifier import CANDIDATES
from tagline.training.fit import choose
from tagline.training.kinds import Training, circles
from tagline.training.labelled import labelled
from tagline.training.panels import schedule

PROJECT = Path(__file__).parents[2]
SIXTY = timedelta(days=60)


@cache
def london() -> Catalog:
    """The grocer, as if it stood where clocks change."""
    catalog = load_catalog(PROJECT / "include", "grocer")
    moved = catalog.definition.model_copy(update={"timezone": "Europe/London"})
    return replace(catalog, definition=moved)


@pytest.mark.parametrize(
    ("as_of", "holdout", "trained"),
    [
        (date(2011, 4, 1), date(2011, 1, 31), [date(2010, 12, 2), date(2010, 10, 3)]),
        (date(2011, 11, 1), date(2011, 9, 2), [date(2011, 7, 4), date(2011, 5, 5)]),
        (date(2011, 12, 1), date(2011, 10, 2), [date(2011, 8, 3), date(2011, 6, 4)]),
    ],
)
def test_every_instant_of_a_training_is_a_midnight_also_across_a_change_of_clocks(
    as_of: date, holdout: date, trained: list[date]
) -> None:
    at = london().midnight
    plan = schedule(Panels(count=3, every=SIXTY), SIXTY, at(as_of), london().before)
    assert plan.holdout == at(holdout)
    assert list(plan.trained) == [at(day) for day in trained]
    assert london().before(plan.holdout, -SIXTY) == at(as_of), "where the last label ends"


def test_candidates_are_compared_on_the_newest_panel_also_across_a_change_of_clocks() -> None:
    newest, older = (
        replace(panel(seed, 300), as_of=london().midnight(day))
        for seed, day in ((1, date(2011, 4, 1)), (2, date(2011, 1, 31)))
    )
    found = choose(CANDIDATES, FEATURES, [newest, older], SIXTY, london().before)
    assert found.compared_on.startswith("the training panel of")


def test_panels_that_reach_too_little_far_back_are_refused_with_the_fix() -> None:
    as_of = datetime(2017, 12, 31, tzinfo=UTC)
    with pytest.raises(ModelRefused, match=r"2017-11-01.*raise panels\.count or panels\.every"):
        schedule(Panels(count=2, every=timedelta(days=7)), SIXTY, as_of)


def shopping(seed: int) -> pd.DataFrame:
    """Four groups of forty customers, each with six shops of its own."""
    random = np.random.default_rng(seed)
    rows = [
        (f"c{group * 40 + member:04}", f"shop {shop + 6 * group:02}", float(random.integers(1, 20)))
        for group, member in itertools.product(range(4), range(40))
        for shop in random.choice(6, 3, replace=False)
    ]
    return pd.DataFrame(rows, columns=["customer_id", "item", "weight"])


def test_circles_whose_champion_is_gone_begin_anew_and_never_from_the_same_day(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = london().models["circles"]
    assert isinstance(file, CirclesModel)
    graph = file.graph.model_copy(update={"neighbours": 10, "min_size": 10})
    definition = file.model_copy(update={"graph": graph, "weeks": 2, "seeds": 2})
    as_of, asked = london().midnight(date(2011, 4, 1)), list[Any]()

    def champion(*given: Any, **more: Any) -> Any:
        asked.append((given, more))
        return SimpleNamespace(model_uri="models:/shop.circles/1")

    def gone(*_: Any) -> Any:
        raise ModelRefused("model models:/shop.circles/1 cannot be loaded from MLflow")

    def tags(_deployment: Any, _definition: Any, slugs: Any, _at: Any) -> pd.DataFrame:
        customers = sorted(set(shopping(1)["customer_id"]))
        columns = list(dict.fromkeys(slugs))
        numbers = np.random.default_rng(2).random((len(customers), len(columns)))
        return pd.DataFrame(numbers, index=customers, columns=columns)

    registry = SimpleNamespace(model_versions=lambda _: [], champion=champion)
    deployment: Any = SimpleNamespace(catalog=london(), registry=registry, settings=None)
    monkeypatch.setattr(circles, "load_input", lambda *_: shopping(1))
    monkeypatch.setattr(circles, "load_indexed", tags)
    monkeypatch.setattr(circles, "load_pipeline", gone)
    judged = circles.train(Training(deployment, "circles", definition, as_of, None))
    assert judged.chosen is not None and judged.chosen.model is not None
    assert len(judged.chosen.model.circles_) == 4
    assert asked == [(("circles", as_of), {"trained_before": as_of})]
    weeks = [london().midnight(date(2011, 3, 25)), as_of]  # clocks changed on the 27th
    assert judged.counts["training"]["as_of"] == [each.isoformat() for each in weeks]


def test_a_label_set_that_nobody_has_answered_is_refused_and_not_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = london().models["lifecycle_stage"]
    assert isinstance(file, MulticlassModel)
    people = {"label": None, "horizon": None, "panels": None, "label_set": "lifecycle_stage"}
    definition = file.model_copy(update=people)
    as_of = datetime(2017, 12, 31, tzinfo=UTC)

    def tags(_deployment: Any, _definition: Any, compared: Any, _at: Any) -> pd.DataFrame:
        slugs = dict.fromkeys((*definition.features, *compared))
        return pd.DataFrame({"customer_id": ["1", "2"], **{slug: [1.0, 2.0] for slug in slugs}})

    monkeypatch.setattr("tagline.training.labelled.decisions", lambda *_: [])
    monkeypatch.setattr("tagline.training.labelled.load_tags", tags)
    monkeypatch.setattr("tagline.training.labelled.too_late", lambda *_: "; 9 came too late")
    deployment: Any = SimpleNamespace(catalog=london())
    found = labelled(Training(deployment, "lifecycle_stage", definition, as_of, None))
    assert [len(one.label) for one in (*found.trained, found.holdout)] == [0, 0]
    assert found.holdout.as_of == as_of
    reasons = assess_classes(definition, {}, found).verdict.reasons
    assert any("fewer than min_rows_of_class" in reason for reason in reasons)
    assert any(reason.endswith("lifecycle_stage`; 9 came too late") for reason in reasons)
    assert found.holdout.digest, "what was judged is recorded, even nothing"
