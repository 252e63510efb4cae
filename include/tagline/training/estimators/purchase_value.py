"""What a purchase of a customer is worth, from the mean of those seen: the Gamma-Gamma model.

Fader and Hardie (2013), The Gamma-Gamma Model of Monetary Value: a customer's purchases vary
around its own mean (gamma with shape p), and the means vary between customers (shape q, scale v).
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy.optimize import minimize
from scipy.special import digamma, gammaln
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from tagline.errors import ModelRefused

Array = np.ndarray[Any, np.dtype[np.float64]]

STARTS = ((1.0, 2.0), (6.0, 4.0), (0.5, 10.0))  # p, q
LIMIT = float(np.log(1e6))  # of a parameter's logarithm, amounts in units of the mean


class PurchaseValue(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Gamma-Gamma: `fit`, then the value expected of a further purchase of each customer.

    A row is (count, mean): the purchases behind the mean, and the mean amount of one, in any
    currency. The model holds only where how much a customer spends does not go with how often
    it buys: `correlation_` says how far that is so, and its reader decides.
    """

    def __init__(self, max_iterations: int = 1000) -> None:
        self.max_iterations = max_iterations

    def fit(self, rows: Any, y: None = None, sample_weight: Any = None) -> Self:
        """Estimate p_, q_, v_ by maximum likelihood; `sample_weight` counts customers.

        Customers without a purchase, or with a mean of 0 or less, teach nothing and are left out.
        Also set: mean_, the mean over all customers to come; correlation_, the correlation of
        count and mean; customers_, learned from; log_likelihood_. ModelRefused where nobody is
        left, amounts do not vary, or the fitted distribution has no finite mean (q at most 1).
        """
        count, mean = checked(rows).T
        weight = np.ones(len(count)) if sample_weight is None else np.asarray(sample_weight, float)
        kept = (count > 0) & (mean > 0) & (weight > 0)
        if kept.sum() < 2 or np.ptp(mean[kept]) == 0:
            raise ModelRefused(
                f"{int(kept.sum())} customers have a mean purchase above 0, and their means do "
                "not differ; there is no spread of amounts to learn"
            )
        order = np.lexsort((weight[kept], mean[kept], count[kept]))
        count, mean, weight = (values[kept][order] for values in (count, mean, weight))
        scale = float(weight @ mean / weight.sum())
        known = (count, mean / scale, weight)
        found = max((self._maximised(known, start) for start in STARTS), key=lambda one: one[1])[0]
        self.p_, self.q_, v = (float(number) for number in np.exp(found))
        if self.q_ <= 1 or np.abs(found).max() >= LIMIT - 1e-6:
            raise ModelRefused(
                f"the amounts fit no Gamma-Gamma distribution with a finite mean: p {self.p_:.4g}, "
                f"q {self.q_:.4g} (must be above 1), v {v * scale:.4g}; a few amounts may be "
                "far too large, or all alike"
            )
        self.v_ = v * scale
        self.mean_ = self.p_ * self.v_ / (self.q_ - 1)
        self.correlation_ = correlation(count, mean, weight)
        self.customers_ = float(weight.sum())
        self.log_likelihood_ = log_likelihood(known, found)[0] - self.customers_ * float(
            np.log(scale)
        )
        return self

    def expected_value(self, rows: Any) -> Array:
        """The mean value of a purchase to come: between the customer's own mean and everyone's.

        The more purchases are behind its mean, the nearer to it; without any, everyone's.
        """
        check_is_fitted(self)
        count, mean = checked(rows).T
        spent = count * np.where(count > 0, np.maximum(mean, 0), 0)
        return np.asarray(self.p_ * (self.v_ + spent) / (self.p_ * count + self.q_ - 1))

    def _maximised(self, known: tuple[Array, Array, Array], start: Any) -> tuple[Array, float]:
        p, q = start
        total = known[2].sum()

        def cost(logarithms: Array) -> tuple[float, Array]:
            value, slope = log_likelihood(known, logarithms)
            return -value / total, -slope / total

        found = minimize(
            cost, np.log([p, q, q / p]), jac=True, method="L-BFGS-B",
            bounds=[(-LIMIT, LIMIT)] * 3,
            options={"maxiter": self.max_iterations, "ftol": 1e-15, "gtol": 1e-8, "maxcor": 20},
        )  # fmt: skip
        return found.x, -float(found.fun)


def checked(rows: Any) -> Array:
    """Rows as an array (customers × 2); a mean may be missing where the count is 0."""
    values = np.asarray(rows, dtype=float)
    if values.ndim != 2 or values.shape[1] != 2:
        raise ModelRefused(f"amounts have the shape {values.shape}; give rows of count, mean")
    count, mean = values.T
    wrong = ~np.isfinite(count) | (count < 0) | ((count > 0) & ~np.isfinite(mean))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ModelRefused(
            f"{int(wrong.sum())} amounts are impossible; row {row} has count {count[row]:g} and "
            f"mean {mean[row]:g}"
        )
    return values


def log_likelihood(known: tuple[Array, Array, Array], logarithms: Array) -> tuple[float, Array]:
    """The log-likelihood of the means, and its gradient by log p, log q and log v.

    `known` is (count, mean, weight), ordered by count.
    """
    p, q, v = (float(number) for number in np.exp(logarithms))
    count, mean, weight = known
    starts = np.flatnonzero(np.r_[True, count[1:] != count[:-1]])
    n, number = count[starts], np.add.reduceat(weight, starts)
    spent = count * mean
    sum_log, log_spent = np.log(v + spent), np.log(spent)
    total = weight.sum()
    value = (
        number @ (gammaln(p * n + q) - gammaln(p * n))
        + total * (q * np.log(v) - gammaln(q))
        + weight @ (p * count * (log_spent - sum_log) - q * sum_log - np.log(mean))
    )
    slope = (
        number @ (n * (digamma(p * n + q) - digamma(p * n)))
        + weight @ (count * (log_spent - sum_log)),
        number @ digamma(p * n + q) + total * (np.log(v) - digamma(q)) - weight @ sum_log,
        total * q / v - weight @ ((p * count + q) / (v + spent)),
    )
    return float(value), np.array(slope) * np.exp(logarithms)


def correlation(left: Array, right: Array, weight: Array) -> float:
    """Pearson's correlation of two columns, weighted by customers; 0 where one is constant.

    Not one of ranks: where count and spending are independent, the mean of few purchases has the
    same expectation as the mean of many but a lower median, which ranks would take for a relation.
    """
    centred = [values - weight @ values / weight.sum() for values in (left, right)]
    spread = float(np.sqrt((weight @ centred[0] ** 2) * (weight @ centred[1] ** 2)))
    return float(weight @ (centred[0] * centred[1])) / spread if spread > 0 else 0.0
