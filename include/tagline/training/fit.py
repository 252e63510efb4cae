"""The pipelines: everything learned about the data is learned from training rows only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from tagline.definitions.types import DataType
from tagline.errors import ModelRefused
from tagline.training.panels import CATEGORIES, NUMBERS, Array, Panel

STRENGTH = 0.1  # inverse of the ridge penalty: panels repeat customers, so rows overstate the data
SKEWED = 1.0
MISSING = "(none)"


@dataclass(frozen=True)
class Fitted:
    """A pipeline that was fitted, and how each feature went into it."""

    kind: str
    pipeline: Pipeline
    shapes: Mapping[str, str]  # feature -> number, skewed number, category, constant
    parameters: Mapping[str, Any]

    def probability(self, rows: pd.DataFrame) -> Array:
        """The probability of the predicted thing for each row."""
        return probability(self.pipeline, rows)

    def weights(self) -> dict[str, float]:
        """Coefficients of the standardised inputs, the strongest first."""
        names = self.pipeline["inputs"].get_feature_names_out()
        values = self.pipeline["model"].coef_[0]
        pairs = sorted(zip(names, values, strict=True), key=lambda pair: -abs(pair[1]))
        return {str(name): float(value) for name, value in pairs}


def probability(pipeline: Any, rows: pd.DataFrame) -> Array:
    """The probability of the positive class, from a fitted or loaded pipeline."""
    values: Array = np.asarray(pipeline.predict_proba(rows)[:, 1], dtype=float)
    return values


def fit(kind: str, features: Mapping[str, DataType], training: Panel) -> Fitted:
    """Fit one candidate on the training rows.

    Numbers: median for a missing one with an indicator beside it, a signed logarithm where
    skewed, then unit variance. Text and booleans: one column per value seen more than rarely.
    """
    if kind != "logistic_regression":
        raise ModelRefused(f"no such candidate {kind!r}; known: logistic_regression")
    if len(set(training.label.tolist())) < 2:
        raise ModelRefused("the training rows hold only one class; there is nothing to learn")
    shapes = shapes_of(features, training.rows)
    pipeline = Pipeline([("inputs", inputs_of(shapes)), ("model", _logistic_regression())])
    pipeline.fit(training.rows[list(features)], training.label)
    parameters = {"strength": STRENGTH, "penalty": "l2", "rows": len(training.rows)}
    return Fitted(kind, pipeline, shapes, parameters)


def shapes_of(features: Mapping[str, DataType], rows: pd.DataFrame) -> dict[str, str]:
    """How each feature goes into a model: number, skewed number, category, constant."""
    return {slug: _shape(rows[slug], type_) for slug, type_ in features.items()}


def _shape(values: pd.Series[Any], type_: DataType) -> str:
    if values.nunique(dropna=False) < 2:
        return "constant"
    if type_ in CATEGORIES:
        return "category"
    assert type_ in NUMBERS, type_
    skewness = float(values.astype(float).skew())  # type: ignore[arg-type]
    return "skewed number" if abs(skewness) > SKEWED else "number"


def inputs_of(shapes: Mapping[str, str]) -> ColumnTransformer:
    """The unfitted transformer of features to numbers; ModelRefused when all are constant."""
    median = SimpleImputer(strategy="median", add_indicator=True)
    # arcsinh is a logarithm of the size that keeps the sign, and 0 at 0
    logarithm = FunctionTransformer(np.arcsinh, feature_names_out="one-to-one")
    constant = SimpleImputer(strategy="constant", fill_value=MISSING, missing_values=None)
    one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=20)
    steps: list[tuple[str, Any, Sequence[str]]] = [
        ("number", make_pipeline(median, StandardScaler()), _of(shapes, "number")),
        (
            "skewed",
            make_pipeline(median, logarithm, StandardScaler()),
            _of(shapes, "skewed number"),
        ),
        ("category", make_pipeline(constant, one_hot), _of(shapes, "category")),
    ]
    kept = [step for step in steps if step[2]]
    if not kept:
        raise ModelRefused("every feature is constant in the training rows; nothing to learn from")
    return ColumnTransformer(kept, verbose_feature_names_out=False, sparse_threshold=0.0)


def _of(shapes: Mapping[str, str], shape: str) -> list[str]:
    return [slug for slug, known in shapes.items() if known == shape]


def _logistic_regression() -> LogisticRegression:
    return LogisticRegression(C=STRENGTH, max_iter=2000)
