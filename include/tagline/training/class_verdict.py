"""The gate of a model of several classes: accepted, or refused with every reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from tagline.definitions.models import MulticlassModel
from tagline.definitions.models.multiclass import ClassGate, ClassRule
from tagline.definitions.types import DataType
from tagline.training.classes import Codes, evaluate_classes
from tagline.training.contributions import Described
from tagline.training.evaluate import Interval, Metric, ratio
from tagline.training.fit import Choice, Fitted, candidates_of, choose, fit
from tagline.training.labelled import Labelled
from tagline.training.panels import Array, Panel, stack
from tagline.training.slices import Mask, Slice, measure_slices, much_worse, slices_of
from tagline.training.verdict import Verdict, champion_stays, holdout_drift, leaks, moved


@dataclass(frozen=True)
class ClassTried:
    """A candidate that was fitted on all training rows, and measured on the holdout.

    `probabilities` are its answers there, rows × the definition's classes.
    """

    fitted: Fitted
    probabilities: Array
    metrics: Mapping[str, Interval]


@dataclass(frozen=True)
class ClassOutcome:
    """A judged training: without candidates where the labels could not carry one."""

    verdict: Verdict
    tried: tuple[ClassTried, ...] = ()
    choice: Choice | None = None
    slices: tuple[Slice, ...] = ()
    drift: Mapping[str, float] = field(default_factory=dict)  # PSI of the holdout's features

    @property
    def chosen(self) -> ClassTried | None:
        """The candidate that the verdict is on."""
        kind = self.choice.chosen if self.choice else None
        return next((one for one in self.tried if one.fitted.kind == kind), None)


def assess_classes(
    definition: MulticlassModel,
    features: Mapping[str, DataType],
    labelled: Labelled,
    champion: Any | None = None,
    looking_ahead: Sequence[str] = (),
    described: Mapping[str, Described] | None = None,
) -> ClassOutcome:
    """Choose a candidate by the training rows, fit it, and judge it on the holdout.

    `champion` is the present champion's fitted model, `looking_ahead` are reasons that name
    features made of what came after as_of, `described` is how reasons speak of the features.
    Labels that people do not agree on, and classes that are too rare, are refused before anything
    is fitted.
    """
    gate, classes, holdout = definition.gate, definition.classes, labelled.holdout
    training = stack(labelled.trained)
    lacking = (*labelled.reasons, *too_rare(gate, classes, training, holdout))
    if lacking:
        return ClassOutcome(Verdict((*lacking, *looking_ahead)))
    label = codes(classes, holdout.label)
    rule = rule_codes(definition.rule, classes, holdout.rows)
    base = _shares(classes, training)
    before = None if champion is None else probabilities(champion, classes, holdout.rows)
    kinds = candidates_of(definition.candidates)
    choice = choose(kinds, features, labelled.trained, labelled.horizon, labelled.before)
    tried = []
    for kind in kinds:
        fitted = fit(kind, features, training, described)
        if labelled.population is not None:
            fitted.pipeline.learn_bins(labelled.population)
        answer = probabilities(fitted.pipeline, classes, holdout.rows)
        metrics = evaluate_classes(classes, label, answer, base, rule, before)
        tried.append(ClassTried(fitted, answer, metrics))
    chosen = next(one for one in tried if one.fitted.kind == choice.chosen)
    slices = class_slices(definition, holdout, label, chosen.probabilities)
    # rows that were chosen to be asked about differ from those drawn at random, as they are to
    drift = {} if labelled.chosen else holdout_drift(chosen.fitted.pipeline, holdout)
    reasons = (
        *looking_ahead,
        *leaks(gate.max_single_feature_auc, features, training, holdout, definition.known_in_part),
        *judge_classes(gate, chosen.metrics),
        *much_worse(slices, gate.max_slice_gap, "accuracy"),
        *moved(drift, gate.max_feature_psi),
    )
    return ClassOutcome(Verdict(reasons), tuple(tried), choice, slices, drift)


def too_rare(
    gate: ClassGate, classes: Sequence[str], training: Panel, holdout: Panel
) -> tuple[str, ...]:
    """Reasons why the labelled rows cannot carry a model or a judgement of it."""
    counted = Counter(training.label.tolist())
    reasons = [
        f"the training rows hold {counted[name]} of class {name!r}, fewer than min_rows_of_class "
        f"{gate.min_rows_of_class}"
        for name in classes
        if counted[name] < gate.min_rows_of_class
    ]
    if len(holdout.label) < gate.min_holdout_rows:
        reasons.append(
            f"the holdout has {len(holdout.label)} rows, fewer than min_holdout_rows "
            f"{gate.min_holdout_rows}"
        )
    if len(set(holdout.label.tolist())) < 2:
        reasons.append(
            f"the {len(holdout.label)} rows of the holdout hold fewer than two classes; "
            "nothing can be judged on them"
        )
    return tuple(reasons)


def judge_classes(gate: ClassGate, metrics: Mapping[str, Interval]) -> tuple[str, ...]:
    """Reasons why the measured model may not serve."""
    reasons = []
    score, calibration, signal = (
        metrics[name] for name in ("macro_f1", "calibration_error", "gain_over_base_rates")
    )
    if not signal.low > 0:
        reasons.append(
            f"there is no signal: the gain in log loss over the shares of the classes, {signal}, "
            "is not surely above 0; from these features it cannot be predicted"
        )
    if not score.value >= gate.min_macro_f1:
        reasons.append(f"macro F1 {score} is below min_macro_f1 {gate.min_macro_f1:g}")
    for other, name in (("rule", "the plain rule"), ("majority", "the most frequent class")):
        gain, limit = metrics[f"gain_over_{other}"], getattr(gate, f"min_gain_over_{other}")
        if not gain.low > limit:
            reasons.append(
                f"the gain in macro F1 over {name}, {gain}, is not surely above "
                f"min_gain_over_{other} {limit:g}"
            )
    if not calibration.value <= gate.max_calibration_error:
        reasons.append(
            f"calibration error {calibration} is above max_calibration_error "
            f"{gate.max_calibration_error:g}"
        )
    return (*reasons, *against_champion(gate, metrics))


def against_champion(gate: ClassGate, metrics: Mapping[str, Interval]) -> tuple[str, ...]:
    """Reasons why the present champion, measured on the same holdout, stays.

    As of a yes-or-no question: one that the gate would accept today is replaced only by a model
    that is surely better in log loss and not surely worse in macro F1.
    """
    if "gain_over_champion" not in metrics:
        return ()
    return champion_stays(
        metrics,
        "macro F1",
        metrics["champion_gain_over_base_rates"].low > 0
        and metrics["champion_macro_f1"].value >= gate.min_macro_f1
        and metrics["champion_gain_over_rule"].low > gate.min_gain_over_rule
        and metrics["champion_gain_over_majority"].low > gate.min_gain_over_majority
        and metrics["champion_calibration_error"].value <= gate.max_calibration_error,
    )


def class_slices(
    definition: MulticlassModel, holdout: Panel, label: Codes, answer: Array
) -> tuple[Slice, ...]:
    """How the accuracy differs for each value of the definition's slices that has enough rows."""
    right = (answer.argmax(axis=1) == label).astype(float)

    def enough_rows(mask: Mask) -> bool:
        return int(mask.sum()) >= definition.gate.min_slice_rows

    def accuracy(mask: Mask) -> Metric:
        return ratio(right[mask], np.ones(int(mask.sum())))

    found = slices_of(holdout.rows, definition.slices, enough_rows)
    return measure_slices(accuracy, found, len(label))


def codes(classes: Sequence[str], names: Any) -> Codes:
    """The places of names of classes; -1 for any other."""
    place = {name: code for code, name in enumerate(classes)}
    return np.array([place.get(name, -1) for name in names], dtype=np.int64)


def rule_codes(rule: ClassRule, classes: Sequence[str], rows: pd.DataFrame) -> Codes:
    """The class that the plain rule's tag means in each row; -1 where it means none."""
    values = rows[rule.tag]
    if values.dtype == float:
        values = values.map(lambda value: f"{value:g}")
    return codes(classes, [rule.means.get(value) for value in values])


def probabilities(model: Any, classes: Sequence[str], rows: pd.DataFrame) -> Array:
    """Rows × classes; 0 for a class that the model has never seen."""
    found: Array = np.zeros((len(rows), len(classes)))
    places = codes(classes, model.classes_.tolist())
    known = places >= 0
    found[:, places[known]] = model.predict_proba(rows)[:, known]
    return found


def _shares(classes: Sequence[str], training: Panel) -> Array:
    """The share of each class in the training rows."""
    counted = Counter(training.label.tolist())
    return np.array([counted[name] for name in classes], dtype=float) / len(training.label)
