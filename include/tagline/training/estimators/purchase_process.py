"""How often a customer buys and when it stops, from three numbers each: the BG/NBD model.

Fader, Hardie and Lee (2005), "Counting Your Customers" the Easy Way: while alive, a customer buys
at random times at its own rate; after each purchase it leaves for good with its own probability.
Rates are gamma distributed (shape r, scale 1/alpha), probabilities of leaving beta (a, b).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.optimize import minimize
from scipy.special import digamma, expit, gammaln
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from tagline.errors import ModelRefused
from tagline.training.estimators.purchases_ahead import purchases_while_alive

Array = np.ndarray[Any, np.dtype[np.float64]]

NAMES = ("r", "alpha", "a", "b")
STARTS = ((0.25, 0.8, 2.5), (1.0, 0.5, 10.0), (4.0, 1.0, 1.0), (0.1, 5.0, 50.0))  # r, a, b
LIMIT = float(np.log(1e6))  # of a parameter's logarithm, times in units of the mean age
SAMPLE = 50_000  # distinct histories that the starting points are tried on


@dataclass(frozen=True)
class Histories:
    """Distinct purchase histories, ordered, and how many customers have each.

    Times are in units of `scale`, the mean age, which makes the fit the same in days and weeks.
    """

    frequency: Array
    recency: Array
    age: Array
    weight: Array
    scale: float

    @property
    def purchases(self) -> float:
        """Repeat purchases of all customers."""
        return float(self.weight @ self.frequency)

    def sampled(self, size: int) -> Histories:
        """Every n-th history, such that at most about `size` remain."""
        kept = slice(None, None, max(1, len(self.weight) // size))
        return Histories(
            self.frequency[kept], self.recency[kept], self.age[kept], self.weight[kept], self.scale
        )


class PurchaseProcess(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """BG/NBD: `fit`, then the probability of being alive and the purchases to come.

    A history is a row (frequency, recency, age): repeat purchases, the time from the first
    purchase to the last, and the time from the first purchase until now; any unit of time, the
    same in `fit` and afterwards. Several purchases of one day count as one.
    """

    def __init__(self, max_iterations: int = 1000) -> None:
        self.max_iterations = max_iterations

    def fit(self, histories: Any, y: None = None, sample_weight: Any = None) -> Self:
        """Estimate r_, alpha_, a_, b_ by maximum likelihood; `sample_weight` counts customers.

        Also set: log_likelihood_; standard_errors_ of the four logarithms, NaN where the data do
        not determine one; at_limit_, the names of parameters that ran to the end of their range.
        ModelRefused when nobody ever bought again, or the search does not settle.
        """
        known = grouped(checked(histories), sample_weight)
        if known.purchases <= 0:
            raise ModelRefused("no customer has a repeat purchase; there is no rate to estimate")
        sampled = known.sampled(SAMPLE)
        tried = [_maximised(sampled, start, self.max_iterations) for start in _starts(known)]
        best = max(tried, key=lambda one: one[1])[0]
        if len(sampled.weight) < len(known.weight):
            best = _maximised(known, best, self.max_iterations)[0]
        value, slope = log_likelihood(known, best)
        free = np.abs(best) < LIMIT - 1e-6
        if np.abs(slope[free]).max(initial=0.0) > 1e-3 * np.sqrt(known.weight.sum()):
            raise ModelRefused(
                "the likelihood of the purchases found no maximum within "
                f"max_iterations {self.max_iterations}; raise it"
            )
        self.r_, alpha, self.a_, self.b_ = (float(number) for number in np.exp(best))
        self.alpha_ = alpha * known.scale
        self.log_likelihood_ = value - known.purchases * float(np.log(known.scale))
        self.customers_ = float(known.weight.sum())
        self.histories_ = len(known.weight)
        self.standard_errors_ = _standard_errors(known, best)
        self.at_limit_ = [name for name, inside in zip(NAMES, free, strict=True) if not inside]
        return self

    def log_likelihood(self, histories: Any, sample_weight: Any = None) -> float:
        """The log-likelihood of these histories under the fitted parameters."""
        check_is_fitted(self)
        known = grouped(checked(histories), sample_weight)
        parameters = np.log([self.r_, self.alpha_ / known.scale, self.a_, self.b_])
        value = log_likelihood(known, parameters)[0]
        return value - known.purchases * float(np.log(known.scale))

    def probability_alive(self, histories: Any) -> Array:
        """The probability that each customer has not left yet; 1 before a repeat purchase."""
        check_is_fitted(self)
        frequency, recency, age = checked(histories).T
        left = _odds_of_having_left(frequency, recency, age, self.r_, self.alpha_, self.a_, self.b_)
        return np.asarray(expit(-left))

    def expected_purchases(self, histories: Any, horizon: float) -> Array:
        """Purchases expected of each customer in the time `horizon` from now."""
        frequency, _, age = checked(histories).T
        return self.probability_alive(histories) * purchases_while_alive(
            self.r_ + frequency, self.a_, self.b_ + frequency, self._ahead(age, horizon)
        )

    def purchase_probability(self, histories: Any, horizon: float) -> Array:
        """The probability that each customer buys at all in the time `horizon` from now.

        Unlike being alive, this is seen to come true or not.
        """
        frequency, _, age = checked(histories).T
        shape, ahead = self.r_ + frequency, self._ahead(age, horizon)
        return np.asarray(self.probability_alive(histories) * -np.expm1(-shape * np.log1p(ahead)))

    def _ahead(self, age: Array, horizon: float) -> Array:
        """The horizon in units of each customer's scale of rates."""
        if not (np.isfinite(horizon) and horizon >= 0):
            raise ValueError(f"a horizon is a finite time from 0 on, not {horizon}")
        return np.asarray(horizon / (self.alpha_ + age))


def checked(histories: Any) -> Array:
    """Histories as an array (customers × 3); ModelRefused with the first that cannot be one."""
    values = np.asarray(histories, dtype=float)
    if values.ndim != 2 or values.shape[1] != 3:
        raise ModelRefused(
            f"histories have the shape {values.shape}; give rows of frequency, recency, age"
        )
    frequency, recency, age = values.T
    reasons = (
        (~np.isfinite(values).all(axis=1), "holds a value that is missing or infinite"),
        ((frequency < 0) | (recency < 0), "holds a negative value"),
        (recency > age, "has its last purchase after now: recency above age"),
        ((frequency == 0) & (recency > 0), "has a recency without a repeat purchase"),
        ((frequency > 0) & (recency == 0), "has repeat purchases at the time of the first"),
    )
    for wrong, reason in reasons:
        if wrong.any():
            row = int(np.argmax(wrong))
            raise ModelRefused(
                f"{int(wrong.sum())} histories are impossible; row {row}, frequency "
                f"{frequency[row]:g}, recency {recency[row]:g}, age {age[row]:g}, {reason}"
            )
    return values


def grouped(histories: Array, sample_weight: Any = None) -> Histories:
    """Equal histories as one with their number, in an order that rows do not change."""
    weight = np.ones(len(histories)) if sample_weight is None else np.asarray(sample_weight, float)
    if weight.shape != (len(histories),) or not (np.isfinite(weight) & (weight >= 0)).all():
        raise ModelRefused("sample_weight is one finite number from 0 on for each history")
    histories, weight = histories[weight > 0], weight[weight > 0]
    if not len(weight):
        raise ModelRefused("there are no histories to learn from")
    order = np.lexsort((weight, histories[:, 2], histories[:, 1], histories[:, 0]))
    histories, weight = histories[order], weight[order]
    starts = np.flatnonzero(np.r_[True, (histories[1:] != histories[:-1]).any(axis=1)])
    count = np.add.reduceat(weight, starts)
    frequency, recency, age = histories[starts].T
    scale = float(count @ age / count.sum()) or 1.0
    return Histories(frequency, recency / scale, age / scale, count, scale)


def log_likelihood(known: Histories, logarithms: Array) -> tuple[float, Array]:
    """The log-likelihood and its gradient by log r, log alpha, log a and log b.

    Everything stays in logarithms, so neither thousands of purchases nor years of silence
    overflow; what depends on the frequency alone is computed once per distinct frequency.
    """
    r, alpha, a, b = (float(number) for number in np.exp(logarithms))
    x, weight = known.frequency, known.weight
    until_now, until_last = np.log(alpha + known.age), np.log(alpha + known.recency)
    left = _odds_of_having_left(x, known.recency, known.age, r, alpha, a, b)
    gone = expit(left)
    alive = 1 - gone
    starts = np.flatnonzero(np.r_[True, x[1:] != x[:-1]])  # histories are ordered by frequency
    n, number = x[starts], np.add.reduceat(weight, starts)
    total = weight.sum()
    value = (
        number @ (gammaln(r + n) + gammaln(b + n) - gammaln(a + b + n))
        + total * (r * np.log(alpha) - gammaln(r) + gammaln(a + b) - gammaln(b))
        + weight @ (np.logaddexp(0, left) - (r + x) * until_now)
    )
    shrinking = alive / (alpha + known.age) + gone / (alpha + known.recency)
    last_step = weight @ (gone / (b + np.maximum(x, 1) - 1))
    slope = (
        number @ digamma(r + n)
        + total * (np.log(alpha) - digamma(r))
        - weight @ (alive * until_now + gone * until_last),
        total * r / alpha - weight @ ((r + x) * shrinking),
        total * digamma(a + b) - number @ digamma(a + b + n) + weight @ gone / a,
        total * (digamma(a + b) - digamma(b))
        + number @ (digamma(b + n) - digamma(a + b + n))
        - last_step,
    )
    return float(value), np.array(slope) * np.exp(logarithms)


def _odds_of_having_left(
    frequency: Array, recency: Array, age: Array, r: float, alpha: float, a: float, b: float
) -> Array:
    """The logarithm of the odds that a customer left after its last purchase."""
    silence = np.log1p((age - recency) / (alpha + recency))
    odds = np.log(a) - np.log(b + np.maximum(frequency, 1) - 1) + (r + frequency) * silence
    return np.where(frequency > 0, odds, -np.inf)


def _starts(known: Histories) -> list[Array]:
    """Points to begin the search at, each with alpha such that the mean rate is the data's."""
    rate = known.purchases / float(known.weight @ known.age)
    points = [np.log([r, r / rate, a, b]) for r, a, b in STARTS]
    return [np.clip(point, -LIMIT, LIMIT) for point in points]


def _maximised(known: Histories, start: Array, iterations: int) -> tuple[Array, float]:
    """The best parameters from one starting point, and their mean log-likelihood."""
    total = known.weight.sum()

    def cost(logarithms: Array) -> tuple[float, Array]:
        value, slope = log_likelihood(known, logarithms)
        return -value / total, -slope / total

    found = minimize(
        cost, start, jac=True, method="L-BFGS-B", bounds=[(-LIMIT, LIMIT)] * len(start),
        options={"maxiter": iterations, "ftol": 1e-15, "gtol": 1e-8, "maxcor": 20},
    )  # fmt: skip
    return found.x, -float(found.fun)


def _standard_errors(known: Histories, logarithms: Array) -> Array:
    """Of the logarithms of the parameters, by the curvature at the maximum."""
    step = 1e-4
    slopes = [
        log_likelihood(known, logarithms + step * side)[1]
        for axis in np.eye(len(logarithms))
        for side in (axis, -axis)
    ]
    change = (np.array(slopes[::2]) - np.array(slopes[1::2])) / (2 * step)
    curvature = -(change + change.T) / 2
    if not np.isfinite(curvature).all() or np.linalg.eigvalsh(curvature).min() <= 0:
        return np.full(len(logarithms), np.nan)
    return np.asarray(np.sqrt(np.diag(np.linalg.inv(curvature))))
