"""How well an attribute is inferred for customers who are treated as if they had not told it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import clone

from tagline.training.estimators.attribute import NeighbourAttribute
from tagline.training.estimators.neighbours import Points
from tagline.training.evaluate import SEED, Interval, Metric, bootstrap
from tagline.training.panels import Array

REPEATS = 10


def measure(
    model: NeighbourAttribute, points: Points, values: Sequence[Any], repeats: int = REPEATS
) -> dict[str, Interval]:
    """Learn from a random half and try on the other, `repeats` times; resampled by customer.

    answered: the share of the customers asked about whom a value was said. Of those: accuracy,
    mode_accuracy (of always saying the commonest value of the half learnt from), gain_over_mode,
    and calibration_error, how far the confidence is from the accuracy. Without any answer only
    answered is measured. refused: the share of the repeats that were refused.
    """
    known = np.asarray(values, dtype=object)
    random = np.random.default_rng(SEED)
    rows = len(known)
    asked, said, right, mode, sure = (np.zeros(rows) for _ in range(5))
    refused = 0
    for _ in range(repeats):
        order = random.permutation(rows)
        learnt, masked = order[: rows // 2], order[rows // 2 :]
        fitted = clone(model).fit(points[learnt], known[learnt])
        refused += fitted.refused_
        found = fitted.predict(points[masked])
        told = found["value"].notna().to_numpy()
        at = masked[told]
        asked[masked] += 1
        said[at] += 1
        right[at] += found["value"].to_numpy()[told] == known[at]
        mode[at] += known[at] == fitted.mode_
        sure[at] += found["confidence"].to_numpy()[told]
    metrics = {"answered": _ratio(said, asked)}
    differences = {}
    if said.any():
        metrics["accuracy"] = _ratio(right, said)
        metrics["mode_accuracy"] = _ratio(mode, said)
        metrics["confidence"] = _ratio(sure, said)
        differences = {
            "gain_over_mode": ("accuracy", "mode_accuracy"),
            "overconfidence": ("confidence", "accuracy"),
        }
    share = refused / repeats
    return bootstrap(metrics, differences, rows) | {"refused": Interval(share, share, share)}


def _ratio(part: Array, whole: Array) -> Metric:
    """The sum of a value per customer over the sum of another; NaN without any."""

    def metric(weights: Array) -> Array:
        below = weights @ whole
        result = np.full(len(weights), np.nan)
        np.divide(weights @ part, below, out=result, where=below > 0)
        return result

    return metric
