"""Measures of several classes against scikit-learn, and the questions that teach most."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import metrics as reference

from tagline.labels.selection import at_random, entropy, held_out, most_telling
from tagline.training.classes import confusion, evaluate_classes, macro_f1

CLASSES = ("new", "growing", "mature", "lost")
SHARES, EVEN = np.array([0.2, 0.2, 0.4, 0.2]), np.full(4, 0.25)


def made(rows: int = 600, seed: int = 2) -> tuple[Any, Any]:
    """Labels and calibrated probabilities that are better than chance."""
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet([0.4] * 4, rows)
    label = np.array([random.choice(4, p=row) for row in probabilities])
    return label, probabilities


def test_every_measure_of_classes_equals_the_reference_implementation() -> None:
    label, probabilities = made()
    answer, rule = probabilities.argmax(axis=1), np.roll(label, 1)
    found = evaluate_classes(CLASSES, label, probabilities, SHARES, rule)
    wanted = {
        "macro_f1": reference.f1_score(label, answer, average="macro"),
        "accuracy": reference.accuracy_score(label, answer),
        "log_loss": reference.log_loss(label, probabilities),
        "base_log_loss": reference.log_loss(label, np.tile(SHARES, (600, 1))),
        "majority_macro_f1": reference.f1_score(label, np.full(600, 2), average="macro"),
        "rule_macro_f1": reference.f1_score(label, rule, average="macro"),
        "rule_accuracy": reference.accuracy_score(label, rule),
        "f1_lost": reference.f1_score(label, answer, average=None)[3],
    }
    assert {name: found[name].value for name in wanted} == pytest.approx(wanted)
    gain = found["gain_over_rule"]
    assert gain.value == pytest.approx(wanted["macro_f1"] - wanted["rule_macro_f1"])
    assert 0 < gain.low < gain.value < gain.high
    assert confusion(label, answer, 4).tolist() == (
        reference.confusion_matrix(label, answer).tolist()
    )


def test_macro_f1_of_resamples_equals_that_of_weighted_rows() -> None:
    label, probabilities = made(300)
    answer = probabilities.argmax(axis=1)
    weights = np.random.default_rng(0).integers(0, 3, (4, 300)).astype(float)
    for row, found in zip(weights, macro_f1(label, answer, 4)(weights), strict=True):
        wanted = reference.f1_score(label, answer, average="macro", sample_weight=row)
        assert found == pytest.approx(wanted)


def test_the_calibration_of_the_likeliest_class_is_measured() -> None:
    label, probabilities = made(4000)
    honest = evaluate_classes(CLASSES, label, probabilities, EVEN, label)["calibration_error"]
    boasting = probabilities**3 / (probabilities**3).sum(axis=1, keepdims=True)
    wrong = evaluate_classes(CLASSES, label, boasting, EVEN, label)["calibration_error"]
    assert honest.value < 0.03 < 0.1 < wrong.low


def test_a_class_that_nobody_has_and_nobody_answers_does_not_count() -> None:
    label = np.array([0, 0, 1, 1])
    probabilities = np.array(
        [[0.9, 0.1, 0, 0], [0.8, 0.2, 0, 0], [0.1, 0.9, 0, 0], [0.9, 0.1, 0, 0]]
    )
    found = evaluate_classes(CLASSES, label, probabilities, EVEN, np.array([0, -1, 1, -1]))
    assert "f1_lost" not in found
    assert found["macro_f1"].value == pytest.approx((0.8 + 2 / 3) / 2)
    assert found["rule_accuracy"].value == 0.5


def test_the_most_telling_questions_are_doubtful_and_unlike_each_other() -> None:
    sure, doubtful = [0.98, 0.01, 0.01], [0.34, 0.33, 0.33]
    probabilities = np.array([doubtful] * 50 + [doubtful] * 2 + [sure] * 50)
    features = np.array([[0.0, 0.0]] * 50 + [[5.0, 0.0], [0.0, 5.0]] + [[9.0, 9.0]] * 50)
    asked = most_telling(entropy(probabilities), features, np.empty((0, 2)), 3)
    assert {tuple(features[place]) for place in asked} == {(0, 0), (5, 0), (0, 5)}
    known = np.array([[5.0, 0.0]])
    assert features[most_telling(entropy(probabilities), features, known, 1)[0]].tolist() == [0, 5]


def test_no_customer_is_asked_about_twice_even_if_all_are_alike() -> None:
    asked = most_telling(np.ones(8), np.zeros((8, 2)), np.empty((0, 2)), 20)
    assert sorted(asked.tolist()) == list(range(8))


def test_random_questions_are_the_same_sample_again_and_a_quarter_judges() -> None:
    customers = [f"c{number}" for number in range(4000)]
    drawn = at_random(customers, 100, "mood", "2017-11-01")
    assert drawn == at_random(reversed(customers), 100, "mood", "2017-11-01")
    assert drawn != at_random(customers, 100, "mood", "2017-11-02")
    assert len(set(drawn)) == 100
    assert sum(held_out("mood", one) for one in customers) == pytest.approx(1000, abs=100)
