"""The gate of a model: accepted, or refused with every reason."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from sklearn.tree import DecisionTreeClassifier

from tagline.definitions.models.binary import BinaryModel, ModelGate, PlainRule
from tagline.definitions.types import DataType
from tagline.errors import ModelRefused
from tagline.training.contributions import Described
from tagline.training.drift import counted_in, drift_of
from tagline.training.estimators.tag_classifier import TagClassifier
from tagline.training.evaluate import Interval, Metric, evaluate, roc_auc
from tagline.training.fit import Choice, Fitted, candidates_of, choose, fit
from tagline.training.panels import NUMBERS, Array, Before, Panel, hours_before, stack
from tagline.training.slices import Mask, Slice, measure_slices, much_worse, slices_of

FEWEST = 10  # of either label, below which a ROC AUC says nothing


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
class Tried:
    """A candidate that was fitted on all training rows, and measured on the holdout."""

    fitted: Fitted
    scores: Array
    metrics: Mapping[str, Interval]


@dataclass(frozen=True)
class Outcome:
    """A judged training: without candidates where the data could not carry one."""

    verdict: Verdict
    tried: tuple[Tried, ...] = ()
    choice: Choice | None = None
    rule: Array | None = None  # the plain rule's scores of the holdout
    slices: tuple[Slice, ...] = ()
    drift: Mapping[str, float] = field(default_factory=dict)  # PSI of the holdout's features

    @property
    def chosen(self) -> Tried | None:
        """The candidate that the verdict is on."""
        kind = self.choice.chosen if self.choice else None
        return next((one for one in self.tried if one.fitted.kind == kind), None)


def assess(
    definition: BinaryModel,
    features: Mapping[str, DataType],
    trained: Sequence[Panel],
    holdout: Panel,
    champion: Array | None = None,
    looking_ahead: Sequence[str] = (),
    described: Mapping[str, Described] | None = None,
    before: Before = hours_before,
) -> Outcome:
    """Choose a candidate by the training panels, newest first; fit and judge it on the holdout.

    `champion` are the present champion's probabilities of the holdout; `looking_ahead` are
    reasons that name features made of what came after as_of. Where the data cannot carry a model
    nothing is fitted, and the verdict says why.
    """
    training = stack(trained)
    gate = definition.gate
    lacking = enough(gate, training, holdout)
    if lacking:
        return Outcome(Verdict((*lacking, *looking_ahead)))
    rule = rule_score(definition.rule, holdout.rows)
    given = rule_probability(definition.rule, holdout.rows, float(training.label.mean()))
    kinds = candidates_of(definition.candidates)
    choice = choose(kinds, features, trained, definition.horizon, before)
    tried = []
    for kind in kinds:
        fitted = fit(kind, features, training, described)
        scores = fitted.probability(holdout.rows)
        measured = evaluate(
            holdout.label,
            scores,
            rule,
            champion,
            rule_probability=given,
            subjects=holdout.customers,
        )
        tried.append(Tried(fitted, scores, measured))
    chosen = next(one for one in tried if one.fitted.kind == choice.chosen)
    slices = binary_slices(definition, holdout, chosen.scores)
    drift = holdout_drift(chosen.fitted.pipeline, holdout)
    reasons = (
        *looking_ahead,
        *leaks(gate.max_single_feature_auc, features, training, holdout),
        *judge(gate, chosen.metrics),
        *much_worse(slices, gate.max_slice_gap),
        *moved(drift, gate.max_feature_psi),
    )
    return Outcome(Verdict(reasons), tuple(tried), choice, rule, slices, drift)


def binary_slices(definition: BinaryModel, holdout: Panel, scores: Array) -> tuple[Slice, ...]:
    """How the ROC AUC differs for each value of the definition's slices that has enough rows."""
    label, least = holdout.label, definition.gate.min_slice_rows

    def enough_rows(mask: Mask) -> bool:
        positives = int(label[mask].sum())
        return int(mask.sum()) >= least and FEWEST <= positives <= int(mask.sum()) - FEWEST

    def area(mask: Mask) -> Metric:
        return roc_auc(label[mask], scores[mask])

    slices = slices_of(holdout.rows, definition.slices, enough_rows)
    return measure_slices(area, slices, len(label), holdout.customers)


def holdout_drift(model: TagClassifier, holdout: Panel) -> dict[str, float]:
    """PSI of each feature of the holdout against the rows that the model learned from."""
    bins = model.training_bins_
    counts = {slug: counted_in(its, holdout.rows[slug]) for slug, its in bins.items()}
    return drift_of(bins, counts)


def moved(drift: Mapping[str, float], limit: float) -> tuple[str, ...]:
    """Reasons that name each feature which lies elsewhere on the holdout than in training."""
    return tuple(
        f"feature {slug!r} is not stable: its PSI between training rows and holdout is {psi:.3f}, "
        f"above max_feature_psi {limit:g}"
        for slug, psi in drift.items()
        if psi > limit
    )


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
    limit: float,
    features: Mapping[str, DataType],
    training: Panel,
    holdout: Panel,
    known_in_part: Collection[str] = (),
) -> tuple[str, ...]:
    """Reasons that name each feature which by itself gives the label, or one class of it, away.

    A small tree of the one feature is fitted on the training rows and tried on the holdout, so
    a label hidden in a value, a range, a category or a missing value is found. A feature that is
    `known_in_part` may tell a class, but not all of them.
    """
    reasons = []
    for slug, type_ in features.items():
        areas = single_feature_auc(slug, type_, training, holdout)
        mean = float(np.mean([*areas.values()])) if areas else float("nan")
        clearest = max(areas, key=lambda name: areas[name], default="")
        if mean > limit:
            reasons.append(
                f"feature {slug!r} alone reaches ROC AUC {mean:.3f}, above max_single_feature_auc "
                f"{limit:g}: it gives the label away"
            )
        elif slug not in known_in_part and areas and areas[clearest] > limit:
            reasons.append(
                f"feature {slug!r} alone tells class {clearest!r} with ROC AUC "
                f"{areas[clearest]:.3f}, above max_single_feature_auc {limit:g}: it gives the "
                "label away; where it may, name it under known_in_part"
            )
    return tuple(reasons)


def single_feature_auc(
    slug: str, type_: DataType, training: Panel, holdout: Panel
) -> dict[str, float]:
    """How well one feature tells each class from the others, in whatever form it holds the label.

    Of two classes that of the second, 1. Of more, only those of which the holdout has enough rows
    that chance does not tell them apart.
    """
    classes = np.unique(training.label)
    if len(classes) == 2:
        told = classes[1:].tolist()
    else:
        told = [one for one in classes if (holdout.label == one).sum() >= FEWEST]
    areas = {str(one): _told_apart(slug, type_, training, holdout, one) for one in told}
    return {name: area for name, area in areas.items() if not np.isnan(area)}


def _told_apart(slug: str, type_: DataType, training: Panel, holdout: Panel, one: float) -> float:
    learned, asked = training.rows[slug], holdout.rows[slug]
    is_one = training.label == one
    if type_ not in NUMBERS:
        rate = pd.Series(is_one.astype(float)).groupby(learned.fillna("").to_numpy()).mean()
        learned, asked = (part.fillna("").map(rate).astype(float) for part in (learned, asked))
    tree = DecisionTreeClassifier(max_leaf_nodes=8, min_samples_leaf=5, random_state=0)
    tree.fit(learned.to_numpy(dtype=float).reshape(-1, 1), is_one)
    score = tree.predict_proba(asked.to_numpy(dtype=float).reshape(-1, 1))[:, -1]
    label = (holdout.label == one).astype(float)
    return float(roc_auc(label, score)(np.ones((1, len(score))))[0])


def judge(gate: ModelGate, metrics: Mapping[str, Interval]) -> tuple[str, ...]:
    """Reasons why the measured model may not serve."""
    reasons = []
    auc, gain, calibration = (
        metrics[name] for name in ("roc_auc", "gain_over_rule", "calibration_error")
    )
    if not auc.low > 0.5:
        reasons.append(
            f"there is no signal: ROC AUC {auc} is not surely above 0.5, which is what chance "
            "gives; from these features it cannot be predicted"
        )
    if not auc.value >= gate.min_roc_auc:
        reasons.append(f"ROC AUC {auc} is below min_roc_auc {gate.min_roc_auc:g}")
    if not gain.low > gate.min_gain_over_rule:
        reasons.append(
            f"the gain over the plain rule, {gain}, is not surely above min_gain_over_rule "
            f"{gate.min_gain_over_rule:g}"
        )
    brier = metrics.get("brier_gain_over_rule")
    if brier is not None and not brier.low > 0:
        reasons.append(
            f"the gain over the plain rule in Brier score, {brier}, is not surely above 0"
        )
    if not calibration.value <= gate.max_calibration_error:
        reasons.append(
            f"calibration error {calibration} is above max_calibration_error "
            f"{gate.max_calibration_error:g}"
        )
    return (*reasons, *against_champion(gate, metrics))


def against_champion(gate: ModelGate, metrics: Mapping[str, Interval]) -> tuple[str, ...]:
    """Reasons why the present champion, measured on the same holdout, stays.

    A champion that the gate would accept today is replaced only by a model that is surely better
    in log loss and not surely worse in ROC AUC. One that the gate would refuse is replaced by any
    acceptable model that is not surely worse.
    """
    if "gain_over_champion" not in metrics:
        return ()
    return champion_stays(
        metrics,
        "ROC AUC",
        metrics["champion_roc_auc"].low > 0.5
        and metrics["champion_roc_auc"].value >= gate.min_roc_auc
        and metrics["champion_gain_over_rule"].low > gate.min_gain_over_rule
        and metrics["champion_calibration_error"].value <= gate.max_calibration_error
        and ("rule_brier" not in metrics or metrics["champion_brier_gain_over_rule"].low > 0),
    )


def champion_stays(
    metrics: Mapping[str, Interval], measure: str, champion_passes: bool
) -> tuple[str, ...]:
    """Reasons against a challenger, by the gains over the champion in `measure` and log loss.

    `champion_passes` says whether the champion keeps the gate's limits on the same holdout.
    """
    gain, loss = metrics["gain_over_champion"], metrics["log_loss_gain_over_champion"]
    for each, name in ((gain, measure), (loss, "log loss")):
        if each.high < 0:
            return (f"it is surely worse than the present champion: {each} in {name}",)
    if champion_passes and not loss.low > 0:
        return (
            f"the present champion stays: the gain over it in log loss, {loss}, "
            "is not surely above 0, and the champion keeps the gate's limits on this holdout",
        )
    return ()


def rule_probability(rule: PlainRule, rows: pd.DataFrame, otherwise: float) -> Array | None:
    """The plain rule's tag as a probability, `otherwise` where it is missing; None if it is none.

    ModelRefused where a value lies outside 0 to 1.
    """
    if not rule.is_probability:
        return None
    values = rule_score(rule, rows)
    values = np.where(np.isneginf(values), otherwise, values)
    if not ((values >= 0) & (values <= 1)).all():
        raise ModelRefused(
            f"the plain rule's tag {rule.tag!r} is no probability: it has values from "
            f"{values.min():g} to {values.max():g}; name one between 0 and 1, or leave out "
            "is_probability"
        )
    return values


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
