"""Yes-or-no questions: a classifier over tags, compared with a plain rule."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from tagline.definitions.models import BinaryModel
from tagline.errors import ModelRefused
from tagline.training.evaluate import RESAMPLES, SEED
from tagline.training.fit import probability
from tagline.training.inputs import load_panel, population_rows, tags_read
from tagline.training.kinds import Candidate, Judged, Scoring, Training
from tagline.training.panels import schedule, stack
from tagline.training.plots import figures
from tagline.training.verdict import assess


def train(asked: Training) -> Judged:
    """Fit on the older panels and judge on the newest, whose horizon ends at as_of."""
    definition, deployment = asked.definition, asked.deployment
    assert isinstance(definition, BinaryModel)
    types = tags_read(deployment.catalog, definition)
    features = {slug: types[slug] for slug in definition.features}
    plan = schedule(definition.panels, definition.horizon, asked.as_of)
    if not plan.trained:
        raise ModelRefused(
            f"model {asked.model!r} has no panel whose horizon ends by the holdout's "
            f"{plan.holdout.isoformat()}; raise panels.count or panels.every"
        )
    holdout = load_panel(deployment, definition, definition.rule.tag, plan.holdout)
    trained = [
        load_panel(deployment, definition, definition.rule.tag, instant) for instant in plan.trained
    ]
    training = stack(trained)
    champion = None if asked.champion is None else probability(asked.champion, holdout.rows)
    outcome = assess(definition, features, training, holdout, champion)
    candidates: tuple[Candidate, ...] = ()
    if (fitted := outcome.fitted) is not None and outcome.scores is not None:
        weights = fitted.weights()
        candidates = (
            Candidate(
                name=fitted.kind,
                model=fitted.pipeline,
                metrics=outcome.metrics,
                params=fitted.parameters,
                documents={"features.json": {"shapes": dict(fitted.shapes), "weights": weights}},
                figures=figures(holdout.label, *outcome.scores, weights),
            ),
        )
    return Judged(
        candidates=candidates,
        chosen=candidates[0] if candidates else None,
        verdict=outcome.verdict,
        counts={
            "holdout": {
                "as_of": plan.holdout.isoformat(),
                "rows": len(holdout.label),
                "positives": holdout.positives,
            },
            "training": {
                "as_of": [panel.as_of.isoformat() for panel in trained],
                "rows": len(training.label),
                "positives": training.positives,
            },
        },
        digests={panel.as_of.isoformat(): panel.digest for panel in (*trained, holdout)},
        params={
            "holdout": plan.holdout.isoformat(),
            "panels": len(trained),
            "label": definition.label,
            "horizon_days": definition.horizon.days,
            "bootstrap_resamples": RESAMPLES,
            "seed": SEED,
        },
        example=training.rows[list(features)].head(200),
        label_end_at=asked.as_of,  # the holdout's horizon ends here
    )


def rows(asked: Scoring) -> Iterator[pd.DataFrame]:
    """The features of the population."""
    return population_rows(asked)


def answers(definition: BinaryModel, model: object, rows: pd.DataFrame) -> pd.DataFrame:
    """The probability, and whether it reaches the threshold."""
    values = probability(model, rows.drop(columns="customer_id"))
    return pd.DataFrame(
        {
            "customer_id": rows["customer_id"].to_numpy(),
            "probability": values,
            "class": np.asarray(values >= definition.threshold),
        }
    )
