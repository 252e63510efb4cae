"""How well an attribute is inferred for customers who are treated as if they had not told it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from sklearn.base import clone

from tagline.definitions.models.similar_customers import SimilarCustomersGate
from tagline.training.estimators.attribute import NeighbourAttribute
from tagline.training.estimators.neighbours import Codes, Points
from tagline.training.evaluate import SEED, Interval, bootstrap, ratio

REPEATS = 10


# the points of the rows to learn from and of those asked about, made from the former alone
Halves = Callable[[Codes, Codes], tuple[Points, Points]]


def measure(
    model: NeighbourAttribute, halves: Halves, values: Iterable[Any], repeats: int = REPEATS
) -> dict[str, Interval]:
    """Learn from a random half and try on the other, `repeats` times; resampled by customer.

    `halves` makes points of rows at these places; whatever it learns for that, it learns from the
    half that is learnt from, as the model does.

    answered: the share of the customers asked about of whom a value was said. Of those: accuracy,
    mode_accuracy (of always saying the commonest value of the half learnt from), gain_over_mode,
    confidence, and overconfidence, by how much it lies above the accuracy. Without any answer only
    answered is measured. refused: the share of the repeats that abstained from everyone.
    """
    known = np.asarray(list(values), dtype=object)
    random = np.random.default_rng(SEED)
    rows = len(known)
    asked, said, right, mode, sure = (np.zeros(rows) for _ in range(5))
    refused = 0
    for _ in range(repeats):
        order = random.permutation(rows)
        learnt, masked = order[: rows // 2], order[rows // 2 :]
        points, asked_about = halves(learnt, masked)
        fitted = clone(model).fit(points, known[learnt])
        refused += fitted.refused_
        found = fitted.predict(asked_about)
        told = found["value"].notna().to_numpy()
        at = masked[told]
        asked[masked] += 1
        said[at] += 1
        right[at] += found["value"].to_numpy()[told] == known[at]
        mode[at] += known[at] == fitted.mode_
        sure[at] += found["confidence"].to_numpy()[told]
    metrics = {"answered": ratio(said, asked)}
    differences = {}
    if said.any():
        metrics["accuracy"] = ratio(right, said)
        metrics["mode_accuracy"] = ratio(mode, said)
        metrics["confidence"] = ratio(sure, said)
        differences = {
            "gain_over_mode": ("accuracy", "mode_accuracy"),
            "overconfidence": ("confidence", "accuracy"),
        }
    share = refused / repeats
    return bootstrap(metrics, differences, rows) | {"refused": Interval(share, share, share)}


def judge(
    gate: SimilarCustomersGate, model: NeighbourAttribute, metrics: Mapping[str, Interval]
) -> tuple[str, ...]:
    """Reasons why the attribute is not to be inferred; the model has learnt from all rows."""
    if model.refused_:
        return (
            "the customers most alike tell this attribute no better than its commonest value, "
            f"{model.mode_}, does: cross-validated, the gain is {model.gain_:.3f} and surely only "
            f"above {model.gain_low_:.3f}, so it abstains from everyone",
        )
    if "gain_over_mode" not in metrics:
        return (
            "learning from a random half of the customers, it abstained from everyone of the "
            "other half every time: what they have in common is too little to be learnt from",
        )
    reasons = []
    answered, gain, over = (
        metrics[name] for name in ("answered", "gain_over_mode", "overconfidence")
    )
    if not gain.low > gate.min_gain_over_mode:
        reasons.append(
            f"the gain over always saying the commonest value, {gain}, is not surely above "
            f"min_gain_over_mode {gate.min_gain_over_mode:g}"
        )
    if not answered.value >= gate.min_answered:
        reasons.append(
            f"of the customers whose value was hidden, a share of {answered} was answered, below "
            f"min_answered {gate.min_answered:g}"
        )
    if not over.value <= gate.max_overconfidence:
        reasons.append(
            f"its confidence is {over} above its accuracy, more than max_overconfidence "
            f"{gate.max_overconfidence:g}"
        )
    return tuple(reasons)
