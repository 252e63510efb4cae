"""The gate of models of several classes, on customers made up from known probabilities."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from tagline.definitions.models import MulticlassModel
from tagline.definitions.types import DataType
from tagline.training.class_verdict import (
    ClassOutcome,
    assess_classes,
    codes,
    probabilities,
    rule_codes,
)
from tagline.training.contributions import Described
from tagline.training.kinds.multiclass import answers
from tagline.training.labelled import Labelled
from tagline.training.panels import Panel

CLASSES = ("low", "middle", "high")
FEATURES = {
    "amount": DataType.NUMBER,
    "recency_days": DataType.INTEGER,
    "has_card": DataType.BOOLEAN,
}
HOLDOUT = datetime(2017, 11, 1, tzinfo=UTC)
SIXTY = timedelta(days=60)


def definition(**gate: Any) -> MulticlassModel:
    return MulticlassModel.model_validate(
        {
            "name": {"en": "Value", "zh": "价值"},
            "description": "Made up.",
            "owner": "crm",
            "task": "multiclass",
            "population": "recency_days <= 60",
            "classes": list(CLASSES),
            "label": "value",
            "horizon": "60 days",
            "panels": {"count": 4, "every": "60 days"},
            "features": list(FEATURES),
            "rule": {"tag": "rank", "means": {"3": "high", "2": "middle", "1": "low"}},
            "candidates": ["logistic_regression"],
            "slices": ["has_card"],
            "gate": {"min_macro_f1": 0.5, "max_calibration_error": 0.06} | gate,
        }
    )


def panel(seed: int, days: int = 0, rows: int = 1500) -> Panel:
    """The class depends on the amount, the recency and the card; the rank on the amount alone."""
    random = np.random.default_rng(seed)
    amount = random.lognormal(3, 1, rows)
    recency = random.integers(0, 60, rows).astype(float)
    card = random.random(rows) < 0.5
    size = 1.4 * (np.log(amount) - 3) - 0.06 * (recency - 30) + 2.4 * (card - 0.5)
    odds = np.stack([-2 * size, np.full(rows, 1.5), 2 * size], axis=1)
    chance = np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)
    drawn = (chance.cumsum(axis=1) < random.random(rows)[:, None]).sum(axis=1)
    frame = pd.DataFrame(
        {
            "amount": amount,
            "recency_days": recency,
            "has_card": pd.Series(np.where(card, "true", "false"), dtype=object),
            "rank": np.digitize(amount, [12.0, 32.0]) + 1.0,
        }
    )
    customers = np.array([f"c{number:05d}" for number in range(rows)], dtype=object)
    return named(Panel(HOLDOUT - timedelta(days=days), customers, frame, np.zeros(rows)), drawn)


def named(one: Panel, code: Any) -> Panel:
    """The panel with the classes of these codes."""
    texts = cast("Any", np.array(CLASSES)[np.asarray(code, dtype=int)])
    return Panel(one.as_of, one.customers, one.rows, texts)


def assessed(
    holdout: Panel, *trained: Panel, gate: dict[str, Any] | None = None, **more: Any
) -> ClassOutcome:
    given = Labelled(trained, holdout, SIXTY, reasons=more.pop("reasons", ()))
    return assess_classes(definition(**(gate or {})), FEATURES, given, **more)


def test_classes_with_signal_are_accepted_and_beat_the_rule_and_the_majority() -> None:
    outcome = assessed(panel(3), panel(1, 60), panel(2, 120))
    assert outcome.verdict.accepted, outcome.verdict.reasons
    assert outcome.chosen is not None
    metrics = outcome.chosen.metrics
    assert outcome.chosen.fitted.pipeline.classes_.tolist() == sorted(CLASSES)
    assert metrics["macro_f1"].value > 0.55
    assert metrics["gain_over_rule"].low > 0
    assert metrics["gain_over_majority"].low > 0.2
    assert {one.value for one in outcome.slices} == {"true", "false"}


def test_random_classes_are_refused_with_reasons() -> None:
    random = np.random.default_rng(9)
    holdout, *trained = (
        named(one, random.integers(0, 3, len(one.label)))
        for one in (panel(3), panel(1, 60), panel(2, 120))
    )
    verdict = assessed(holdout, *trained).verdict
    assert any("min_macro_f1" in reason for reason in verdict.reasons)
    assert any("over the plain rule" in reason for reason in verdict.reasons)


def test_a_feature_that_gives_the_class_away_is_refused_by_name() -> None:
    def leaking(one: Panel) -> Panel:
        told = codes(CLASSES, one.label).astype(float)
        return Panel(one.as_of, one.customers, one.rows.assign(amount=told), one.label)

    verdict = assessed(leaking(panel(3)), leaking(panel(1, 60))).verdict
    named_ = [reason for reason in verdict.reasons if "gives the label away" in reason]
    assert len(named_) == 1 and "'amount'" in named_[0]


def test_labels_that_people_do_not_agree_on_are_refused_before_anything_is_fitted() -> None:
    outcome = assessed(panel(3), panel(1, 60), reasons=("they do not agree",))
    assert outcome.tried == ()
    assert outcome.verdict.reasons == ("they do not agree",)


def test_a_class_too_rare_to_learn_is_refused_by_name() -> None:
    training = panel(1, 60)
    code = codes(CLASSES, training.label)
    code[code == 2] = 1
    code[:7] = 2
    verdict = assessed(panel(3), named(training, code)).verdict
    assert verdict.reasons == (
        "the training rows hold 7 of class 'high', fewer than min_rows_of_class 20",
    )


def test_a_model_surely_worse_than_the_champion_is_refused() -> None:
    training, holdout = panel(1, 60), panel(3)
    champion = assessed(holdout, training).tried[0].fitted.pipeline
    random = np.random.default_rng(4)
    noisy = np.where(random.random(1500) < 0.75, random.integers(0, 3, 1500), 0)
    mixed = named(training, np.where(noisy > 0, noisy, codes(CLASSES, training.label)))
    outcome = assessed(holdout, mixed, gate={"min_macro_f1": 0}, champion=champion)
    assert any("present champion" in reason for reason in outcome.verdict.reasons)


def test_a_rule_reads_numbers_and_texts_and_is_wrong_where_it_means_nothing() -> None:
    rule = definition().rule
    ranks = pd.DataFrame({"rank": [3.0, 1.0, np.nan, 7.0]})
    assert rule_codes(rule, CLASSES, ranks).tolist() == [2, 0, -1, -1]
    words = pd.DataFrame({"rank": pd.Series(["2", None, "other"], dtype=object)})
    assert rule_codes(rule, CLASSES, words).tolist() == [1, -1, -1]


def test_a_class_that_the_model_never_saw_has_no_probability() -> None:
    training = panel(1, 60)
    code = codes(CLASSES, training.label)
    code[code == 2] = 1
    outcome = assessed(panel(3), named(training, code), gate={"min_rows_of_class": 5})
    assert outcome.tried == ()
    chosen = assessed(panel(3), training).tried[0].fitted.pipeline
    more = (*CLASSES, "other")
    found = probabilities(chosen, more, training.rows)
    assert found.shape == (1500, 4)
    assert found[:, 3].max() == 0
    assert found.sum(axis=1) == pytest.approx(1)


def test_the_answer_is_the_most_probable_class_and_its_probability() -> None:
    training = panel(1, 60)
    words = {
        slug: Described(en=slug, zh=slug, type=kind.value, unit=None)
        for slug, kind in FEATURES.items()
    }
    model = assessed(panel(3), training, described=words).tried[0].fitted.pipeline
    rows = training.rows.drop(columns="rank")
    rows.insert(0, "customer_id", training.customers)
    told = answers(definition(), model, rows)
    assert set(told.columns) == {"customer_id", *definition().outputs}
    assert set(told["class"]) == set(CLASSES)
    assert told["probability"].between(1 / 3, 1).all()
    strange = told.iloc[int(training.rows["amount"].argmax())]
    assert strange["class"] == "high" and "amount" in strange["reasons"][0]
    likely = probabilities(model, CLASSES, training.rows)
    assert [CLASSES[code] for code in likely.argmax(axis=1)] == told["class"].tolist()
