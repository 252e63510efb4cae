"""One of several classes: a classifier over tags, compared with a rule and the usual class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from tagline.definitions.models import MulticlassModel
from tagline.training.class_plots import class_figures
from tagline.training.class_verdict import ClassOutcome, assess_classes, codes, probabilities
from tagline.training.classes import confusion
from tagline.training.evaluate import RESAMPLES, SEED, Interval
from tagline.training.fit import Fitted
from tagline.training.inputs import population_rows, tags_read
from tagline.training.kinds import Candidate, Judged, Scoring, Training
from tagline.training.labelled import Labelled, labelled
from tagline.training.looking_ahead import looking_ahead
from tagline.training.panels import Panel, stack


def train(asked: Training) -> Judged:
    """Fit on the older panels, or on people's labels, and judge on rows that took no part."""
    definition = asked.definition
    assert isinstance(definition, MulticlassModel)
    types = tags_read(asked.deployment.catalog, definition)
    features = {slug: types[slug] for slug in definition.features}
    found = labelled(asked)
    ahead = looking_ahead(asked.deployment, features, found.holdout)
    outcome = assess_classes(definition, features, found, asked.champion, ahead)
    candidates = tuple(
        _candidate(definition, outcome, found, kind, fitted, metrics)
        for kind, (fitted, metrics) in outcome.fitted.items()
    )
    chosen = outcome.choice.chosen if outcome.choice else None
    training = stack(found.trained)
    return Judged(
        candidates=candidates,
        chosen=next((one for one in candidates if one.name == chosen), None),
        verdict=outcome.verdict,
        counts={
            "holdout": _counts(definition, found.holdout),
            "training": _counts(definition, training)
            | {"as_of": [panel.as_of.isoformat() for panel in found.trained]},
        },
        digests={
            f"{part} {panel.as_of.isoformat()}": panel.digest
            for part, panels in (("training", found.trained), ("holdout", (found.holdout,)))
            for panel in panels
        },
        params={
            "classes": ", ".join(definition.classes),
            "panels": len(found.trained),
            "bootstrap_resamples": RESAMPLES,
            "seed": SEED,
            **found.about,
        },
        example=training.rows[list(features)].head(200),
        label_end_at=asked.as_of,  # the holdout's horizon ends here, or what people had judged
    )


def _counts(definition: MulticlassModel, panel: Panel) -> dict[str, Any]:
    """When and how many, of each class too."""
    names = panel.label.tolist()
    return {
        "as_of": panel.as_of.isoformat(),
        "rows": len(names),
        **{f"rows_{name}": names.count(name) for name in definition.classes},
    }


def _candidate(
    definition: MulticlassModel,
    outcome: ClassOutcome,
    found: Labelled,
    kind: str,
    fitted: Fitted,
    metrics: Mapping[str, Interval],
) -> Candidate:
    weights = fitted.weights()
    documents: dict[str, Mapping[str, Any]] = {
        "features.json": {"shapes": dict(fitted.shapes), "weights": weights}
    }
    figures = {}
    chosen = outcome.choice is not None and outcome.choice.chosen == kind
    if chosen and outcome.probabilities is not None:
        classes = definition.classes
        label = codes(classes, found.holdout.label)
        table = confusion(label, outcome.probabilities.argmax(axis=1), len(classes))
        documents["confusion.json"] = {
            name: dict(zip(classes, map(int, row), strict=True))
            for name, row in zip(classes, table, strict=True)
        }
        documents["slices.json"] = {
            f"{one.tag} = {one.value}": {"rows": one.rows, **one.gap.as_json()}
            for one in outcome.slices
        }
        documents["stability.json"] = {name: round(psi, 4) for name, psi in outcome.drift.items()}
        figures = class_figures(classes, label, outcome.probabilities, table, weights)
    return Candidate(kind, fitted.pipeline, metrics, fitted.parameters, documents, figures)


def rows(asked: Scoring) -> Iterator[pd.DataFrame]:
    """The features of the population."""
    return population_rows(asked)


def answers(definition: MulticlassModel, model: Any, rows: pd.DataFrame) -> pd.DataFrame:
    """The most probable class, and its probability."""
    found = probabilities(model, definition.classes, rows.drop(columns="customer_id"))
    best = found.argmax(axis=1)
    return pd.DataFrame(
        {
            "customer_id": rows["customer_id"].to_numpy(),
            "class": [definition.classes[code] for code in best],
            "probability": found.max(axis=1) if len(found) else [],
        }
    )
