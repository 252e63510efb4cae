"""Measures of a model of several classes on its holdout, each with a bootstrap interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tagline.training.evaluate import Interval, Metric, bootstrap, calibration_error, mean
from tagline.training.panels import Array

Codes = np.ndarray[Any, np.dtype[np.int64]]  # places in the list of classes; -1 is none of them
_TINY = 1e-15


def evaluate_classes(
    classes: Sequence[str],
    label: Codes,
    probabilities: Array,
    base: Array,
    rule: Codes,
    champion: Array | None = None,
) -> dict[str, Interval]:
    """Measures of a model, of what the base rates say, of a plain rule, and of the differences.

    `probabilities` are rows × classes, `base` is the share of each class in training; of the most
    frequent one, always to say it is measured as majority. The log loss of the base rates is what
    who knows nothing of a customer reaches: unlike macro F1 it is not beaten by guessing. All are
    measured on the same resamples of the same rows, so differences are paired. The F1 of each
    class that occurs or is answered is `f1_<class>`.
    """
    answer = probabilities.argmax(axis=1)
    right = (answer == label).astype(float)
    majority = np.full(len(label), int(base.argmax()))
    metrics: dict[str, Metric] = {
        "macro_f1": macro_f1(label, answer, len(classes)),
        "accuracy": mean(right),
        "log_loss": mean(_losses(label, probabilities)),
        "base_log_loss": mean(_losses(label, np.tile(base, (len(label), 1)))),
        "calibration_error": calibration_error(right, probabilities.max(axis=1)),
        "majority_macro_f1": macro_f1(label, majority, len(classes)),
        "rule_macro_f1": macro_f1(label, rule, len(classes)),
        "rule_accuracy": mean((rule == label).astype(float)),
    }
    for code in np.union1d(label, answer):
        metrics[f"f1_{classes[code]}"] = _of_class(label, answer, code)
    differences = {
        "gain_over_base_rates": ("base_log_loss", "log_loss"),
        "gain_over_majority": ("macro_f1", "majority_macro_f1"),
        "gain_over_rule": ("macro_f1", "rule_macro_f1"),
    }
    if champion is not None:
        said = champion.argmax(axis=1)
        metrics["champion_macro_f1"] = macro_f1(label, said, len(classes))
        metrics["champion_log_loss"] = mean(_losses(label, champion))
        metrics["champion_calibration_error"] = calibration_error(
            (said == label).astype(float), champion.max(axis=1)
        )
        for other, measure in (
            ("base_rates", ("base_log_loss", "champion_log_loss")),
            ("majority", ("champion_macro_f1", "majority_macro_f1")),
            ("rule", ("champion_macro_f1", "rule_macro_f1")),
        ):
            differences[f"champion_gain_over_{other}"] = measure
        differences["gain_over_champion"] = ("macro_f1", "champion_macro_f1")
        differences["log_loss_gain_over_champion"] = ("champion_log_loss", "log_loss")
    return bootstrap(metrics, differences, len(label))


def _losses(label: Codes, probabilities: Array) -> Array:
    """The log loss of each row."""
    given = probabilities[np.arange(len(label)), label]
    return np.asarray(-np.log(np.clip(given, _TINY, 1)))


def macro_f1(label: Codes, answer: Codes, classes: int) -> Metric:
    """The mean over classes of their F1; a class that neither occurs nor is answered is left out.

    >>> label, answer = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    >>> round(float(macro_f1(label, answer, 2)(np.ones((1, 4)))[0]), 6)
    0.733333
    """
    each = [_of_class(label, answer, code) for code in range(classes)]

    def measure(weights: Array) -> Array:
        scores = np.stack([metric(weights) for metric in each])
        there = ~np.isnan(scores)
        return np.asarray(np.where(there, scores, 0).sum(axis=0) / there.sum(axis=0))

    return measure


def confusion(label: Codes, answer: Codes, classes: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """How many rows of each class (down) were answered as each class (across)."""
    found = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(found, (label, answer), 1)
    return found


def _of_class(label: Codes, answer: Codes, code: int) -> Metric:
    """F1 of one class, NaN where it neither occurs nor is answered."""
    both = ((label == code) & (answer == code)).astype(float)
    either = (label == code).astype(float) + (answer == code)

    def measure(weights: Array) -> Array:
        total = weights @ either
        score: Array = np.full(len(weights), np.nan)
        np.divide(2 * (weights @ both), total, out=score, where=total > 0)
        return score

    return measure
