"""Uplift: by how much a treatment changes each one's probability of a response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.utils.validation import check_is_fitted

from tagline.errors import ModelRefused, did_you_mean
from tagline.training.drift import Bins, bins_of
from tagline.training.estimators.tag_inputs import (
    CONSTANT,
    linear_inputs,
    shape_of,
    tree_inputs,
    usual_value,
)

Array = np.ndarray[Any, np.dtype[np.float64]]

LOGISTIC = "two_logistic_models"
TREES = "two_boosted_models"
TRANSFORMED = "transformed_outcome"
APPROACHES = (LOGISTIC, TREES, TRANSFORMED)
STRENGTH = 0.1  # inverse of the logistic models' ridge penalty
RIDGE = 10.0  # of the transformed outcome, whose variance is that of a response over the shares


class UpliftModel(BaseEstimator):  # type: ignore[misc]
    """The change that a treatment makes to the probability of a response, learnt from a trial.

    `features` says of each column whether it is a "number" (floats, NaN where missing) or a
    "category" (strings, None where missing). `approach` is how the uplift is learnt:
    `two_logistic_models`: the response with and without the treatment, each by a logistic
    regression on its arm; the uplift is the difference of the two.
    `two_boosted_models`: the same by gradient boosting of small trees, which finds thresholds and
    what holds only together.
    `transformed_outcome`: one ridge regression on an outcome made so that its mean is the uplift:
    (response - mean response) * (treated - share) / (share * (1 - share)). It needs fewer rows to
    find a small uplift, and its predictions are not bounded by -1 and 1 in theory.

    The arms must have been chosen at random: what separates them otherwise counts as uplift.

    `described` is how each feature is spoken of (see `contributions.Described`), so that a
    restored model gives the reasons that it gave before.

    Fitted: `shapes_`, how each feature is read; `training_bins_`, where the trial's rows lay (see
    `drift`); `usual_`, each feature's median or most frequent value; `share_treated_`, of the
    customers.
    """

    def __init__(
        self,
        features: Mapping[str, str],
        approach: str = LOGISTIC,
        described: Mapping[str, Any] | None = None,
    ) -> None:
        self.features = features
        self.approach = approach
        self.described = described

    def fit(self, rows: pd.DataFrame, treated: Any, outcome: Any) -> Self:
        """Learn from a row per customer, whether it was treated, and whether it responded.

        `treated` and `outcome` hold 0 and 1. ModelRefused where an arm is empty or holds one
        outcome alone, every feature is constant, or the approach is not known.
        """
        if self.approach not in APPROACHES:
            close = did_you_mean(self.approach, APPROACHES)
            raise ModelRefused(f"no such approach to uplift: {self.approach!r}.{close}")
        arm = np.asarray(treated, dtype=float)
        response = np.asarray(outcome, dtype=float)
        for name, part in (("treated", response[arm == 1]), ("untreated", response[arm == 0])):
            if len(np.unique(part)) < 2:
                raise ModelRefused(f"the {name} rows hold one outcome alone; nothing to compare")
        self.shapes_ = shapes_of(self.features, rows)
        if set(self.shapes_.values()) <= {CONSTANT}:
            raise ModelRefused("every feature is constant in the trial; nothing to choose by")
        numbers = {slug: kind == "number" for slug, kind in self.features.items()}
        self.training_bins_: dict[str, Bins] = {
            slug: bins_of(rows[slug], is_number=is_number) for slug, is_number in numbers.items()
        }
        self.usual_ = {
            slug: usual_value(rows[slug], is_number=is_number)
            for slug, is_number in numbers.items()
        }
        inputs = tree_inputs if self.approach == TREES else linear_inputs
        self.inputs_ = inputs(self.shapes_)
        design = np.asarray(self.inputs_.fit_transform(rows[list(self.features)]), dtype=float)
        self.share_treated_ = float(arm.mean())
        self.with_: Any = None
        self.without_: Any = None
        self.effect_: Any = None
        if self.approach == TRANSFORMED:
            share = self.share_treated_
            change = (response - response.mean()) * (arm - share) / (share * (1 - share))
            self.effect_ = Ridge(RIDGE).fit(design, change)
        else:
            self.with_ = self._response().fit(design[arm == 1], response[arm == 1])
            self.without_ = self._response().fit(design[arm == 0], response[arm == 0])
        return self

    def predict_uplift(self, rows: pd.DataFrame) -> Array:
        """The predicted change of the probability of a response, one number per row."""
        check_is_fitted(self, "share_treated_")
        return self._uplift(self._design(rows))

    def contributions(self, rows: pd.DataFrame) -> Array:
        """By how much each feature moves the uplift, a column per feature.

        Each is the change of the uplift when the feature alone is put in place of its usual
        value, so they add up to the uplift only where no two features depend on each other.
        """
        design = self._design(rows)
        whole = self._uplift(design)
        usual = self._design(self._usual_row())
        found = np.zeros((len(rows), len(self.features)))
        for place, slug in enumerate(self.features):
            columns = self.inputs_.output_indices_.get(slug)
            if columns is not None:  # a constant feature is not read
                without = design.copy()
                without[:, columns] = usual[:, columns]
                found[:, place] = whole - self._uplift(without)
        return found

    def predict(self, rows: pd.DataFrame) -> Array:
        """The same as `predict_uplift`, by the name that other programs call."""
        return self.predict_uplift(rows)

    def _uplift(self, design: Array) -> Array:
        if self.effect_ is not None:
            return np.asarray(self.effect_.predict(design), dtype=float)
        with_, without = (
            np.asarray(model.predict_proba(design)[:, 1], dtype=float)
            for model in (self.with_, self.without_)
        )
        return np.asarray(with_ - without)

    def _design(self, rows: pd.DataFrame) -> Array:
        return np.asarray(self.inputs_.transform(rows[list(self.features)]), dtype=float)

    def _usual_row(self) -> pd.DataFrame:
        return pd.DataFrame(
            {
                slug: pd.Series([value], dtype=float if self.features[slug] == "number" else object)
                for slug, value in self.usual_.items()
            }
        )

    def _response(self) -> Any:
        if self.approach == LOGISTIC:
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


def shapes_of(features: Mapping[str, str], rows: pd.DataFrame) -> dict[str, str]:
    """How each feature is read, by its kind and these rows."""
    return {
        name: shape_of(rows[name], is_number=kind == "number") for name, kind in features.items()
    }
