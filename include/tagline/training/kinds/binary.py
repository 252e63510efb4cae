"""Yes-or-no questions: a classifier over tags, compared with a plain rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from tagline.definitions.models import BinaryModel
from tagline.errors import ModelRefused
from tagline.training.contributions import described, reasons
from tagline.training.estimators.tag_classifier import LOGISTIC, TagClassifier
from tagline.training.evaluate import SEED, resamples_of
from tagline.training.fit import probability
from tagline.training.inputs import load_panel, population_rows, tags_read
from tagline.training.kinds import Candidate, Judged, Scoring, Training
from tagline.training.looking_ahead import looking_ahead
from tagline.training.panels import (
    MOST_JUDGED,
    MOST_TRAINED,
    Panel,
    Schedule,
    schedule,
    stack,
    thinned,
)
from tagline.training.plots import figures
from tagline.training.slices import as_document, looked_at
from tagline.training.verdict import Outcome, Tried, assess


def train(asked: Training) -> Judged:
    """Fit on the older panels and judge on the newest, the last of which ends at as_of."""
    definition, deployment = asked.definition, asked.deployment
    assert isinstance(definition, BinaryModel)
    catalog = deployment.catalog
    types = tags_read(catalog, definition)
    features = {slug: types[slug] for slug in definition.features}
    plan = schedule(
        definition.panels,
        definition.horizon,
        asked.as_of,
        catalog.before,
        definition.panels.holdouts,
    )
    compared = tuple(definition.compared.values())
    most = MOST_JUDGED // len(plan.holdouts)
    held_out = [
        thinned(load_panel(deployment, definition, compared, each), most) for each in plan.holdouts
    ]
    holdout = stack(held_out)
    share = MOST_TRAINED // len(plan.trained)
    trained = [
        thinned(load_panel(deployment, definition, compared, each), share) for each in plan.trained
    ]
    champion = None if asked.champion is None else probability(asked.champion, holdout.rows)
    outcome = assess(
        definition,
        features,
        trained,
        holdout,
        champion,
        looking_ahead(deployment, features, held_out[0]),
        {slug: described(catalog.tags[slug].definition) for slug in features},
        catalog.before,
    )
    candidates = {one.fitted.kind: _candidate(one, outcome, holdout) for one in outcome.tried}
    chosen = outcome.chosen
    training = stack(trained)
    return Judged(
        candidates=tuple(candidates.values()),
        chosen=None if chosen is None else candidates[chosen.fitted.kind],
        verdict=outcome.verdict,
        counts={
            "holdout": {
                "as_of": plan.holdout.isoformat(),
                **_oldest(plan),
                "rows": len(holdout.label),
                "positives": holdout.positives,
            },
            "training": {
                "as_of": [panel.as_of.isoformat() for panel in trained],
                "rows": len(training.label),
                "positives": training.positives,
            },
            **({"gate": looked_at(outcome.slices, outcome.drift)} if chosen is not None else {}),
        },
        digests={panel.as_of.isoformat(): panel.digest for panel in (*trained, *held_out)},
        params={
            "holdout": plan.holdout.isoformat(),
            "panels": len(trained),
            "label": definition.label,
            "horizon_days": definition.horizon.days,
            "bootstrap_resamples": resamples_of(len(holdout.label)),
            "seed": SEED,
            **({"chosen_on": outcome.choice.compared_on} if outcome.choice else {}),
        },
        example=training.rows[list(features)].head(200),
        label_end_at=asked.as_of,  # the holdout's horizon ends here
    )


def _oldest(plan: Schedule) -> dict[str, str]:
    """The first of several holdouts."""
    return {"first_as_of": plan.holdouts[-1].isoformat()} if len(plan.holdouts) > 1 else {}


def _candidate(one: Tried, outcome: Outcome, holdout: Panel) -> Candidate:
    weights = one.fitted.weights()
    documents: dict[str, Mapping[str, Any]] = {
        "features.json": {
            "shapes": dict(one.fitted.shapes),
            "weights": weights,
            "importance": one.fitted.pipeline.importance_,
            "psi": dict(outcome.drift),
        }
    }
    if one is outcome.chosen:
        documents["slices.json"] = as_document(outcome.slices)
    losses = outcome.choice.losses if outcome.choice else {}
    kind = one.fitted.kind
    assert outcome.rule is not None
    return Candidate(
        name=kind,
        model=one.fitted.pipeline,
        metrics=one.metrics,
        params={
            **one.fitted.parameters,
            **({"log_loss_when_chosen": round(losses[kind], 6)} if kind in losses else {}),
        },
        documents=documents,
        figures=figures(
            holdout.label,
            one.scores,
            outcome.rule,
            weights if kind == LOGISTIC else None,
            one.fitted.pipeline.importance_,
        ),
    )


def rows(asked: Scoring) -> Iterator[pd.DataFrame]:
    """The features of the population."""
    return population_rows(asked)


def answers(definition: BinaryModel, model: object, rows: pd.DataFrame) -> pd.DataFrame:
    """The probability, whether it reaches the threshold, and why it is as it is."""
    if not isinstance(model, TagClassifier) or model.described is None:
        raise ModelRefused("the champion gives no reasons, as one of an older kind; train it again")
    key = rows.columns[0]
    features = rows.drop(columns=key)
    probabilities, parts = model.explained(features)
    values = probabilities[:, 1]
    said = reasons(parts, features, model.usual_, model.described)
    return pd.DataFrame(
        {
            key: rows[key].to_numpy(),
            "probability": values,
            "class": np.asarray(values >= definition.threshold),
            "reasons": said["en"],
            "reasons_zh": said["zh"],
        }
    )
