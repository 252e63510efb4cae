"""How far annotators agree beyond chance: the kappa of Cohen and that of Fleiss.

Cohen, J. (1960). A coefficient of agreement for nominal scales. Educational and Psychological
Measurement 20, 37-46. Fleiss, J. L. (1971). Measuring nominal scale agreement among many raters.
Psychological Bulletin 76, 378-382; with another number of raters for each subject as in Gwet,
K. L. (2014). Handbook of Inter-Rater Reliability, 4th edition, chapter 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tagline.training.evaluate import Interval, Metric, bootstrap
from tagline.training.panels import Array

Answers = Mapping[str, Mapping[str, str]]  # customer -> annotator -> value


@dataclass(frozen=True)
class Agreement:
    """The agreement of a set's annotators over the customers that two or more have judged."""

    kappa: Interval | None  # None where nobody was judged twice, or all gave one and the same value
    measure: Literal["cohen", "fleiss"]
    customers: int  # judged by two annotators or more
    annotators: tuple[str, ...]
    observed: float | None  # share of the pairs of answers to a customer that are alike


def agreement(answers: Answers, values: Sequence[str]) -> Agreement:
    """Cohen's kappa of two annotators, Fleiss' of more, with a bootstrap interval over customers.

    `answers` are those of independent annotators, one each for a customer; customers whom fewer
    than two have judged do not count.
    """
    shared = {who: said for who, said in sorted(answers.items()) if len(said) > 1}
    annotators = tuple(sorted({name for said in shared.values() for name in said}))
    measure: Literal["cohen", "fleiss"] = "cohen" if len(annotators) < 3 else "fleiss"
    if not shared:
        return Agreement(None, measure, 0, annotators, None)
    counts = np.array(
        [[list(said.values()).count(value) for value in values] for said in shared.values()],
        dtype=float,
    )
    observed = float(_alike(counts).mean())
    if measure == "cohen":
        first, second = (
            np.array([list(values).index(said[name]) for said in shared.values()])
            for name in annotators
        )
        metric = cohen_kappa(first, second, len(values))
    else:
        metric = fleiss_kappa(counts)
    known = not np.isnan(metric(np.ones((1, len(shared))))[0])
    kappa = bootstrap({"kappa": metric}, {}, len(shared))["kappa"] if known else None
    return Agreement(kappa, measure, len(shared), annotators, observed)


def cohen_kappa(
    first: np.ndarray[Any, np.dtype[Any]], second: np.ndarray[Any, np.dtype[Any]], values: int
) -> Metric:
    """(po - pe) / (1 - pe) of two annotators' answers, numbers from 0 to `values` - 1.

    po is the share of customers with the same answer, pe the sum over values of the product of
    both annotators' shares of it (Cohen 1960). NaN where pe is 1: one value was given alone.

    >>> one, other = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    >>> float(cohen_kappa(one, other, 2)(np.ones((1, 4)))[0])
    0.5
    """
    same = (first == second).astype(float)
    shares = [np.eye(values)[answers] for answers in (first, second)]

    def measure(weights: Array) -> Array:
        total = weights.sum(axis=1)
        by_chance = np.prod([weights @ share for share in shares], axis=0).sum(axis=1)
        return _beyond_chance(weights @ same / total, by_chance / total**2)

    return measure


def fleiss_kappa(counts: Array) -> Metric:
    """(P - Pe) / (1 - Pe) of customers × values, how many annotators gave each value to each.

    P is the mean over customers of the share of pairs of their answers that are alike, Pe the sum
    of the squared shares of the values (Fleiss 1971). Where customers have different numbers of
    answers, the share of a value is the mean of its shares in each (Gwet 2014).
    """
    alike = _alike(counts)
    shares = counts / counts.sum(axis=1, keepdims=True)

    def measure(weights: Array) -> Array:
        total = weights.sum(axis=1)
        by_chance = ((weights @ shares / total[:, None]) ** 2).sum(axis=1)
        return _beyond_chance(weights @ alike / total, by_chance)

    return measure


def _alike(counts: Array) -> Array:
    """The share of the pairs of a customer's answers that are alike."""
    given = counts.sum(axis=1)
    return np.asarray((counts * (counts - 1)).sum(axis=1) / (given * (given - 1)))


def _beyond_chance(observed: Array, by_chance: Array) -> Array:
    kappa: Array = np.full(len(observed), np.nan)
    np.divide(observed - by_chance, 1 - by_chance, out=kappa, where=by_chance < 1 - 1e-12)
    return kappa
