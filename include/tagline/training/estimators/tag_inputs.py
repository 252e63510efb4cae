"""How tags become the numbers that an estimator reads, learned from training rows only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

NUMBER = "number"
SKEWED = "skewed number"
CATEGORY = "category"
CONSTANT = "constant"
SKEWNESS = 1.0  # beyond it a number is read by its logarithm
RARE = 20  # rows below which a value of a category is read with the other rare ones
MISSING = "(none)"


def shape_of(values: pd.Series[Any], *, is_number: bool) -> str:
    """How a feature is read: as a number, a skewed one, a category, or not at all."""
    if values.nunique(dropna=False) < 2:
        return CONSTANT
    if not is_number:
        return CATEGORY
    skewness = float(values.astype(float).skew())  # type: ignore[arg-type]
    return SKEWED if abs(skewness) > SKEWNESS else NUMBER


def usual_value(values: pd.Series[Any], *, is_number: bool) -> Any:
    """The median, or the most frequent value; None where nothing is present."""
    if is_number:
        present = values.dropna()
        return float(present.median()) if len(present) else float("nan")
    counted = values.value_counts(dropna=False, sort=False)
    most = [value for value, count in counted.items() if count == counted.max()]
    named = sorted(value for value in most if isinstance(value, str))
    return named[0] if named else None


def linear_inputs(shapes: Mapping[str, str]) -> ColumnTransformer:
    """For a linear model: numbers of unit variance, and a column per value of a category.

    A missing number becomes the median, with a column that says so; a skewed one is read by a
    signed logarithm.
    """
    median = SimpleImputer(strategy="median", add_indicator=True)
    # arcsinh is a logarithm of the size that keeps the sign, and 0 at 0
    logarithm = FunctionTransformer(np.arcsinh, feature_names_out="one-to-one")
    steps = {
        NUMBER: make_pipeline(median, StandardScaler()),
        SKEWED: make_pipeline(median, logarithm, StandardScaler()),
        CATEGORY: _categories(),
    }
    return _transformer(shapes, steps)


def tree_inputs(shapes: Mapping[str, str]) -> ColumnTransformer:
    """For trees, which read numbers as they are, missing ones too; categories as above."""
    steps = {NUMBER: "passthrough", SKEWED: "passthrough", CATEGORY: _categories()}
    return _transformer(shapes, steps)


def _categories() -> Any:
    constant = SimpleImputer(strategy="constant", fill_value=MISSING, missing_values=None)
    one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=RARE)
    return make_pipeline(constant, one_hot)


def _transformer(shapes: Mapping[str, str], steps: Mapping[str, Any]) -> ColumnTransformer:
    """One transformer a feature, so that `output_indices_` tells whose each column is."""
    return ColumnTransformer(
        [(slug, steps[shape], [slug]) for slug, shape in shapes.items() if shape in steps],
        verbose_feature_names_out=False,
        sparse_threshold=0.0,
    )
