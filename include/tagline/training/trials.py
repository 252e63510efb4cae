"""A trial: customers who were treated or not, and what they did after."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from tagline.training.estimators.tag_inputs import linear_inputs
from tagline.training.estimators.uplift import shapes_of
from tagline.training.evaluate import Interval
from tagline.training.forward import Rows, forward
from tagline.training.panels import Array
from tagline.training.targeting import told_apart

_SURELY = 0.01  # probability of shares that differ so much where they are the same
_NAMED = 3  # how many of the features that differ are named


@dataclass(frozen=True)
class Trial:
    """The customers of one or more trials: a row for each and each trial it was in.

    `rows` has a column per feature, as it was before the treatment; `treated` and `outcome` hold
    1 and 0.
    """

    customers: np.ndarray[Any, np.dtype[Any]]
    rows: pd.DataFrame
    treated: Array
    outcome: Array

    def part(self, rows: Rows) -> Trial:
        """Some of the rows."""
        return Trial(
            self.customers[rows], self.rows.iloc[rows], self.treated[rows], self.outcome[rows]
        )

    @property
    def digest(self) -> str:
        """A short digest of the content: the same customers, values and outcomes give the same."""
        frame = self.rows.assign(
            customer_id=self.customers, treated=self.treated, outcome=self.outcome
        )
        hashed = hashlib.sha256(json.dumps(list(frame.columns)).encode())
        hashed.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
        return hashed.hexdigest()[:16]


def joined(trials: Sequence[Trial]) -> Trial:
    """Several trials as one."""
    return Trial(
        np.concatenate([one.customers for one in trials]),
        pd.concat([one.rows for one in trials], ignore_index=True),
        np.concatenate([one.treated for one in trials]),
        np.concatenate([one.outcome for one in trials]),
    )


def unequal_shares(trials: Mapping[datetime, Trial]) -> tuple[str, ...]:
    """A reason where trials treated shares of their customers that surely differ.

    A trial with a larger share counts for more among the treated than among the others, so that
    what made its customers respond anyway would count as an effect. Surely: one in a hundred sets
    of trials with the same share is refused.
    """
    from scipy.stats import chi2_contingency

    table = np.array([[one.treated.sum(), (1 - one.treated).sum()] for one in trials.values()])
    if len(table) < 2 or not table.sum(axis=0).all():
        return ()
    if chi2_contingency(table, correction=False).pvalue >= _SURELY:
        return ()
    told = ", ".join(
        f"{one.treated.mean():.1%} in that of {instant:%Y-%m-%d}" for instant, one in trials.items()
    )
    return (
        f"the trials treated different shares of their customers, {told}: how ready those of one "
        "trial are to respond would count as an effect of the treatment; treat the same share in "
        "each trial, or make a model of each",
    )


def treatment_auc(trial: Trial, features: Mapping[str, str]) -> dict[str, Interval]:
    """How well the features tell who was treated, each by a model that has not seen the customer.

    A logistic regression finds a small shift of a feature, boosted trees find anything else. Arms
    that were chosen at random give 0.5 but for chance; the intervals are widened for there being
    two.
    """
    models = {
        "treatment_auc_logistic": lambda: LogisticRegression(max_iter=2000),
        "treatment_auc_boosted": lambda: HistGradientBoostingClassifier(
            max_iter=30, max_leaf_nodes=8, early_stopping=False, random_state=0
        ),
    }
    metrics = {}
    shapes = shapes_of(features, trial.rows)
    for name, make in models.items():

        def propensity(learnt: Rows, asked: Rows, make: Any = make) -> Array:
            model = make_pipeline(linear_inputs(shapes), make())
            model.fit(trial.rows.iloc[learnt], trial.treated[learnt])
            answer: Array = model.predict_proba(trial.rows.iloc[asked])[:, 1]
            return answer

        judged = forward(trial.customers, propensity)
        confidence = 1 - 0.05 / len(models)
        metrics[name] = told_apart(trial.treated[judged.rows], judged.ranks, confidence)
    return metrics


def differences(trial: Trial, features: Mapping[str, str]) -> dict[str, float]:
    """How far apart the arms are in each input, in its standard deviations, the furthest first."""
    inputs = linear_inputs(shapes_of(features, trial.rows)).fit(trial.rows)
    numbers = pd.DataFrame(
        np.asarray(inputs.transform(trial.rows)), columns=inputs.get_feature_names_out()
    )
    arms = [numbers[trial.treated == arm] for arm in (1, 0)]
    spread = numbers.std(ddof=0)
    apart = ((arms[0].mean() - arms[1].mean()) / spread.where(spread > 0, 1)).astype(float)
    order = apart.abs().sort_values(ascending=False, kind="stable").index
    return {str(name): float(apart[name]) for name in order}


def not_comparable(
    measured: Mapping[str, Interval], apart: Mapping[str, float], limit: float
) -> tuple[str, ...]:
    """Reasons why the arms cannot be compared; none where they look chosen at random."""
    found = [
        interval
        for name, interval in measured.items()
        if name.startswith("treatment_auc") and interval.value > limit and interval.low > 0.5
    ]
    if not found:
        return ()
    strongest = max(found, key=lambda interval: interval.value)
    furthest = ", ".join(
        f"{name} by {abs(gap):.2f} standard deviations"
        for name, gap in list(apart.items())[:_NAMED]
    )
    return (
        f"the arms are not comparable: the features tell who was treated, with ROC AUC "
        f"{strongest}, above max_treatment_auc {limit:g}; treated and untreated differ in "
        f"{furthest}; what made them differ would count as an effect of the treatment, "
        "so choose the arms at random",
    )
