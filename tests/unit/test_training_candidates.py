"""Candidates: what each tag contributes, calibrated trees, and a choice without the holdout."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from tests.made_panels import FEATURES, HOLDOUT, definition, panel, with_labels

from tagline.definitions.types import DataType
from tagline.errors import ModelRefused
from tagline.training.estimators.tag_classifier import CANDIDATES, LOGISTIC, TREES, TagClassifier
from tagline.training.evaluate import calibration_error
from tagline.training.fit import choose, fit
from tagline.training.panels import Array, Panel, stack
from tagline.training.verdict import assess

pytestmark = pytest.mark.slow  # trees

HORIZON = timedelta(days=60)
NUMBERS = {"a": DataType.NUMBER, "b": DataType.NUMBER}


def log_odds(probability: Array) -> Array:
    return np.asarray(np.log(probability / (1 - probability)))


def crossed(seed: int, days_before: int, rows: int = 1200) -> Panel:
    """It happens where exactly one of two numbers is positive: nothing for a linear model."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(random.normal(size=(rows, 2)), columns=["a", "b"])
    likely = np.where((frame["a"] > 0) ^ (frame["b"] > 0), 0.8, 0.2)
    label = (random.random(rows) < likely).astype(float)
    customers = np.array([f"c{number}" for number in range(rows)], dtype=object)
    return Panel(HOLDOUT - timedelta(days=days_before), customers, frame, label)


def test_contributions_of_a_linear_model_add_up_to_its_log_odds() -> None:
    fitted = fit(LOGISTIC, FEATURES, panel(1))
    rows = panel(2, rows=300).rows
    parts = fitted.pipeline.contributions(rows)
    assert parts.shape == (300, len(FEATURES))
    rest = log_odds(fitted.probability(rows)) - parts.sum(axis=1)
    assert rest == pytest.approx(rest[0])
    mean = fitted.pipeline.contributions(panel(1).rows).mean(axis=0)
    assert mean == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("kind", CANDIDATES)
def test_labels_are_codes_of_any_number_of_classes(kind: str) -> None:
    training, asked = panel(1, rows=600), panel(2, rows=200)

    def by_amount(one: Panel) -> Any:
        return np.digitize(one.rows["order_amount"].fillna(20.0), [10, 40])

    fitted = fit(kind, FEATURES, with_labels(training, by_amount(training)))
    told = fitted.pipeline.predict_proba(asked.rows)
    assert told.shape == (200, 3)
    assert told.sum(axis=1) == pytest.approx(1)
    assert (fitted.pipeline.predict(asked.rows) == by_amount(asked)).mean() > 0.75
    parts = fitted.pipeline.contributions(asked.rows)
    assert np.abs(parts).mean(axis=0).argmax() == list(FEATURES).index("order_amount")
    if kind == LOGISTIC:  # exact for each row's class, against the mean over the classes
        centred = np.log(told) - np.log(told).mean(axis=1, keepdims=True)
        for code in range(3):
            of_class = told.argmax(axis=1) == code
            rest = (centred[:, code] - parts.sum(axis=1))[of_class]
            assert rest == pytest.approx(rest[0])


def test_a_contribution_of_trees_is_the_change_when_one_feature_is_as_usual() -> None:
    training = panel(1)
    model = fit(TREES, FEATURES, training).pipeline
    rows = panel(2, rows=200).rows
    parts = model.contributions(rows)
    whole = log_odds(model.predict_proba(rows)[:, 1])
    for place, slug in enumerate(FEATURES):
        usual = rows.assign(**{slug: pd.Series([model.usual_[slug]] * len(rows))})
        if FEATURES[slug] in (DataType.BOOLEAN, DataType.TEXT):
            usual[slug] = usual[slug].astype(object)
        without = log_odds(model.predict_proba(usual)[:, 1])
        assert parts[:, place] == pytest.approx(whole - without, abs=1e-9)
    assert model.usual_["order_amount"] == training.rows["order_amount"].median()


def test_probabilities_of_trees_are_calibrated_on_rows_they_had_not_seen() -> None:
    training = stack([panel(1, rows=400)] * 8)  # which trees learn by heart
    fitted = fit(TREES, FEATURES, training)
    assert fitted.parameters["calibrated"] is True
    asked = panel(5, rows=10_000)
    told = fitted.probability(asked.rows)
    once = np.ones((1, len(told)))
    raw = fitted.pipeline.model_.predict_proba(fitted.pipeline.inputs_.transform(asked.rows))[:, 1]
    error, raw_error = (calibration_error(asked.label, each)(once)[0] for each in (told, raw))
    assert error < raw_error * 0.8


@pytest.mark.parametrize("kind", CANDIDATES)
def test_a_candidate_is_loaded_as_it_was_saved_without_code(kind: str) -> None:
    fitted = fit(kind, FEATURES, panel(1, rows=400))
    saved = skops.io.dumps(fitted.pipeline)
    types = skops.io.get_untrusted_types(data=saved)
    assert all(name.startswith(("numpy.", "sklearn.", "tagline.training.")) for name in types)
    loaded: TagClassifier = skops.io.loads(saved, trusted=types)
    rows = panel(2, rows=50).rows
    assert (loaded.predict_proba(rows) == fitted.pipeline.predict_proba(rows)).all()
    assert (loaded.contributions(rows) == fitted.pipeline.contributions(rows)).all()
    assert loaded.training_bins_ == fitted.pipeline.training_bins_


def test_trees_are_chosen_where_a_line_sees_nothing_and_a_line_where_it_is_enough() -> None:
    choice = choose(CANDIDATES, NUMBERS, [crossed(1, 60), crossed(2, 120)], HORIZON)
    assert choice.chosen == TREES
    assert choice.losses[TREES] < choice.losses[LOGISTIC] - 0.1
    assert choice.compared_on == "the training panel of 2017-09-02"
    newer, older = panel(1, rows=500), replace(panel(2, rows=500), as_of=HOLDOUT - HORIZON)
    assert choose(CANDIDATES, FEATURES, [newer, older], HORIZON).chosen == LOGISTIC


def test_the_choice_is_made_on_panels_whose_labels_ended_before_the_newest() -> None:
    newest, overlapping, past = crossed(1, 60), crossed(2, 90), crossed(3, 120)
    garbage = replace(overlapping, label=1 - overlapping.label)
    chosen = choose(CANDIDATES, NUMBERS, [newest, overlapping, past], HORIZON)
    assert choose(CANDIDATES, NUMBERS, [newest, garbage, past], HORIZON) == chosen


def test_with_one_panel_candidates_are_compared_on_customers_left_out() -> None:
    only = crossed(1, 60)
    choice = choose(CANDIDATES, NUMBERS, [only], HORIZON)
    assert (choice.chosen, choice.compared_on) == (TREES, "a third of the training customers")
    twice = replace(stack([only, only]), as_of=only.as_of)
    assert choose(CANDIDATES, NUMBERS, [twice], HORIZON).losses[TREES] > 0.5  # not learnt by heart


def test_the_holdout_has_no_say_in_the_choice() -> None:
    file = definition().model_copy(update={"candidates": (TREES,), "features": ("a", "b")})
    file = file.model_copy(update={"rule": file.rule.model_copy(update={"tag": "a"})})
    trained = [crossed(1, 60, 400), crossed(2, 120, 400)]
    holdout = crossed(3, 0, 400)
    linear = with_labels(holdout, holdout.rows["a"] > 0)  # on which a line would win
    chosen = [assess(file, NUMBERS, trained, each).choice for each in (holdout, linear)]
    assert chosen[0] == chosen[1]
    assert chosen[0] is not None and chosen[0].chosen == TREES


def test_a_logistic_regression_is_always_trained_beside() -> None:
    file = definition().model_copy(update={"candidates": (TREES,)})
    outcome = assess(file, FEATURES, [panel(1, rows=400)], panel(2, rows=400))
    assert [one.fitted.kind for one in outcome.tried] == [LOGISTIC, TREES]
    assert all("roc_auc" in one.metrics for one in outcome.tried)


def test_an_unknown_candidate_is_refused_with_the_closest() -> None:
    with pytest.raises(ModelRefused, match="Did you mean 'boosted_trees'"):
        fit("boosted_tree", FEATURES, panel(1, rows=50))
