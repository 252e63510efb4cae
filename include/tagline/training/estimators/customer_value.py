"""What a customer will buy in a horizon, and for how much: both processes in one estimator."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from tagline.errors import ModelRefused
from tagline.training.estimators.purchase_process import Array, PurchaseProcess
from tagline.training.estimators.purchase_value import PurchaseValue

COLUMNS = ("frequency", "recency", "age", "mean_value")
ANSWERS = ("probability_alive", "purchase_probability", "expected_purchases", "expected_value")


class CustomerValue(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Purchases by BG/NBD and, where rows have a fourth column, their value by Gamma-Gamma.

    A row is (frequency, recency, age) as PurchaseProcess reads it, then the mean amount of the
    customer's purchases, the first among them: there are frequency + 1 behind the mean. `horizon`
    is in the unit of recency and age.
    """

    def __init__(self, horizon: float = 60.0) -> None:
        self.horizon = horizon

    def fit(self, rows: Any, y: None = None, sample_weight: Any = None) -> Self:
        """Fit process_ and value_ on customers, none of whose numbers is missing.

        value_ is None without a fourth column, or where no distribution fits the amounts;
        then value_refusal_ says why, and every expected value is missing.
        """
        values = np.asarray(rows, dtype=float)
        self.process_ = PurchaseProcess().fit(values[:, :3], sample_weight=sample_weight)
        self.valued_ = values.shape[1] > 3
        self.value_, self.value_refusal_ = None, ""
        if self.valued_:
            try:
                self.value_ = PurchaseValue().fit(spending(values), sample_weight=sample_weight)
            except ModelRefused as refusal:
                self.value_refusal_ = str(refusal)
        return self

    def predict(self, rows: Any) -> pd.DataFrame:
        """A column for each of ANSWERS; expected_value only with a fourth column.

        A customer with a missing number, who never bought, has no answers.
        """
        check_is_fitted(self)
        values = np.asarray(rows, dtype=float)
        known = np.isfinite(values).all(axis=1)
        answers = np.full((len(values), len(ANSWERS)), np.nan)
        histories = values[known, :3]
        answers[known, 0] = self.process_.probability_alive(histories)
        answers[known, 1] = self.process_.purchase_probability(histories, self.horizon)
        answers[known, 2] = self.process_.expected_purchases(histories, self.horizon)
        if self.value_ is not None:
            value = self.value_.expected_value(spending(values[known]))
            answers[known, 3] = answers[known, 2] * value
        told = pd.DataFrame(answers, columns=list(ANSWERS))
        return told if self.valued_ else told.drop(columns="expected_value")


def spending(values: Array) -> Array:
    """Rows of (count, mean) of the purchases seen, the first among them."""
    return np.column_stack([values[:, 0] + 1, values[:, 3]])
