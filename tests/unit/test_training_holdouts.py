"""Several holdouts judged together, and a plain rule that is a probability."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from tests.made_panels import FEATURES, definition, panel

from tagline.definitions.models import BinaryModel
from tagline.errors import ModelRefused
from tagline.training import evaluate as evaluation
from tagline.training.evaluate import evaluate
from tagline.training.panels import Array, Panel, hours_before, schedule, stack
from tagline.training.verdict import assess

SIXTY = timedelta(days=60)


def with_keys(**changed: dict[str, Any]) -> BinaryModel:
    """The model file with some keys changed."""
    return BinaryModel.model_validate({**definition().model_dump(mode="python"), **changed})


def test_nothing_is_trained_on_that_reaches_into_the_oldest_of_several_holdouts() -> None:
    panels = with_keys(panels={"count": 12, "every": "30 days", "holdouts": 4}).panels
    as_of = datetime(2017, 12, 31, tzinfo=UTC)
    plan = schedule(panels, SIXTY, as_of, hours_before, panels.holdouts)
    assert plan.holdout == plan.holdouts[0] == as_of - SIXTY
    assert [(as_of - SIXTY - at).days for at in plan.holdouts] == [0, 30, 60, 90]
    assert [(plan.holdouts[-1] - at).days for at in plan.trained] == [
        60,
        90,
        120,
        150,
        180,
        210,
        240,
    ]


def test_holdouts_that_leave_nothing_to_train_on_are_refused() -> None:
    with pytest.raises(ValidationError, match="holdouts 4 leave none of 4"):
        with_keys(panels={"count": 4, "every": "30 days", "holdouts": 4})
    panels = with_keys(panels={"count": 4, "every": "10 days", "holdouts": 3}).panels
    with pytest.raises(ModelRefused, match=r"raise panels\.count or panels\.every"):
        schedule(panels, SIXTY, datetime(2017, 12, 31, tzinfo=UTC), hours_before, 3)


def test_rows_of_one_subject_are_no_more_evidence_than_one() -> None:
    one = panel(1, rows=400)
    random = np.random.default_rng(3)
    chance, rule = random.random(400), random.random(400)
    once = evaluate(one.label, chance, rule, rule_probability=rule)
    names = np.concatenate([one.customers] * 3)
    thrice = [np.concatenate([each] * 3) for each in (one.label, chance, rule)]
    again = evaluate(*thrice, rule_probability=thrice[2], subjects=names)
    for name, interval in once.items():
        if name != "calibration_error":  # its bins are by rows
            assert again[name].low == pytest.approx(interval.low, abs=1e-9), name
            assert again[name].high == pytest.approx(interval.high, abs=1e-9), name
    apart = evaluate(*thrice, rule_probability=thrice[2])
    assert apart["brier"].high - apart["brier"].low < 0.7 * (once["brier"].high - once["brier"].low)


def test_resamples_of_subjects_with_many_rows_take_no_more_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evaluation, "CELLS", 1_000)
    seen: list[int] = []

    def mean(weights: Array) -> Array:
        seen.append(weights.size)
        return np.asarray(weights.mean(axis=1))

    evaluation.bootstrap({"mean": mean}, {}, 400, resamples=20, subjects=np.arange(400) % 50)
    assert max(seen) <= 1_000


def test_holdouts_with_the_same_customers_are_judged_as_one() -> None:
    outcome = assess(definition(), FEATURES, [panel(1)], stack([panel(3), panel(4)]))
    assert outcome.verdict.accepted, outcome.verdict.reasons
    assert outcome.chosen is not None and len(outcome.chosen.scores) == 4000


def saying(one: Panel, chance: Any) -> Panel:
    """The rows with what somebody says of each."""
    return replace(one, rows=one.rows.assign(guess=chance))


def test_a_model_no_better_than_a_probability_is_refused_in_its_brier_score() -> None:
    rule = {"tag": "guess", "high_means": "positive", "is_probability": True}
    random = np.random.default_rng(5)
    trained, holdout = panel(1), panel(2)
    told = np.where(holdout.label == 1, 0.8, 0.2) + random.normal(0, 0.05, len(holdout.label))
    knows = saying(holdout, np.clip(told, 0, 1))
    verdict = assess(with_keys(rule=rule), FEATURES, [trained], knows).verdict
    assert any("in Brier score" in reason for reason in verdict.reasons)


def test_a_model_surely_better_than_a_probability_is_accepted_and_says_by_how_much() -> None:
    rule = {"tag": "guess", "high_means": "positive", "is_probability": True}
    trained, holdout = panel(1), panel(2)
    guess = np.full(len(holdout.label), np.nan)  # who says nothing is given the usual rate
    guess[::2] = 0.9
    outcome = assess(with_keys(rule=rule), FEATURES, [trained], saying(holdout, guess))
    assert outcome.verdict.accepted, outcome.verdict.reasons
    assert outcome.chosen is not None
    metrics = outcome.chosen.metrics
    usual = np.where(np.isnan(guess), trained.label.mean(), guess)
    assert metrics["rule_brier"].value == pytest.approx(np.mean((usual - holdout.label) ** 2))
    gain = metrics["brier_gain_over_rule"]
    assert gain.value == pytest.approx(metrics["rule_brier"].value - metrics["brier"].value)
    assert 0 < gain.low < gain.value


def test_a_rule_that_is_no_probability_is_refused_by_name() -> None:
    rule = {"tag": "recency_days", "high_means": "positive", "is_probability": True}
    with pytest.raises(
        ModelRefused, match="'recency_days' is no probability: it has values from 0"
    ):
        assess(with_keys(rule=rule), FEATURES, [panel(1)], panel(2))
    with pytest.raises(ValidationError, match="high_means: positive"):
        with_keys(rule={**rule, "high_means": "negative"})
