"""An attribute that some customers told, inferred for the others from those most like them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from tagline.definitions.models import SimilarCustomersModel
from tagline.definitions.types import DataType
from tagline.errors import ModelRefused
from tagline.training.alike_rows import alike_parts, known_rows
from tagline.training.alike_space import space_of
from tagline.training.attribute_measures import REPEATS, judge, measure
from tagline.training.estimators.attribute import NeighbourAttribute
from tagline.training.estimators.neighbours import Codes, Points
from tagline.training.evaluate import RESAMPLES, SEED
from tagline.training.inputs import tags_read
from tagline.training.kinds import Candidate, Judged, Scoring, Training
from tagline.training.panels import CATEGORIES, NUMBERS, Panel, hashed, part_of
from tagline.training.verdict import Verdict, leaks

CANDIDATE = "nearest_neighbours"


def train(asked: Training) -> Judged:
    """Learn from the customers who told the attribute; judge by hiding it from half of them."""
    definition = asked.definition
    assert isinstance(definition, SimilarCustomersModel)
    type_ = asked.deployment.catalog.tags[definition.attribute].definition.type
    if type_ not in CATEGORIES:
        raise ModelRefused(
            f"attribute {definition.attribute!r} is a {type_.value}; neighbours tell a text or a "
            "boolean: name a tag of bands instead"
        )
    rows = known_rows(asked.deployment, definition, asked.as_of)
    values = rows.pop(definition.attribute)
    features = rows.drop(columns="customer_id")
    reasons: tuple[str, ...] = ()
    if len(rows) < definition.gate.min_known:
        reasons = (
            f"{len(rows)} customers told {definition.attribute}, fewer than min_known "
            f"{definition.gate.min_known}",
        )
    candidates: tuple[Candidate, ...] = ()
    if not reasons:
        types = tags_read(asked.deployment.catalog, definition)
        numbers = {slug for slug in definition.features if types[slug] in NUMBERS}

        def space(known: pd.DataFrame) -> ColumnTransformer:
            return space_of(known, numbers, definition.least_item_share)

        def halves(learnt: Codes, masked: Codes) -> tuple[Points, Points]:
            fitted = space(features.iloc[learnt])
            points = fitted.fit_transform(features.iloc[learnt])
            return points, fitted.transform(features.iloc[masked])

        attribute = NeighbourAttribute(least_confidence=definition.min_confidence)
        metrics = measure(attribute, halves, values.tolist())
        model = Pipeline([("space", space(features)), ("attribute", attribute)])
        model.fit(features, values.tolist())
        reasons = (
            *_leaks(asked, definition, types, rows, values),
            *_no_common_items(definition, model),
            *judge(definition.gate, attribute, metrics),
        )
        candidates = (
            Candidate(
                name=CANDIDATE,
                model=model,
                metrics=metrics,
                params=_chosen(attribute),
                documents={"known.json": {"values": values.value_counts().to_dict()}},
            ),
        )
    return Judged(
        candidates=candidates,
        chosen=candidates[0] if candidates else None,
        verdict=Verdict(reasons),
        counts={
            "holdout": {"as_of": asked.as_of.isoformat(), "rows": len(rows), "repeats": REPEATS},
            "training": {"as_of": [asked.as_of.isoformat()], "rows": len(rows)},
        },
        digests={asked.as_of.isoformat(): _digest(rows, values)},
        params={
            "attribute": definition.attribute,
            **({"input": definition.input} if definition.input else {}),
            "bootstrap_resamples": RESAMPLES,
            "seed": SEED,
        },
        example=features.head(200),
        label_end_at=asked.as_of,  # what customers told has no horizon
    )


def rows(asked: Scoring) -> Iterator[pd.DataFrame]:
    """The features of the population, what it bought, and the attribute where it is known."""
    return alike_parts(asked)


def answers(definition: SimilarCustomersModel, model: Pipeline, rows: pd.DataFrame) -> pd.DataFrame:
    """The inferred value of each customer who did not tell it, with the confidence and why."""
    told = model.predict(rows.drop(columns=["customer_id", definition.attribute]))
    told.loc[rows[definition.attribute].notna().to_numpy()] = None
    said = [None if pd.isna(one["value"]) else one for one in told.to_dict("records")]
    return pd.DataFrame(
        {
            "customer_id": rows["customer_id"].to_numpy(),
            "value": told["value"],
            "confidence": told["confidence"].astype(float),
            "reason": pd.Series([one and _said(one) for one in said], dtype=object),
            "reason_zh": pd.Series([one and _said_zh(one) for one in said], dtype=object),
        }
    )


def _leaks(
    asked: Training,
    definition: SimilarCustomersModel,
    types: Mapping[str, DataType],
    rows: pd.DataFrame,
    values: pd.Series[Any],
) -> tuple[str, ...]:
    """Reasons that name each feature which by itself says the attribute in other words."""
    customers = rows["customer_id"].to_numpy(dtype=object)
    told: Any = values.to_numpy(dtype=str)
    every = Panel(asked.as_of, customers, rows, told)
    half = hashed(customers) % 2 == 0
    features = {slug: types[slug] for slug in definition.features}
    return leaks(
        definition.gate.max_single_feature_auc,
        features,
        part_of(every, half),
        part_of(every, ~half),
    )


def _no_common_items(definition: SimilarCustomersModel, model: Pipeline) -> tuple[str, ...]:
    """A reason where items are to be compared and none of them is common."""
    if definition.input is None or len(model["space"].named_transformers_["items"].items_):
        return ()
    return (
        f"no item of input {definition.input!r} was bought by least_item_share "
        f"{definition.least_item_share:g} of the customers: lower it, or leave input out",
    )


def _said(one: Mapping[str, Any]) -> str:
    return (
        f"{one['agreeing']:.0f} of the {one['asked']:.0f} most similar customers who told it are "
        f"{one['value']}; {one['base']:.0%} of all are"
    )


def _said_zh(one: Mapping[str, Any]) -> str:
    return (
        f"最相似的{one['asked']:.0f}位已知客户中有{one['agreeing']:.0f}位为{one['value']}；"
        f"全体已知客户中占{one['base']:.0%}"
    )


def _chosen(attribute: NeighbourAttribute) -> Mapping[str, Any]:
    return {
        "neighbours": attribute.count_,
        "weighting": attribute.weighting_,
        "confidence_limit": attribute.limit_,
        "cross_validated_gain": attribute.gain_,
        "cross_validated_gain_low": attribute.gain_low_,
        "mode": attribute.mode_,
    }


def _digest(rows: pd.DataFrame, values: pd.Series[Any]) -> str:
    told = json.dumps([rows.to_dict("list"), values.tolist()], sort_keys=True, default=str)
    return hashlib.sha256(told.encode()).hexdigest()[:16]
