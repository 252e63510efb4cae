"""An attribute that a customer never told, inferred from the customers most like it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression

from tagline.training.estimators.neighbours import Codes, Neighbours, Points

Array = np.ndarray[Any, np.dtype[np.float64]]
SEED = 20170101
ALIKE = "alike"  # every dimension counts as much
WITHIN_REACH = 0.99  # of the customers who told have their neighbours within reach
RELEVANT = "relevant"  # a dimension counts by how much it tells the values apart
_TINY = 1e-9


class NeighbourAttribute(BaseEstimator):  # type: ignore[misc]
    """Says the commonest value among a customer's nearest neighbours, or abstains.

    All is chosen by cross-validation inside the rows that `fit` is given. The number of neighbours
    (of `counts`) and the weight of the dimensions (of `weightings`) are those whose votes have the
    smallest log loss. The confidence is the probability that the value is right. The limit below
    which it abstains is the one, of those that leave the `shares` most confident rows, where the
    values are right more often than the commonest value by the surest margin, and never less than
    `least_confidence`; where no margin is above 0 with an error of at most `error`, all limits
    tried counted, it abstains from everyone and is `refused_`. It also abstains from a customer
    whose neighbours are farther away than those of all but one in a hundred who told: nobody like
    that was ever asked.
    """

    def __init__(
        self,
        counts: Sequence[int] = (15, 31, 61),
        weightings: Sequence[str] = (ALIKE, RELEVANT),
        folds: int = 10,
        shares: Sequence[float] = (1.0, 0.5),
        error: float = 0.025,
        least_confidence: float = 0.0,
        exact_limit: int = 50_000,
    ) -> None:
        self.counts = counts
        self.weightings = weightings
        self.folds = folds
        self.shares = shares
        self.error = error
        self.least_confidence = least_confidence
        self.exact_limit = exact_limit

    def fit(self, points: Points, values: Iterable[Any]) -> NeighbourAttribute:
        """Learn from customers who told: standardised points (rows × dimensions), their values."""
        labels, classes = pd.factorize(np.asarray(list(values), dtype=object), sort=True)
        self.classes_ = np.asarray(classes, dtype=str)
        points = np.asarray(points, dtype=np.float32)
        self.base_ = np.bincount(labels, minlength=len(classes)) / len(labels)
        self.mode_ = str(self.classes_[int(np.argmax(self.base_))])
        tried = [
            _Votes(weighting, count, *self._crossed(points, labels, weighting, count))
            for weighting in self.weightings
            for count in self.counts
        ]
        best = min(tried, key=lambda votes: votes.log_loss(labels))
        self.weighting_, self.count_ = best.weighting, best.count
        self._learn_confidence(best.votes, labels)
        self.reach_ = float(np.quantile(best.distances, WITHIN_REACH))
        self._choose_limit(best, labels)
        self.weights_ = _weights(self.weighting_, points, labels)
        self.neighbours_ = Neighbours(self.exact_limit).fit(points * self.weights_)
        self.labels_ = labels.astype(np.int64)
        return self

    def predict(self, points: Points) -> pd.DataFrame:
        """value, confidence, agreeing, asked and base of each row; all null where it abstains.

        `agreeing` of the `asked` nearest neighbours say the value, and the share `base` of all.
        """
        asked = np.asarray(points * self.weights_, dtype=np.float32)
        counts, distances = self._counts(self.neighbours_, self.labels_, asked, self.count_)
        votes = self._votes(counts)
        confidence, best = self._confidence(votes), votes.argmax(axis=1)
        told = pd.DataFrame(
            {
                "value": self.classes_[best].astype(object),
                "confidence": confidence,
                "agreeing": counts[np.arange(len(best)), best],
                "asked": counts.sum(axis=1),
                "base": self.base_[best],
            }
        )
        told.loc[(confidence < self.limit_) | (distances > self.reach_)] = None
        return told

    @property
    def refused_(self) -> bool:
        """Whether nothing it could say is surely better than the commonest value."""
        return bool(np.isinf(self.limit_))

    def _crossed(
        self, points: Points, labels: Codes, weighting: str, count: int
    ) -> tuple[Array, Array]:
        """The votes for each row by the rows of the other folds, and how far those are away."""
        votes, far = np.empty((len(labels), len(self.classes_))), np.empty(len(labels))
        for kept, asked in _folds(len(labels), self.folds):
            weights = _weights(weighting, points[kept], labels[kept])
            found = Neighbours(self.exact_limit).fit(points[kept] * weights)
            counts, far[asked] = self._counts(found, labels[kept], points[asked] * weights, count)
            votes[asked] = self._votes(counts)
        return votes, far

    def _counts(
        self, found: Neighbours, labels: Codes, asked: Points, count: int
    ) -> tuple[Array, Array]:
        """How many neighbours of each row say each value, and their mean distance."""
        distances, near = found.nearest(asked, count)
        said = [(labels[near] == code).sum(axis=1) for code in range(len(self.base_))]
        return np.stack(said, axis=1).astype(float), distances.mean(axis=1)

    def _votes(self, counts: Array) -> Array:
        """Each value's part in the neighbours, the parts of everyone counted in once."""
        width = len(self.base_)
        return np.asarray(
            (counts + width * self.base_) / (counts.sum(axis=1, keepdims=True) + width)
        )

    def _learn_confidence(self, votes: Array, labels: Codes) -> None:
        """A logistic regression of being right on the votes, less steep the less sure it is.

        What is chosen because it looked best is not quite as good: the slope is shrunk as James
        and Stein do, by its own standard error, and never lets more votes be less sure.
        """
        odds, right = _odds(votes), (votes.argmax(axis=1) == labels).astype(float)
        share = float(np.clip(right.mean(), 1 / len(right), 1 - 1 / len(right)))
        self.slope_, self.level_ = 0.0, float(np.log(share / (1 - share)))
        if right.all() or not right.any() or not odds.std():
            return
        learned = LogisticRegression(C=1e3).fit(odds[:, None], right)
        slope, spread = float(learned.coef_[0, 0]), learned.predict_proba(odds[:, None])[:, 1]
        weight = spread * (1 - spread)
        centre = (weight * odds).sum() / weight.sum()
        error = 1 / (weight * (odds - centre) ** 2).sum()
        self.slope_ = max(0.0, slope * (1 - error / slope**2)) if slope > 0 else 0.0
        if self.slope_ > 0:  # the level at which the confidence is right on the whole
            steep, even = self.slope_ * odds, self.level_
            self.level_ = float(
                brentq(
                    lambda level: expit(steep + level).mean() - share,
                    even - steep.max(),
                    even - steep.min(),
                )
            )

    def _confidence(self, votes: Array) -> Array:
        return np.asarray(expit(self.slope_ * _odds(votes) + self.level_))

    def _choose_limit(self, best: _Votes, labels: Codes) -> None:
        confidence, said = self._confidence(best.votes), best.votes.argmax(axis=1)
        gain = (said == labels).astype(float) - (labels == int(np.argmax(self.base_)))
        surely = NormalDist().inv_cdf(1 - self.error / len(self.shares))

        def tested(part: Array) -> tuple[float, float]:
            return float(part.mean()), float(part.mean() - surely * part.std() / len(part) ** 0.5)

        self.limit_, self.answered_ = float("inf"), 0.0
        self.gain_, self.gain_low_ = tested(gain)
        margin = 0.0
        for share in self.shares:
            limit = max(float(np.quantile(confidence, 1 - share)), self.least_confidence)
            part = gain[(confidence >= limit) & (best.distances <= self.reach_)]
            if len(part) and tested(part)[1] * len(part) > margin:
                self.limit_, self.answered_ = limit, len(part) / len(gain)
                self.gain_, self.gain_low_ = tested(part)
                margin = self.gain_low_ * len(part)


@dataclass(frozen=True)
class _Votes:
    """What the other folds say of each row, with one number of neighbours and one weighting."""

    weighting: str
    count: int
    votes: Array
    distances: Array  # the mean of each row's neighbours

    def log_loss(self, labels: Codes) -> float:
        """The mean of minus the logarithm of the part of the right value."""
        return float(-np.log(self.votes[np.arange(len(labels)), labels] + _TINY).mean())


def _weights(weighting: str, points: Points, labels: Codes) -> Points:
    """How much each dimension counts; when by relevance, from the F statistic above its 1."""
    if weighting == ALIKE:
        return np.ones(points.shape[1], dtype=np.float32)
    counts = np.bincount(labels)
    groups = [points[labels == code] for code in np.flatnonzero(counts)]
    if len(groups) < 2:
        return np.ones(points.shape[1], dtype=np.float32)
    centre = points.mean(axis=0)
    between = sum(len(group) * (group.mean(axis=0) - centre) ** 2 for group in groups)
    within = sum(((group - group.mean(axis=0)) ** 2).sum(axis=0) for group in groups)
    freedom = (len(points) - len(groups)) / (len(groups) - 1)
    statistic = np.asarray(between / np.maximum(within, _TINY) * freedom)
    weights = np.sqrt(np.maximum(statistic - 1, 0.0))
    if not weights.any():
        return np.ones(points.shape[1], dtype=np.float32)
    return np.asarray(weights / weights.max(), dtype=np.float32)


def _odds(votes: Array) -> Array:
    """The log odds of the strongest value's part in the votes."""
    part = np.clip(votes.max(axis=1), 0.001, 0.999)
    return np.asarray(np.log(part / (1 - part)))


def _folds(rows: int, folds: int) -> Iterator[tuple[Codes, Codes]]:
    """Positions to learn from and to try on, the same for every call with the same sizes."""
    order = np.random.default_rng(SEED).permutation(rows)
    for part in np.array_split(order, folds):
        yield np.setdiff1d(order, part), np.sort(part)
