"""Candidates and the choice among them, all from training rows only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from tagline.definitions.types import DataType
from tagline.errors import ModelRefused, did_you_mean
from tagline.training.contributions import Described
from tagline.training.estimators.tag_classifier import CANDIDATES, LOGISTIC, TagClassifier
from tagline.training.panels import (
    CATEGORIES,
    NUMBERS,
    Array,
    Before,
    Panel,
    hashed,
    hours_before,
    part_of,
    stack,
)

STRENGTH = 0.1  # inverse of the ridge penalty: panels repeat customers, so rows overstate the data
_TINY = 1e-15


@dataclass(frozen=True)
class Fitted:
    """A classifier that was fitted, and how each feature went into it."""

    kind: str
    pipeline: TagClassifier
    shapes: Mapping[str, str]  # feature -> number, skewed number, category, constant
    parameters: Mapping[str, Any]

    def probability(self, rows: pd.DataFrame) -> Array:
        """The probability of the predicted thing for each row."""
        return probability(self.pipeline, rows)

    def weights(self) -> dict[str, float]:
        """Coefficients of the standardised inputs, or importances; the strongest first."""
        return self.pipeline.weights()


@dataclass(frozen=True)
class Choice:
    """The candidates' mean log losses where they were compared, and the one to be used."""

    chosen: str
    losses: Mapping[str, float]
    compared_on: str  # in words


def probability(pipeline: Any, rows: pd.DataFrame) -> Array:
    """The probability of the positive class, from a fitted or loaded classifier."""
    values: Array = np.asarray(pipeline.predict_proba(rows)[:, 1], dtype=float)
    return values


def fit(
    kind: str,
    features: Mapping[str, DataType],
    training: Panel,
    described: Mapping[str, Described] | None = None,
) -> Fitted:
    """Fit one candidate on the training rows; labels are codes of any number of classes.

    `described` is how its reasons speak of the features.
    """
    if kind not in CANDIDATES:
        raise ModelRefused(f"no such candidate {kind!r}.{did_you_mean(kind, CANDIDATES)}")
    unread = [slug for slug, type_ in features.items() if type_ not in NUMBERS | CATEGORIES]
    if unread:
        raise ModelRefused(f"feature {unread[0]!r} is a {features[unread[0]].value}, not readable")
    if len(np.unique(training.label)) < 2:
        raise ModelRefused("the training rows hold only one class; there is nothing to learn")
    if training.rows[list(features)].nunique(dropna=False).max() < 2:
        raise ModelRefused("every feature is constant in the training rows; nothing to learn from")
    read = {slug: "number" if type_ in NUMBERS else "category" for slug, type_ in features.items()}
    words = None if described is None else {slug: described[slug] for slug in features}
    model = TagClassifier(read, candidate=kind, described=words, strength=STRENGTH)
    model.fit(training.rows, training.label, training.customers)
    parameters: dict[str, Any] = {"rows": len(training.rows)}
    if kind == LOGISTIC:
        parameters |= {"strength": STRENGTH, "penalty": "l2"}
    else:
        parameters |= {"trees": model.trees, "leaves": model.leaves}
        parameters["calibrated"] = model.calibration_ is not None
    return Fitted(kind, model, model.shapes_, parameters)


def candidates_of(named: Sequence[str]) -> tuple[str, ...]:
    """The candidates to fit: a logistic regression always, then the others named."""
    return tuple(dict.fromkeys((LOGISTIC, *named)))


def choose(
    candidates: Sequence[str],
    features: Mapping[str, DataType],
    trained: Sequence[Panel],
    horizon: timedelta,
    before: Before = hours_before,
) -> Choice:
    """The candidate with the least log loss on the newest training panel, newest first.

    They are fitted for this on the older panels whose label horizons end by the newest one's
    instant. Where those do not hold every class, they are fitted on two thirds of the customers
    and compared on the others. The holdout takes no part, so its figures stay those of a model
    chosen without it; the chosen candidate is then to be fitted on all training rows.
    """
    if len(candidates) == 1:
        return Choice(candidates[0], {}, "nothing: there is one candidate")
    newest = trained[0]
    older = [panel for panel in trained[1:] if panel.as_of <= before(newest.as_of, horizon)]
    classes = set(np.unique(stack(trained).label).tolist())
    if older and set(np.unique(stack(older).label).tolist()) == classes:
        learned, asked = stack(older), newest
        compared_on = f"the training panel of {newest.as_of:%Y-%m-%d}"
    else:
        learned, asked = _by_customers(stack(trained))
        compared_on = "a third of the training customers"
    if set(np.unique(learned.label).tolist()) != classes:
        return Choice(candidates[0], {}, "nothing: a class is too rare in the training rows")
    losses = {kind: log_loss(fit(kind, features, learned).pipeline, asked) for kind in candidates}
    return Choice(min(losses, key=lambda kind: losses[kind]), losses, compared_on)


def log_loss(model: TagClassifier, panel: Panel) -> float:
    """Mean negative log probability of what happened, of any number of classes."""
    probabilities = model.predict_proba(panel.rows)
    places = np.searchsorted(model.classes_, panel.label)
    given = probabilities[np.arange(len(places)), places]
    return float(-np.log(np.clip(given, _TINY, 1)).mean())


def _by_customers(panel: Panel) -> tuple[Panel, Panel]:
    """Two thirds and one third of the rows, each customer's in one part, the same every time."""
    apart = hashed(panel.customers) % 3 == 0
    return part_of(panel, ~apart), part_of(panel, apart)
