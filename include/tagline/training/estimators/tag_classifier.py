"""A classifier that reads tags, and can tell what each tag contributed and how tags moved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

from tagline.training.contributions import Described
from tagline.training.drift import Bins, bins_of
from tagline.training.estimators.tag_inputs import (
    CONSTANT,
    linear_inputs,
    shape_of,
    tree_inputs,
    usual_value,
)

Array = np.ndarray[Any, np.dtype[np.float64]]

LOGISTIC = "logistic_regression"
TREES = "boosted_trees"
CANDIDATES = (LOGISTIC, TREES)
FOLDS = 3
EXPLAINED = 8  # features of trees that contributions are computed of: the strongest in training
SAMPLE = 2000  # training rows by which the strongest are found
SEED = 20170101
_TINY = 1e-12


class TagClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Probabilities of classes from a table with a column per tag.

    `features` says of each column whether it is a "number" (floats, NaN where missing) or a
    "category" (strings, None where missing); `described` how it is spoken of (see
    `contributions.Described`), so that a restored model gives the reasons that it gave before.
    `candidate` is logistic_regression, with a ridge
    penalty of inverse strength `strength`, or boosted_trees, whose probabilities are calibrated
    on training rows that the trees had not seen. Classes are the codes of the labels.

    Fitted: `classes_`; `shapes_`, how each feature is read; `training_bins_`, where the training
    rows lay (see `drift`); `usual_`, each feature's median or most frequent training value; and
    `importance_`, each feature's mean absolute contribution in log odds.
    """

    def __init__(
        self,
        features: Mapping[str, str],
        candidate: str = LOGISTIC,
        described: Mapping[str, Described] | None = None,
        strength: float = 0.1,
        trees: int = 100,
        leaves: int = 8,
    ) -> None:
        self.features = features
        self.candidate = candidate
        self.described = described
        self.strength = strength
        self.trees = trees
        self.leaves = leaves

    def fit(self, rows: pd.DataFrame, label: Any, customers: Any = None) -> Self:
        """Learn from rows and class codes; `customers` keeps a customer's rows together.

        ValueError where every feature is constant, or all rows have the same class.
        """
        label = np.asarray(label)
        self.classes_ = np.unique(label)
        if len(self.classes_) < 2:
            raise ValueError("all rows have the same class")
        numbers = {slug: kind == "number" for slug, kind in self.features.items()}
        self.shapes_ = {
            slug: shape_of(rows[slug], is_number=is_number) for slug, is_number in numbers.items()
        }
        if set(self.shapes_.values()) == {CONSTANT}:
            raise ValueError("every feature is constant")
        self.learn_bins(rows)
        self.usual_ = {
            slug: usual_value(rows[slug], is_number=numbers[slug]) for slug in self.features
        }
        linear = self.candidate == LOGISTIC
        self.inputs_ = (linear_inputs if linear else tree_inputs)(self.shapes_)
        design = np.asarray(self.inputs_.fit_transform(rows[list(self.features)]), dtype=float)
        self.model_ = self._estimator().fit(design, label)
        self.calibration_ = None if linear else self._calibration(design, label, customers)
        self.usual_design_ = design.mean(axis=0) if linear else self._usual_row()
        self.explained_ = list(self.inputs_.output_indices_)
        self.explained_.remove("remainder")
        sample = np.random.default_rng(SEED).permutation(len(rows))[:SAMPLE]
        size = np.abs(self._contributions(design[sample], None)).mean(axis=0)
        self.importance_ = {
            slug: float(value) for slug, value in zip(self.features, size, strict=True)
        }
        if not linear:
            ranked = sorted(self.explained_, key=lambda slug: -self.importance_[slug])
            self.explained_ = ranked[:EXPLAINED]
        return self

    def learn_bins(self, rows: pd.DataFrame) -> None:
        """Take these rows as those that the model's drift is measured from.

        They are the training rows but where those were chosen, so that no others are like them.
        """
        self.training_bins_: dict[str, Bins] = {
            slug: bins_of(rows[slug], is_number=kind == "number")
            for slug, kind in self.features.items()
        }

    def predict_proba(self, rows: pd.DataFrame) -> Array:
        """A column per class of `classes_`, which sum to 1 in each row."""
        return self._probabilities(self._design(rows))

    def predict(self, rows: pd.DataFrame) -> Any:
        """The most probable class of each row."""
        return self.classes_[self.predict_proba(rows).argmax(axis=1)]

    def contributions(self, rows: pd.DataFrame, of: Any = None) -> Array:
        """What each feature adds to a class's log odds, a column per feature.

        With two classes the class is the second; with more, `of` names the position of each
        row's class among `classes_`, by default that of its most probable one, and the log odds
        are against the geometric mean of all classes.

        For logistic_regression they are exact: they add up to the row's log odds less those of
        an average training row. For boosted_trees each is the change of the log odds when the
        feature alone is put in place of its usual value. Features that say the same then share
        what they say less than fully, so these do not add up; the features beyond the eight
        strongest in training count as 0.
        """
        return self._contributions(self._design(rows), of)

    def explained(self, rows: pd.DataFrame) -> tuple[Array, Array]:
        """The probabilities and the contributions, for the price of reading the rows once."""
        design = self._design(rows)
        return self._probabilities(design), self._contributions(design, None)

    def weights(self) -> dict[str, float]:
        """Coefficients of the standardised inputs, or else the importances; strongest first.

        Of several classes, a coefficient's size is its mean over the classes.
        """
        if self.candidate == LOGISTIC:
            names = self.inputs_.get_feature_names_out()
            coefficients = self.model_.coef_
            values = coefficients[0] if len(coefficients) == 1 else np.abs(coefficients).mean(0)
            pairs = zip(map(str, names), map(float, values), strict=True)
        else:
            pairs = zip(self.importance_, self.importance_.values(), strict=True)
        return dict(sorted(pairs, key=lambda pair: -abs(pair[1])))

    def _estimator(self) -> Any:
        if self.candidate == LOGISTIC:
            return LogisticRegression(C=self.strength, max_iter=2000)
        return HistGradientBoostingClassifier(
            learning_rate=0.07,
            max_iter=self.trees,
            max_leaf_nodes=self.leaves,
            min_samples_leaf=40,
            l2_regularization=10.0,
            early_stopping=False,  # its own split would put a customer on both sides
            random_state=SEED,
        )

    def _calibration(self, design: Array, label: Any, customers: Any) -> Any:
        """Log odds of rows that the trees had not seen -> probabilities; None with too few."""
        groups = np.arange(len(label)) if customers is None else np.asarray(customers)
        rarest = min(len(np.unique(groups[label == each])) for each in self.classes_)
        if rarest < 2 * FOLDS:
            return None
        folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=SEED)
        unseen = cross_val_predict(
            self._estimator(), design, label, groups=groups, cv=folds, method="predict_proba"
        )
        return LogisticRegression(C=1e6, max_iter=2000).fit(_log_odds(unseen), label)

    def _usual_row(self) -> Array:
        usual = pd.DataFrame(
            {
                slug: pd.Series([value], dtype=float if self.features[slug] == "number" else object)
                for slug, value in self.usual_.items()
            }
        )
        row: Array = np.asarray(self.inputs_.transform(usual), dtype=float)[0]
        return row

    def _design(self, rows: pd.DataFrame) -> Array:
        inputs: ColumnTransformer = self.inputs_
        return np.asarray(inputs.transform(rows[list(self.features)]), dtype=float)

    def _probabilities(self, design: Array) -> Array:
        found: Array = self.model_.predict_proba(design)
        if self.calibration_ is not None:
            found = self.calibration_.predict_proba(_log_odds(found))
        return np.asarray(found, dtype=float)

    def _contributions(self, design: Array, of: Any) -> Array:
        if len(self.classes_) > 2 and of is None:
            of = self._probabilities(design).argmax(axis=1)
        made = np.zeros((len(design), len(self.features)))
        place = {slug: number for number, slug in enumerate(self.features)}
        if self.candidate == LOGISTIC:
            coefficients = self.model_.coef_
            if len(coefficients) > 1:
                coefficients = coefficients - coefficients.mean(axis=0)
            weights = coefficients[0] if of is None else coefficients[of]
            parts = (design - self.usual_design_) * weights
            for slug in self.explained_:
                made[:, place[slug]] = parts[:, self.inputs_.output_indices_[slug]].sum(axis=1)
            return made
        whole = self._evidence(design, of)
        for slug in self.explained_:
            columns = self.inputs_.output_indices_[slug]
            unusual = (design[:, columns] != self.usual_design_[columns]).any(axis=1)
            other = design[unusual]
            other[:, columns] = self.usual_design_[columns]
            if len(other):
                its = None if of is None else of[unusual]
                made[unusual, place[slug]] = whole[unusual] - self._evidence(other, its)
        return made

    def _evidence(self, design: Array, of: Any) -> Array:
        """The log odds of each row's class."""
        odds = _log_odds(self._probabilities(design))
        return odds[:, 0] if of is None else odds[np.arange(len(odds)), of]


def _log_odds(probabilities: Array) -> Array:
    """Of two classes a column, that of the second; of more, a column per class."""
    logarithms = np.log(np.clip(probabilities, _TINY, 1))
    if probabilities.shape[1] == 2:
        return np.asarray(logarithms[:, 1:] - logarithms[:, :1])
    return np.asarray(logarithms - logarithms.mean(axis=1, keepdims=True))
