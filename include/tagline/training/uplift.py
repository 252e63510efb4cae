"""Judges models of uplift: is it worth choosing whom to treat?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pandas as pd

from tagline.definitions.models.campaign_uplift import UpliftGate
from tagline.definitions.types import DataType
from tagline.training.contributions import Described
from tagline.training.estimators.uplift import UpliftModel
from tagline.training.evaluate import Interval
from tagline.training.forward import DIVISIONS, PARTS, Judged, Rows, forward, mean_of, parts
from tagline.training.panels import NUMBERS, Array, Panel
from tagline.training.targeting import (
    Curve,
    curve,
    in_steps,
    mean_curve,
    mean_uplift,
    qini_interval,
    uplift_by_decile,
)
from tagline.training.trials import (
    Trial,
    differences,
    joined,
    not_comparable,
    treatment_auc,
    unequal_shares,
)
from tagline.training.verdict import leaks


@dataclass(frozen=True)
class Judgement:
    """What a trial shows of one candidate, on customers that its models had not seen."""

    approach: str
    metrics: Mapping[str, Interval]
    reasons: tuple[str, ...]
    curve: Curve
    deciles: pd.DataFrame


@dataclass(frozen=True)
class Uplift:
    """A judged trial: the best candidate first; none where the trial could not carry a model.

    `metrics` are the best candidate's, or what was measured before any was fitted.
    """

    reasons: tuple[str, ...]
    metrics: Mapping[str, Interval] = field(default_factory=dict)
    candidates: tuple[Judgement, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether the best candidate may serve."""
        return bool(self.candidates) and not self.reasons


def assess_uplift(
    gate: UpliftGate,
    approaches: Sequence[str],
    features: Mapping[str, DataType],
    trials: Mapping[datetime, Trial],
    looking_ahead: Sequence[str] = (),
) -> Uplift:
    """Judge each approach by models that had not seen the customers (see `forward`).

    `trials` are by their instant, `looking_ahead` are reasons that name features made of what came
    after it. The intervals are widened for the number of approaches (Bonferroni), since the best
    of several looks better than it is. Where the arms are too small or not comparable, nothing is
    judged.
    """
    trial = joined(list(trials.values()))
    lacking = (*enough(gate, trial), *unequal_shares(trials))
    if lacking:
        return Uplift((*looking_ahead, *lacking))
    known = (*looking_ahead, *_leaks(gate, features, next(iter(trials)), trial))
    propensity = treatment_auc(trial, kinds_of(features))
    unlike = not_comparable(
        propensity, differences(trial, kinds_of(features)), gate.max_treatment_auc
    )
    if unlike:
        return Uplift((*known, *unlike), propensity)
    judged = {approach: _judged(approach, trial, features) for approach in approaches}
    confidence = 1 - 0.05 / len(approaches)
    effect = mean_uplift(trial.treated, trial.outcome, confidence)
    candidates = []
    for approach, divisions in judged.items():
        areas = [qini_interval(*_scored(trial, one), confidence) for one in divisions]
        metrics = {"qini_area": mean_of(areas), "mean_uplift": effect}
        candidates.append(
            Judgement(
                approach,
                {**metrics, **propensity},
                (*known, *judge_uplift(gate, metrics, len(approaches))),
                mean_curve([curve(*_scored(trial, one)) for one in divisions]),
                _mean_deciles(trial, divisions),
            )
        )
    candidates.sort(key=lambda one: -one.metrics["qini_area"].value)
    best = candidates[0]
    return Uplift(best.reasons, best.metrics, tuple(candidates))


def fit_uplift(
    approach: str,
    features: Mapping[str, DataType],
    trial: Trial,
    spoken_of: Mapping[str, Described] | None = None,
) -> UpliftModel:
    """The model of one approach, learnt from the whole trial."""
    model = UpliftModel(kinds_of(features), approach, spoken_of)
    return model.fit(trial.rows, trial.treated, trial.outcome)


def kinds_of(features: Mapping[str, DataType]) -> dict[str, str]:
    """Whether an estimator reads each feature as a number or as a category."""
    return {slug: "number" if kind in NUMBERS else "category" for slug, kind in features.items()}


def enough(gate: UpliftGate, trial: Trial) -> tuple[str, ...]:
    """Reasons why the arms are too small to be compared."""
    reasons = []
    for name, arm in (("treated", 1), ("untreated", 0)):
        outcome = trial.outcome[trial.treated == arm]
        responses = int(outcome.sum())
        for count, said in ((responses, "responses"), (len(outcome) - responses, "others")):
            if count < gate.min_responses:
                reasons.append(
                    f"the {name} arm holds {count} {said} among {len(outcome)} customers, "
                    f"fewer than min_responses {gate.min_responses}"
                )
    if not reasons and not all(_can_be_learnt(trial, number) for number in range(DIVISIONS)):
        reasons.append(
            f"of {len(trial.treated)} customers too few responded to be divided into the "
            f"{PARTS} parts that are judged apart; wait for more, or make the trial larger"
        )
    return tuple(reasons)


def _can_be_learnt(trial: Trial, division: int) -> bool:
    """Whether the part that all models of a division learn from has each outcome of each arm."""
    part = parts(trial.customers, division)
    first = trial.part(np.flatnonzero(part == 0))
    cells = len(np.unique(first.treated * 2 + first.outcome))
    return cells == 4 and len(np.unique(part)) == PARTS


def _leaks(
    gate: UpliftGate, features: Mapping[str, DataType], instant: datetime, trial: Trial
) -> tuple[str, ...]:
    """Reasons that name each feature which by itself gives the response away."""
    part = parts(trial.customers)
    learnt, asked = (
        Panel(instant, one.customers, one.rows.reset_index(drop=True), one.outcome)
        for one in (trial.part(np.flatnonzero(side)) for side in (part < 3, part >= 3))
    )
    return leaks(gate.max_single_feature_auc, features, learnt, asked)


def judge_uplift(
    gate: UpliftGate, metrics: Mapping[str, Interval], approaches: int = 1
) -> tuple[str, ...]:
    """Reasons why choosing by the model is not surely better than choosing at random."""
    area, effect = metrics["qini_area"], metrics["mean_uplift"]
    if area.low > gate.min_qini_area:
        return ()
    widened = f", the interval widened for {approaches} candidates" if approaches > 1 else ""
    if effect.low > 0:
        whole = "the treatment itself works"
    elif effect.high < 0:
        whole = "the treatment itself does harm"
    else:
        whole = "nor does the treatment itself surely change anything"
    return (
        f"no targeting gain: choosing whom to treat by this model is not surely better than "
        f"choosing at random: Qini area {_digits(area)}{widened}, its lower end not above "
        f"min_qini_area {gate.min_qini_area:g}; {whole}: mean uplift {_digits(effect)}",
    )


def _judged(approach: str, trial: Trial, features: Mapping[str, DataType]) -> tuple[Judged, ...]:
    def score(learnt: Rows, asked: Rows) -> Array:
        model = fit_uplift(approach, features, trial.part(learnt))
        return model.predict_uplift(trial.rows.iloc[asked])

    return tuple(forward(trial.customers, score, division) for division in range(DIVISIONS))


def _scored(trial: Trial, judged: Judged) -> tuple[Array, Array, Array]:
    """Treatment, outcome and the step of the curve of each row that was judged."""
    return trial.treated[judged.rows], trial.outcome[judged.rows], in_steps(judged.ranks)


def _mean_deciles(trial: Trial, divisions: Sequence[Judged]) -> pd.DataFrame:
    found = [uplift_by_decile(*_scored(trial, one), one.scores) for one in divisions]
    return pd.concat(found).groupby("decile", as_index=False).mean()


def _digits(interval: Interval) -> str:
    """With four decimals, since areas are small."""
    return f"{interval.value:.4f} ({interval.low:.4f} to {interval.high:.4f})"
