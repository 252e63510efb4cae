"""An attribute that a customer never told, inferred from the customers most like it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression

from tagline.training.estimators.neighbours import Codes, Neighbours, Points

Array = np.ndarray[Any, np.dtype[np.float64]]
SEED = 20170101
ALIKE = "alike"  # every dimension counts as much
RELEVANT = "relevant"  # a dimension counts by how much it tells the values apart
_TINY = 1e-9


class NeighbourAttribute(BaseEstimator):  # type: ignore[misc]
    """Says the commonest value among a customer's nearest neighbours, or abstains.

    All is chosen by cross-validation inside the rows that `fit` is given. The number of neighbours
    (of `counts`) and the weight of the dimensions (of `weightings`) are those whose votes have the
    smallest log loss. The confidence is the probability that the value is right. The limit below
    which it abstains is the one, of those that leave the `shares` most confident rows, where the
    values are right more often than the commonest value by the surest margin; where no margin is
    above 0 with an error of at most `error`, all limits tried counted, it abstains from everyone
    and is `refused_`.
    """

    def __init__(
        self,
        counts: Sequence[int] = (15, 31, 61),
        weightings: Sequence[str] = (ALIKE, RELEVANT),
        folds: int = 10,
        shares: Sequence[float] = (1.0, 0.5),
        error: float = 0.025,
        exact_limit: int = 50_000,
    ) -> None:
        self.counts = counts
        self.weightings = weightings
        self.folds = folds
        self.shares = shares
        self.error = error
        self.exact_limit = exact_limit

    def fit(self, points: Points, values: Sequence[str]) -> NeighbourAttribute:
        """Learn from customers who told: standardised points (rows × dimensions), their values."""
        labels, classes = pd.factorize(np.asarray(values, dtype=object), sort=True)
        self.classes_ = np.asarray(classes, dtype=str)
        points = np.asarray(points, dtype=np.float32)
        self.base_ = np.bincount(labels, minlength=len(classes)) / len(labels)
        self.mode_ = str(self.classes_[int(np.argmax(self.base_))])
        tried = [
            _Votes(weighting, count, self._crossed(points, labels, weighting, count))
            for weighting in self.weightings
            for count in self.counts
        ]
        best = min(tried, key=lambda votes: votes.log_loss(labels))
        self.weighting_, self.count_ = best.weighting, best.count
        self._learn_confidence(best.votes, labels)
        self._choose_limit(best.votes, labels)
        self.weights_ = _weights(self.weighting_, points, labels)
        self.neighbours_ = Neighbours(self.exact_limit).fit(points * self.weights_)
        self.labels_ = labels.astype(np.int64)
        return self

    def predict(self, points: Points) -> pd.DataFrame:
        """value and confidence of each row; a value of None where it abstains.

        The confidence is that of the value it would say.
        """
        votes = self._votes(self.neighbours_, self.labels_, points * self.weights_, self.count_)
        confidence = self._confidence(votes)
        said = self.classes_[votes.argmax(axis=1)].astype(object)
        said[confidence < self.limit_] = None
        return pd.DataFrame({"value": said, "confidence": confidence})

    @property
    def refused_(self) -> bool:
        """Whether nothing it could say is surely better than the commonest value."""
        return bool(np.isinf(self.limit_))

    def _crossed(self, points: Points, labels: Codes, weighting: str, count: int) -> Array:
        """The votes for each row by the rows of the other folds."""
        votes = np.empty((len(labels), len(self.classes_)))
        for kept, asked in _folds(len(labels), self.folds):
            weights = _weights(weighting, points[kept], labels[kept])
            found = Neighbours(self.exact_limit).fit(points[kept] * weights)
            votes[asked] = self._votes(found, labels[kept], points[asked] * weights, count)
        return votes

    def _votes(self, found: Neighbours, labels: Codes, asked: Points, count: int) -> Array:
        """Each value's part in the neighbours of each row, the whole's parts counted once more."""
        _, near = found.nearest(asked, count)
        counted = np.stack([(labels[near] == code).sum(axis=1) for code in range(len(self.base_))])
        return np.asarray(
            (counted.T + len(self.base_) * self.base_) / (near.shape[1] + len(self.base_))
        )

    def _learn_confidence(self, votes: Array, labels: Codes) -> None:
        right = votes.argmax(axis=1) == labels
        if right.all() or not right.any():
            self.slope_, self.level_ = 0.0, 50.0 if right.all() else -50.0
            return
        learned = LogisticRegression(C=1e3).fit(_odds(votes)[:, None], right)
        # more votes never make it less sure
        self.slope_, self.level_ = float(learned.coef_[0, 0]), float(learned.intercept_[0])
        if self.slope_ < 0:
            share = right.mean()
            self.slope_, self.level_ = 0.0, float(np.log(share / (1 - share)))

    def _confidence(self, votes: Array) -> Array:
        return np.asarray(1 / (1 + np.exp(-self.slope_ * _odds(votes) - self.level_)))

    def _choose_limit(self, votes: Array, labels: Codes) -> None:
        confidence = self._confidence(votes)
        said = votes.argmax(axis=1)
        gain = (said == labels).astype(float) - (labels == int(np.argmax(self.base_)))
        surely = NormalDist().inv_cdf(1 - self.error / len(self.shares))
        self.limit_, self.answered_, self.gain_, self.gain_low_ = float("inf"), 0.0, 0.0, 0.0
        margin = 0.0
        for share in self.shares:
            limit = float(np.quantile(confidence, 1 - share))
            part = gain[confidence >= limit]
            low = float(part.mean() - surely * part.std() / np.sqrt(len(part)))
            if share == self.shares[0]:
                self.gain_, self.gain_low_ = float(part.mean()), low
            if low * len(part) > margin:
                margin = low * len(part)
                self.limit_, self.answered_ = limit, len(part) / len(gain)
                self.gain_, self.gain_low_ = float(part.mean()), low


@dataclass(frozen=True)
class _Votes:
    """What the other folds say of each row, with one number of neighbours and one weighting."""

    weighting: str
    count: int
    votes: Array

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
