"""Fitting, measuring and judging models, on customers made up from known probabilities."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn import metrics as reference
from tests.made_panels import FEATURES, HOLDOUT, definition, panel, with_labels

from tagline.definitions.models import Panels
from tagline.definitions.types import DataType
from tagline.errors import ModelRefused
from tagline.training import evaluate as measuring
from tagline.training import inputs
from tagline.training.fit import fit
from tagline.training.panels import Array, Panel, schedule, thinned, typed_frame
from tagline.training.verdict import assess, rule_score

ONCE = np.ones((1, 400))


def test_panels_are_trained_on_only_when_their_horizon_ends_by_the_holdout() -> None:
    plan = schedule(
        Panels(count=6, every=timedelta(days=30)),
        timedelta(days=60),
        datetime(2017, 12, 31, tzinfo=UTC),
    )
    assert plan.holdout == HOLDOUT
    assert [instant.date().isoformat() for instant in plan.trained] == [
        "2017-09-02",
        "2017-08-03",
        "2017-07-04",
        "2017-06-04",
    ]


def test_a_model_with_signal_is_accepted_and_beats_the_rule() -> None:
    outcome = assess(definition(), FEATURES, [panel(1), panel(2)], panel(3))
    assert outcome.verdict.accepted, outcome.verdict.reasons
    assert outcome.chosen is not None
    gain = outcome.chosen.metrics["gain_over_rule"]
    auc, rule = outcome.chosen.metrics["roc_auc"], outcome.chosen.metrics["rule_roc_auc"]
    assert 0.7 < auc.low < auc.value < auc.high < 0.9
    assert gain.value == pytest.approx(auc.value - rule.value)
    assert gain.high - gain.low < (auc.high - auc.low) + (rule.high - rule.low)
    assert outcome.chosen.metrics["calibration_error"].value < 0.05


def test_random_labels_are_refused_with_reasons() -> None:
    random = np.random.default_rng(7)
    training, holdout = (
        with_labels(one, random.random(len(one.label)) < 0.3) for one in (panel(1), panel(2))
    )
    verdict = assess(definition(), FEATURES, [training], holdout).verdict
    assert verdict.word == "refused"
    assert any("min_roc_auc" in reason for reason in verdict.reasons)
    assert any("plain rule" in reason for reason in verdict.reasons)


@pytest.mark.parametrize("form", ["number", "text", "missing", "both ends"])
def test_a_feature_that_gives_the_label_away_is_refused_by_name(form: str) -> None:
    def leaking(one: Panel) -> Panel:
        lapsed = one.label == 1
        random = np.random.default_rng(len(form))
        values: dict[str, Any] = {
            "number": one.label,
            "text": np.where(lapsed, "left", "stayed"),
            "missing": np.where(lapsed, np.nan, random.random(len(lapsed))),
            "both ends": np.where(lapsed, random.choice([-1.0, 1.0], len(lapsed)), 0.0),
        }
        rows = one.rows.assign(
            closed=pd.Series(values[form], dtype=object if form == "text" else float)
        )
        return Panel(one.as_of, one.customers, rows, one.label)

    features = {**FEATURES, "closed": DataType.TEXT if form == "text" else DataType.NUMBER}
    verdict = assess(definition(), features, [leaking(panel(1))], leaking(panel(2))).verdict
    assert not verdict.accepted
    named = [reason for reason in verdict.reasons if "gives the label away" in reason]
    assert len(named) == 1 and "'closed'" in named[0]


def test_too_few_positives_are_refused_before_anything_is_fitted() -> None:
    training = panel(1)
    few = np.zeros(len(training.label))
    few[:20] = 1
    outcome = assess(definition(), FEATURES, [training], with_labels(panel(2), few))
    assert outcome.chosen is None
    assert outcome.verdict.reasons == (
        "the holdout rows hold 20 positives, fewer than min_positives 30",
    )


def test_a_badly_calibrated_model_is_refused() -> None:
    training, holdout = panel(1), panel(2)
    rare = training.label * (np.random.default_rng(1).random(len(training.label)) < 0.3)
    verdict = assess(definition(), FEATURES, [with_labels(training, rare)], holdout).verdict
    assert any("max_calibration_error" in reason for reason in verdict.reasons)


def test_a_model_surely_worse_than_the_champion_is_refused() -> None:
    holdout = panel(3)
    better = holdout.label * 0.3 + np.random.default_rng(0).random(len(holdout.label)) * 0.7
    outcome = assess(definition(), FEATURES, [panel(1)], holdout, champion=better)
    assert outcome.chosen is not None
    assert outcome.chosen.metrics["gain_over_champion"].high < 0
    assert any("champion" in reason for reason in outcome.verdict.reasons)


def test_the_pipeline_learns_only_from_training_rows_and_takes_what_it_never_saw() -> None:
    training, holdout = panel(1), panel(2)
    fitted = fit("logistic_regression", FEATURES, training)
    assert fitted.shapes == {
        "recency_days": "number",
        "order_amount": "skewed number",
        "has_card": "category",
        "region": "category",
    }
    before = fitted.probability(holdout.rows)
    odd = holdout.rows.assign(
        region=pd.Series(["moon"] * len(holdout.rows), dtype=object), order_amount=np.nan
    )
    assert np.isfinite(fitted.probability(odd)).all()
    assert (fitted.probability(holdout.rows) == before).all()
    assert fitted.probability(holdout.rows.head(5)) == pytest.approx(before[:5])
    assert next(iter(fitted.weights())) in {"order_amount", "has_card_true", "has_card_false"}


def test_constant_features_are_left_out() -> None:
    training = panel(1)
    training = Panel(
        training.as_of, training.customers, training.rows.assign(order_amount=1.0), training.label
    )
    fitted = fit("logistic_regression", FEATURES, training)
    assert fitted.shapes["order_amount"] == "constant"
    with pytest.raises(ModelRefused, match="constant"):
        fit("logistic_regression", {"order_amount": DataType.NUMBER}, training)


def test_every_measure_equals_the_reference_implementation() -> None:
    random = np.random.default_rng(5)
    label = (random.random(400) < 0.2).astype(float)
    hundredths = np.clip(label * 20 + random.random(400) * 70, 1, 99).astype(int)  # with ties
    score: Array = np.asarray(hundredths / 100, dtype=float)
    weights = random.integers(0, 4, (3, 400)).astype(float)
    roc, area = measuring.roc_auc(label, score), measuring.pr_auc(label, score)
    for row, roc_auc, pr_auc in zip(weights, roc(weights), area(weights), strict=True):
        assert roc_auc == pytest.approx(reference.roc_auc_score(label, score, sample_weight=row))
        assert pr_auc == pytest.approx(
            reference.average_precision_score(label, score, sample_weight=row)
        )
    result = measuring.evaluate(label, score, score)
    assert result["brier"].value == pytest.approx(reference.brier_score_loss(label, score))
    assert result["log_loss"].value == pytest.approx(reference.log_loss(label, score))
    assert result["gain_over_rule"].as_json() == {"value": 0, "low": 0, "high": 0}


def test_calibration_error_is_the_mean_gap_between_predicted_and_actual_rates() -> None:
    label = np.tile([1.0, 0.0, 0.0, 0.0], 100)
    assert measuring.calibration_error(label, np.full(400, 0.25))(ONCE)[0] == pytest.approx(0)
    assert measuring.calibration_error(label, np.full(400, 0.40))(ONCE)[0] == pytest.approx(0.15)


def test_intervals_are_repeatable_and_do_not_depend_on_the_block_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = panel(4, rows=400)
    score = one.rows["recency_days"].to_numpy(dtype=float)
    first = measuring.evaluate(one.label, score / 60, score)
    monkeypatch.setattr(measuring, "CELLS", 9_000)
    again = measuring.evaluate(one.label, score / 60, score)
    assert {name: interval.as_json() for name, interval in again.items()} == {
        name: interval.as_json() for name, interval in first.items()
    }


def test_the_interval_of_the_auc_covers_the_truth_about_as_often_as_it_says() -> None:
    truth = 0.7602499  # of two normal distributions one deviation apart
    covered = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        label = (random.random(400) < 0.3).astype(float)
        score = random.normal(label, 1)
        metric = {"auc": measuring.roc_auc(label, score)}
        interval = measuring.bootstrap(metric, {}, 400, resamples=200)["auc"]
        covered += interval.low <= truth <= interval.high
    assert covered >= 34


def test_a_rule_orders_by_its_tag_with_missing_values_last() -> None:
    rule = definition().rule
    rows = pd.DataFrame({"recency_days": [3.0, np.nan, 9.0]})
    assert rule_score(rule, rows).tolist() == [3, -np.inf, 9]
    reversed_rule = rule.model_copy(update={"high_means": "negative"})
    assert rule_score(reversed_rule, rows).tolist() == [-3, -np.inf, -9]
    words = pd.DataFrame({"recency_days": pd.Series(["north", None], dtype=object)})
    with pytest.raises(ModelRefused, match="recency_days"):
        rule_score(rule, words)


def test_frames_keep_numbers_as_floats_and_everything_else_as_strings() -> None:
    table = pa.table({"a": [1, None], "b": [True, None], "c": ["x", None]})
    frame = typed_frame(table, {"a": DataType.INTEGER, "b": DataType.BOOLEAN, "c": DataType.TEXT})
    assert frame["a"].tolist()[0] == 1.0 and np.isnan(frame["a"].tolist()[1])
    assert frame["b"].tolist() == ["true", None]
    assert frame["c"].tolist() == ["x", None]


def test_the_digest_of_a_panel_follows_its_content() -> None:
    assert panel(1, 50).digest == panel(1, 50).digest
    assert panel(1, 50).digest != panel(2, 50).digest
    changed = panel(1, 50)
    changed.label[0] = 1 - changed.label[0]
    assert changed.digest != panel(1, 50).digest


def test_a_thinned_panel_keeps_the_same_customers_of_every_panel() -> None:
    first, second = thinned(panel(1), 500), thinned(panel(2), 500)
    assert first.customers.tolist() == second.customers.tolist()
    assert 430 < len(first.label) < 570
    whole = panel(1)
    place = whole.customers.tolist().index(first.customers[7])
    assert first.rows.iloc[7].equals(whole.rows.iloc[place])
    assert first.label[7] == whole.label[place]
    assert thinned(whole, 2000) is whole


def test_a_label_query_with_two_rows_of_a_customer_is_refused_with_the_query_and_the_customer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The engine's answers are stood in for."""
    people = pd.DataFrame({"customer_id": ["a", "b"], "recency_days": [1.0, 2.0]}, dtype=object)
    told = pa.table({"customer_id": ["a", "b", "b"], "label": [True, False, True]})
    monkeypatch.setattr(inputs, "load_tags", lambda *_: people)
    monkeypatch.setattr(inputs, "label_table", lambda *_: told)
    deployment: Any = None
    with pytest.raises(ModelRefused) as refused:
        inputs.load_panel(deployment, definition(), (), HOLDOUT)
    assert str(refused.value) == (
        "sql/labels/lapsed.sql returns customer_id 'b' 2 times as of 2017-11-01T00:00:00+00:00; "
        "return one row per customer_id"
    )
