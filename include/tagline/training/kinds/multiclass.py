"""One of several classes: a classifier over tags, compared with a rule and the usual class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from tagline.definitions.models import MulticlassModel
from tagline.errors import ModelRefused
from tagline.training.class_plots import class_figures
from tagline.training.class_verdict import ClassOutcome, ClassTried, assess_classes, codes
from tagline.training.classes import confusion
from tagline.training.contributions import described, reasons
from tagline.training.estimators.tag_classifier import TagClassifier
from tagline.training.evaluate import SEED, resamples_of
from tagline.training.inputs import population_rows, tags_read
from tagline.training.kinds import Candidate, Judged, Scoring, Training
from tagline.training.labelled import labelled
from tagline.training.looking_ahead import looking_ahead
from tagline.training.panels import Panel, stack
from tagline.training.slices import as_document, looked_at


def train(asked: Training) -> Judged:
    """Fit on the older panels, or on people's labels, and judge on rows that took no part."""
    definition, catalog = asked.definition, asked.deployment.catalog
    assert isinstance(definition, MulticlassModel)
    types = tags_read(catalog, definition)
    features = {slug: types[slug] for slug in definition.features}
    found = labelled(asked)
    outcome = assess_classes(
        definition,
        features,
        found,
        asked.champion,
        [
            reason
            for panel in found.checked
            for reason in looking_ahead(asked.deployment, features, panel)
        ],
        {slug: described(catalog.tags[slug].definition) for slug in features},
    )
    candidates = {
        one.fitted.kind: _candidate(definition, one, outcome, found.holdout)
        for one in outcome.tried
    }
    chosen, training = outcome.chosen, stack(found.trained)
    return Judged(
        candidates=tuple(candidates.values()),
        chosen=None if chosen is None else candidates[chosen.fitted.kind],
        verdict=outcome.verdict,
        counts={
            "holdout": _counts(definition, found.holdout),
            "training": _counts(definition, training)
            | {"as_of": [panel.as_of.isoformat() for panel in found.trained]},
            **({"gate": looked_at(outcome.slices, outcome.drift)} if chosen is not None else {}),
        },
        digests={
            f"{part} {panel.as_of.isoformat()}": panel.digest
            for part, panels in (("training", found.trained), ("holdout", (found.holdout,)))
            for panel in panels
        },
        params={
            "classes": ", ".join(definition.classes),
            "holdout": found.holdout.as_of.isoformat(),
            "panels": len(found.trained),
            "bootstrap_resamples": resamples_of(len(found.holdout.label)),
            "seed": SEED,
            **found.about,
            **({"chosen_on": outcome.choice.compared_on} if outcome.choice else {}),
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
    definition: MulticlassModel, one: ClassTried, outcome: ClassOutcome, holdout: Panel
) -> Candidate:
    """A fitted candidate as its child run shows it."""
    classes, fitted = definition.classes, one.fitted
    label = codes(classes, holdout.label)
    table = confusion(label, one.probabilities.argmax(axis=1), len(classes))
    documents: dict[str, Mapping[str, Any]] = {
        "features.json": {
            "shapes": dict(fitted.shapes),
            "weights": fitted.weights(),
            "importance": fitted.pipeline.importance_,
            "psi": dict(outcome.drift),
        },
        "confusion.json": {
            name: dict(zip(classes, map(int, row), strict=True))
            for name, row in zip(classes, table, strict=True)
        },
    }
    if one is outcome.chosen:
        documents["slices.json"] = as_document(outcome.slices)
    losses = outcome.choice.losses if outcome.choice else {}
    kind = fitted.kind
    return Candidate(
        name=kind,
        model=fitted.pipeline,
        metrics=one.metrics,
        params={
            **fitted.parameters,
            **({"log_loss_when_chosen": round(losses[kind], 6)} if kind in losses else {}),
        },
        documents=documents,
        figures=class_figures(
            classes, label, one.probabilities, table, fitted.pipeline.importance_
        ),
    )


def rows(asked: Scoring) -> Iterator[pd.DataFrame]:
    """The features of the population."""
    return population_rows(asked)


def answers(definition: MulticlassModel, model: object, rows: pd.DataFrame) -> pd.DataFrame:
    """The most probable class, its probability, and why it is so probable."""
    if not isinstance(model, TagClassifier) or model.described is None:
        raise ModelRefused("the champion gives no reasons, as one of an older kind; train it again")
    key = rows.columns[0]
    features = rows.drop(columns=key)
    probabilities, parts = model.explained(features)
    said = reasons(parts, features, model.usual_, model.described)
    return pd.DataFrame(
        {
            key: rows[key].to_numpy(),
            "class": model.classes_[probabilities.argmax(axis=1)].astype(object),
            "probability": probabilities.max(axis=1),
            "reasons": said["en"],
            "reasons_zh": said["zh"],
        }
    )
