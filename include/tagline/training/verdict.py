"""The gate of a model: accepted, or refused with every reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.tree import DecisionTreeClassifier

from tagline.definitions.models.binary import BinaryModel, ModelGate, PlainRule
from tagline.definitions.types import DataType
from tagline.errors import ModelRefused
from tagline.training.evaluate import Interval, evaluate, roc_auc
from tagline.training.fit import Fitted, fit
from tagline.training.panels import NUMBERS, Array, Panel


@dataclass(frozen=True)
class Verdict:
    """Whether a model may serve; a refusal has at least one reason."""

    reasons: tuple[str, ...]

    @property
    def accepted(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.reasons

    @property
    def word(self) -> str:
        """accepted or refused, as the registry writes it."""
        return "accepted" if self.accepted else "refused"


@dataclass(frozen=True)
class Outcome:
    """A judged training: without a model where the data could not carry one."""

    fitted: Fitted | None
    verdict: Verdict
    metrics: Mapping[str, Interval]
    scores: tuple[Array, Array] | None  # of the model and of the plain rule, on the holdout


def assess(
    definition: BinaryModel,
    features: Mapping[str, DataType],
    training: Panel,
    holdout: Panel,
    champion: Array | None = None,
) -> Outcome:
    """Fit every candidate, keep the one that fits the holdout best, and judge it.

    Where the data cannot carry a model nothing is fitted, and the verdict says why.
    """
    lacking = enough(definition.gate, training, holdout)
    if lacking:
        return Outcome(None, Verdict(lacking), {}, None)
    rule = rule_score(definition.rule, holdout.rows)
    judged = []
    for kind in definition.candidates:
        fitted = fit(kind, features, training)
        scores = fitted.probability(holdout.rows)
        judged.append((fitted, scores, evaluate(holdout.label, scores, rule, champion)))
    fitted, scores, metrics = min(judged, key=lambda one: one[2]["log_loss"].value)
    reasons = (
        *leaks(definition.gate, features, training, holdout),
        *judge(definition.gate, metrics),
    )
    return Outcome(fitted, Verdict(reasons), metrics, (scores, rule))


def enough(gate: ModelGate, training: Panel, holdout: Panel) -> tuple[str, ...]:
    """Reasons why the data cannot carry a model or a judgement of it."""
    reasons = []
    for name, panel in (("training", training), ("holdout", holdout)):
        if panel.positives < gate.min_positives:
            reasons.append(
                f"the {name} rows hold {panel.positives} positives, "
                f"fewer than min_positives {gate.min_positives}"
            )
        if len(panel.label) and panel.positives == len(panel.label):
            reasons.append(f"every one of the {name} rows is positive; there is nothing to tell")
    return tuple(reasons)


def leaks(
    gate: ModelGate, features: Mapping[str, DataType], training: Panel, holdout: Panel
) -> tuple[str, ...]:
    """Reasons that name each feature which by itself gives the label away.

    A small tree of the one feature is fitted on the training rows and tried on the holdout, so
    a label hidden in a value, a range, a category or a missing value is found.
    """
    reasons = []
    for slug, type_ in features.items():
        auc = single_feature_auc(slug, type_, training, holdout)
        if auc > gate.max_single_feature_auc:
            reasons.append(
                f"feature {slug!r} alone reaches ROC AUC {auc:.3f}, above max_single_feature_auc "
                f"{gate.max_single_feature_auc:g}: it gives the label away"
            )
    return tuple(reasons)


def single_feature_auc(slug: str, type_: DataType, training: Panel, holdout: Panel) -> float:
    """How well one feature orders the holdout, in whatever form it holds the label."""
    learned = training.rows[slug]
    asked = holdout.rows[slug]
    if type_ not in NUMBERS:
        rate = pd.Series(training.label).groupby(learned.fillna("").to_numpy()).mean()
        learned, asked = (part.fillna("").map(rate).astype(float) for part in (learned, asked))
    tree = DecisionTreeClassifier(max_leaf_nodes=8, min_samples_leaf=5, random_state=0)
    tree.fit(learned.to_numpy(dtype=float).reshape(-1, 1), training.label)
    score = tree.predict_proba(asked.to_numpy(dtype=float).reshape(-1, 1))[:, 1]
    return float(roc_auc(holdout.label, score)(np.ones((1, len(score))))[0])


def judge(gate: ModelGate, metrics: Mapping[str, Interval]) -> tuple[str, ...]:
    """Reasons why the measured model may not serve."""
    reasons = []
    auc, gain, calibration = (
        metrics[name] for name in ("roc_auc", "gain_over_rule", "calibration_error")
    )
    if auc.value < gate.min_roc_auc:
        reasons.append(f"ROC AUC {auc} is below min_roc_auc {gate.min_roc_auc:g}")
    if gain.low <= gate.min_gain_over_rule:
        reasons.append(
            f"the gain over the plain rule, {gain}, is not surely above min_gain_over_rule "
            f"{gate.min_gain_over_rule:g}"
        )
    if calibration.value > gate.max_calibration_error:
        reasons.append(
            f"calibration error {calibration} is above max_calibration_error "
            f"{gate.max_calibration_error:g}"
        )
    champion = metrics.get("gain_over_champion")
    if champion is not None and champion.high < 0:
        reasons.append(f"it is surely worse than the present champion: {champion} in ROC AUC")
    return tuple(reasons)


def rule_score(rule: PlainRule, rows: pd.DataFrame) -> Array:
    """The plain rule's tag as a score where high means positive; a missing one scores lowest."""
    values = rows[rule.tag].replace({"true": 1, "false": 0})
    try:
        score: Array = values.to_numpy(dtype=float)
    except ValueError:
        raise ModelRefused(
            f"the plain rule's tag {rule.tag!r} is a text, which has no order; name a number"
        ) from None
    if rule.high_means == "negative":
        score = -score
    return np.where(np.isnan(score), -np.inf, score)
