"""Uplift: by how much a treatment changes each one's probability of a response."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.utils.validation import check_is_fitted

from tagline.errors import ModelRefused

Array = np.ndarray[Any, np.dtype[np.float64]]

APPROACHES = ("two_logistic_models", "two_boosted_models", "transformed_outcome")
STRENGTH = 0.1  # inverse of the logistic models' ridge penalty
RIDGE = 10.0  # of the transformed outcome, whose variance is that of a treated row over its share


class UpliftModel(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """The change that a treatment makes to the probability of a response, learnt from a trial.

    `approach` is how it is learnt:
    `two_logistic_models`: the response with and without the treatment, each by a logistic
    regression on its arm; the uplift is the difference of the two.
    `two_boosted_models`: the same by gradient boosting of small trees, which finds thresholds and
    what holds only together.
    `transformed_outcome`: one ridge regression on an outcome made so that its mean is the uplift:
    (response - mean response) * (treated - share) / (share * (1 - share)). It needs fewer rows to
    find a small uplift, and its predictions are not bounded by -1 and 1 in theory.

    `inputs`, an unfitted transformer, turns the rows into numbers; it is fitted on both arms.
    The arms must have been chosen at random: what separates them otherwise counts as uplift.
    """

    def __init__(self, approach: str = "two_logistic_models", inputs: Any = None) -> None:
        self.approach = approach
        self.inputs = inputs

    def fit(self, X: Any, treated: Any, outcome: Any) -> UpliftModel:  # noqa: N803
        """Learn from a row per customer, whether it was treated, and whether it responded.

        `treated` and `outcome` hold 0 and 1. ModelRefused where an arm is empty, holds one
        outcome alone, or the approach is not known.
        """
        if self.approach not in APPROACHES:
            known = ", ".join(APPROACHES)
            raise ModelRefused(f"no such approach to uplift {self.approach!r}; known: {known}")
        arm = np.asarray(treated, dtype=float)
        response = np.asarray(outcome, dtype=float)
        for name, part in (("treated", response[arm == 1]), ("untreated", response[arm == 0])):
            if len(np.unique(part)) < 2:
                raise ModelRefused(f"the {name} rows hold one outcome alone; nothing to compare")
        self.inputs_ = None if self.inputs is None else clone(self.inputs).fit(X)
        numbers = self._numbers(X)
        self.share_treated_ = float(arm.mean())
        self.with_: Any = None
        self.without_: Any = None
        self.effect_: Any = None
        if self.approach == "transformed_outcome":
            share = self.share_treated_
            change = (response - response.mean()) * (arm - share) / (share * (1 - share))
            self.effect_ = Ridge(RIDGE).fit(numbers, change)
        else:
            self.with_ = self._response().fit(numbers[arm == 1], response[arm == 1])
            self.without_ = self._response().fit(numbers[arm == 0], response[arm == 0])
        return self

    def predict_uplift(self, X: Any) -> Array:  # noqa: N803
        """The predicted change of the probability of a response, one number per row."""
        check_is_fitted(self, "share_treated_")
        numbers = self._numbers(X)
        if self.effect_ is not None:
            effect: Array = np.asarray(self.effect_.predict(numbers), dtype=float)
            return effect
        with_, without = (
            np.asarray(model.predict_proba(numbers)[:, 1], dtype=float)
            for model in (self.with_, self.without_)
        )
        return np.asarray(with_ - without)

    def predict(self, X: Any) -> Array:  # noqa: N803
        """The same as `predict_uplift`, by the name that other programs call."""
        return self.predict_uplift(X)

    def _numbers(self, X: Any) -> Array:  # noqa: N803
        rows = X if self.inputs_ is None else self.inputs_.transform(X)
        return np.asarray(rows, dtype=float)

    def _response(self) -> Any:
        if self.approach == "two_logistic_models":
            return LogisticRegression(C=STRENGTH, max_iter=2000)
        return HistGradientBoostingClassifier(
            max_iter=60,
            learning_rate=0.05,
            max_leaf_nodes=8,
            min_samples_leaf=200,
            l2_regularization=1.0,
            early_stopping=False,  # which would hold rows back by chance
            random_state=0,
        )
