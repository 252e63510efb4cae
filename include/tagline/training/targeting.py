"""Does treating those whom a score picks beat treating as many at random?

The measure is Radcliffe's Qini curve per treated customer. Of the share x of customers with the
highest scores, R_t and R_c are the responses and N_t and N_c the customers of the two arms; the
gain is

    gain(x) = (R_t(x) - R_c(x) * N_t(x) / N_c(x)) / N_t(1),

the additional responses per customer, had the share x alone been treated. At x = 1 it is the
mean uplift. Treating at random earns the straight line to there. The Qini area is the area
between the curve and that line: the mean, over all shares, of the additional responses per
customer that choosing by the score earns. It is 0 for a random score, and its unit is that of a
rate: 0.0077 means that, on average over the share treated, 7.7 of 1000 customers respond who
would not if as many had been treated at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tagline.training.evaluate import Interval, Metric, bootstrap_of_counts, roc_auc
from tagline.training.panels import Array

STEPS = 250  # of the curve, so that a resample of many rows costs little
DECILES = 10


@dataclass(frozen=True)
class Curve:
    """Points of a Qini curve from (0, 0) on: share treated, gain per customer."""

    share: Array
    gain: Array

    @property
    def area(self) -> float:
        """The area above the line of random treatment."""
        return float(_areas(self.share[None, :], self.gain[None, :])[0])


def curve(treated: Array, outcome: Array, score: Array) -> Curve:
    """The Qini curve of a score, high first; equal scores are one straight step."""
    sums = _sums(treated, outcome, score)
    share, gain = _gains(sums(np.ones((1, len(score)))))
    return Curve(share[0], gain[0])


def in_steps(ranks: Array) -> Array:
    """Ranks between 0 and 1 as numbers of steps of the curve, so that few are different."""
    return np.floor(ranks * STEPS)


def mean_curve(curves: Sequence[Curve]) -> Curve:
    """The mean gain of several curves at each of STEPS shares."""
    share = np.linspace(0, 1, STEPS + 1)
    gains = [np.interp(share, one.share, one.gain) for one in curves]
    return Curve(share, np.mean(gains, axis=0))


def qini_area(treated: Array, outcome: Array, score: Array) -> Metric:
    """The Qini area, as a metric of weighted rows."""
    sums = _sums(treated, outcome, score)

    def measure(weights: Array) -> Array:
        return _areas(*_gains(sums(weights)))

    return measure


def qini_interval(
    treated: Array, outcome: Array, score: Array, confidence: float = 0.95
) -> Interval:
    """The Qini area with its bootstrap interval."""
    rows, counts = _distinct(treated, outcome, score)
    return bootstrap_of_counts(qini_area(*rows.T), counts, confidence=confidence)


def mean_uplift(treated: Array, outcome: Array, confidence: float = 0.95) -> Interval:
    """The response rate of the treated less that of the others."""
    rows, counts = _distinct(treated, outcome)
    is_treated, responds = rows.T
    columns = np.stack(
        [is_treated, is_treated * responds, 1 - is_treated, (1 - is_treated) * responds], axis=1
    )

    def measure(weights: Array) -> Array:
        sizes = weights @ columns
        rates = sizes[:, [1, 3]] / np.maximum(sizes[:, [0, 2]], 1)
        return np.asarray(rates[:, 0] - rates[:, 1])

    return bootstrap_of_counts(measure, counts, confidence=confidence)


def told_apart(treated: Array, ranks: Array, confidence: float = 0.95) -> Interval:
    """The ROC AUC with which a score tells who was treated, with its bootstrap interval."""
    rows, counts = _distinct(treated, in_steps(ranks))
    return bootstrap_of_counts(roc_auc(*rows.T), counts, confidence=confidence)


def _distinct(*columns: Array) -> tuple[Array, Array]:
    """The distinct rows of columns, and how often each occurs."""
    rows, counts = np.unique(np.stack(columns, axis=1), axis=0, return_counts=True)
    return rows, counts.astype(float)


def uplift_by_decile(
    treated: Array, outcome: Array, score: Array, predicted: Array
) -> pd.DataFrame:
    """Per tenth of the customers, the highest scores first, what was predicted and what came.

    Columns decile (1 is the highest), customers, predicted, uplift, low, high; the last three are
    the difference of the arms' response rates with its 95 % interval.
    """
    rank = pd.Series(-score).rank(method="first").to_numpy()
    decile = np.ceil(rank / len(score) * DECILES).astype(int)
    frame = pd.DataFrame({"decile": decile, "treated": treated, "outcome": outcome})
    rows: list[dict[str, Any]] = []
    for number, part in frame.groupby("decile"):
        arms = [part.loc[part["treated"] == arm, "outcome"] for arm in (1, 0)]
        if not all(len(arm) for arm in arms):
            continue
        rates = [float(arm.mean()) for arm in arms]
        error = np.sqrt(
            sum(rate * (1 - rate) / len(arm) for rate, arm in zip(rates, arms, strict=True))
        )
        uplift = rates[0] - rates[1]
        rows.append(
            {
                "decile": int(str(number)),
                "customers": len(part),
                "predicted": float(predicted[part.index].mean()),
                "uplift": uplift,
                "low": uplift - 1.96 * float(error),
                "high": uplift + 1.96 * float(error),
            }
        )
    return pd.DataFrame(rows)


def _sums(treated: Array, outcome: Array, score: Array) -> Metric:
    """weights (resamples × rows) -> sums (resamples × scores × 4), the highest scores first.

    The four are the untreated without and with a response, then the treated alike.
    """
    _, step = np.unique(-score, return_inverse=True)
    steps = int(step.max()) + 1
    cell = step * 4 + (treated * 2 + outcome).astype(int)
    order = np.argsort(cell, kind="stable")
    present, starts = np.unique(cell[order], return_index=True)

    def measure(weights: Array) -> Array:
        sums = np.zeros((len(weights), steps * 4))
        sums[:, present] = np.add.reduceat(weights[:, order], starts, axis=1)
        return sums.reshape(len(weights), steps, 4)

    return measure


def _gains(sums: Array) -> tuple[Array, Array]:
    """Share treated and gain, each resamples × (steps + 1), from (0, 0) on."""
    total = np.cumsum(sums, axis=1)
    untreated = total[:, :, 0] + total[:, :, 1]
    treated = total[:, :, 2] + total[:, :, 3]
    ratio = treated / np.maximum(untreated, 1)
    gain = (total[:, :, 3] - total[:, :, 1] * ratio) / np.maximum(treated[:, -1:], 1)
    share = (untreated + treated) / np.maximum(untreated + treated, 1)[:, -1:]
    start = np.zeros((len(sums), 1))
    return np.hstack([start, share]), np.hstack([start, gain])


def _areas(share: Array, gain: Array) -> Array:
    under = (np.diff(share, axis=1) * (gain[:, 1:] + gain[:, :-1]) / 2).sum(axis=1)
    return np.asarray(under - gain[:, -1] / 2)
