"""Whom a treatment moves: learnt from trials, and judged by whether choosing beats chance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from tagline.compile.instant import Moment
from tagline.definitions.models import CampaignUpliftModel
from tagline.errors import ModelRefused
from tagline.training.contributions import Described, described, reasons
from tagline.training.estimators.uplift import UpliftModel
from tagline.training.evaluate import RESAMPLES, SEED
from tagline.training.forward import DIVISIONS, PARTS
from tagline.training.inputs import load_rows, population_rows, tags_read
from tagline.training.kinds import Candidate, Judged, Scoring, Training
from tagline.training.looking_ahead import looking_ahead
from tagline.training.panels import Panel
from tagline.training.trials import Trial, joined
from tagline.training.uplift import Judgement, assess_uplift, fit_uplift
from tagline.training.uplift_plots import uplift_figures
from tagline.training.verdict import Verdict

LEAST = 0.005  # a change of the uplift by half a response in a hundred; less is no reason


def train(asked: Training) -> Judged:
    """Learn from the trials whose horizon has ended by as_of.

    All their customers serve to judge, by models that had not seen them, and all of them to fit
    what is to serve.
    """
    definition, deployment = asked.definition, asked.deployment
    assert isinstance(definition, CampaignUpliftModel)
    types = tags_read(deployment.catalog, definition)
    features = {slug: types[slug] for slug in definition.features}
    ends = _ended(asked, definition)
    if not ends:
        first = min(definition.trials)
        raise ModelRefused(
            f"no trial of model {asked.model!r} has ended by {asked.as_of:%Y-%m-%d}: the first "
            f"began on {first} and is followed for {definition.horizon.days} days; train it later"
        )
    trials = {instant: _trial(asked, instant) for instant in ends}
    trial = joined(list(trials.values()))
    ahead = [
        reason
        for instant, one in trials.items()
        for reason in looking_ahead(
            deployment, features, Panel(instant, one.customers, one.rows, one.outcome)
        )
    ]
    found = assess_uplift(definition.gate, definition.candidates, features, trials, ahead)
    spoken_of = {slug: described(deployment.catalog.tags[slug].definition) for slug in features}
    candidates = [_candidate(one, trial, features, spoken_of) for one in found.candidates]
    if not candidates and found.metrics:
        candidates = [Candidate(name="none", model=None, metrics=found.metrics)]
    arms = {"treated": trial.outcome[trial.treated == 1]}
    arms["untreated"] = trial.outcome[trial.treated == 0]
    return Judged(
        candidates=tuple(candidates),
        chosen=candidates[0] if candidates else None,
        verdict=Verdict(found.reasons),
        counts={
            "trials": {"as_of": [at.isoformat() for at in ends], "rows": len(trial.treated)},
            **{name: {"rows": len(arm), "positives": int(arm.sum())} for name, arm in arms.items()},
        },
        digests={instant.isoformat(): one.digest for instant, one in trials.items()},
        params={
            "trials": len(trials),
            "label": definition.label,
            "horizon_days": definition.horizon.days,
            "forward_parts": PARTS,
            "forward_divisions": DIVISIONS,
            "bootstrap_resamples": RESAMPLES,
            "seed": SEED,
        },
        example=trial.rows[list(features)].head(200),
        label_end_at=max(ends.values()),
    )


def rows(asked: Scoring) -> Iterator[pd.DataFrame]:
    """The features of the population."""
    return population_rows(asked)


def answers(definition: CampaignUpliftModel, model: Any, rows: pd.DataFrame) -> pd.DataFrame:
    """The uplift, whether it reaches the threshold, and what it comes from."""
    if not isinstance(model, UpliftModel) or model.described is None:
        raise ModelRefused("the champion is no model of uplift; train it again")
    key = rows.columns[0]
    features = rows.drop(columns=key)
    uplift = model.predict_uplift(features)
    parts = model.contributions(features)
    spoken_of: Any = model.described
    said = reasons(parts, features, model.usual_, spoken_of, LEAST)
    return pd.DataFrame(
        {
            key: rows[key].to_numpy(),
            "uplift": uplift,
            "is_persuadable": np.asarray(uplift >= definition.threshold),
            "reasons": said["en"],
            "reasons_zh": said["zh"],
        }
    )


def _ended(asked: Training, definition: CampaignUpliftModel) -> dict[datetime, datetime]:
    """The instants of the trials that have ended by as_of, with their ends, in order."""
    catalog = asked.deployment.catalog
    found = {}
    for day in sorted(definition.trials):
        instant = catalog.midnight(day)
        end = Moment(catalog, instant).before(-definition.horizon)
        if end <= asked.as_of:
            found[instant] = end
    return found


def _trial(asked: Training, instant: datetime) -> Trial:
    customers, frame, told = load_rows(asked.deployment, asked.definition, (), instant)
    known = (told["treated"].notna() & told["label"].notna()).to_numpy()
    return Trial(
        customers[known],
        frame[known].reset_index(drop=True),
        told["treated"][known].to_numpy(dtype=float),
        told["label"][known].to_numpy(dtype=float),
    )


def _candidate(
    one: Judgement,
    trial: Trial,
    features: Mapping[str, Any],
    spoken_of: Mapping[str, Described],
) -> Candidate:
    """The approach as fitted on all trials, with what was measured on unseen customers."""
    model = fit_uplift(one.approach, features, trial, spoken_of)
    every = np.linspace(0, len(one.curve.share) - 1, 101).astype(int)
    points = {
        "share": one.curve.share[every].round(6).tolist(),
        "gain": one.curve.gain[every].round(6).tolist(),
    }
    return Candidate(
        name=one.approach,
        model=model,
        metrics=one.metrics,
        params={"share_treated": round(model.share_treated_, 6)},
        documents={
            "qini.json": points,
            "deciles.json": {"deciles": one.deciles.round(6).to_dict("records")},
            "features.json": {"shapes": dict(model.shapes_)},
        },
        figures=uplift_figures(one.curve, one.deciles),
    )
