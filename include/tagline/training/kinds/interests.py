"""Interests: the items that a customer buys most of, long since and lately."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.figure import Figure

from tagline.compute import label_table
from tagline.definitions.models import InterestsModel
from tagline.training.estimators.interests import Again, DecayedInterests
from tagline.training.evaluate import SEED, Interval, resamples_of
from tagline.training.input_rows import input_parts, load_input
from tagline.training.interest_measures import judge, measure
from tagline.training.kinds import Candidate, Judged, Scoring, Training
from tagline.training.panels import schedule
from tagline.training.plots import interest_figures
from tagline.training.verdict import Verdict

CANDIDATE = "decayed_shares"
ROWS = 1_000_000  # of purchases that are answered for at once
DAY = timedelta(days=1)


def train(asked: Training) -> Judged:
    """Choose on the older panels, and judge on the newest, whose horizon ends at as_of."""
    definition = asked.definition
    assert isinstance(definition, InterestsModel)
    before = asked.deployment.catalog.before
    plan = schedule(definition.panels, definition.horizon, asked.as_of, before)
    digests: dict[str, str] = {}
    panels = []
    for instant in sorted(plan.trained):
        rows, bought = _panel(asked, definition, instant, digests)
        panels.append(Again.of(rows, bought))
    rows, bought = _panel(asked, definition, plan.holdout, digests)
    holdout = Again.of(rows, bought)
    returned = {name: int(panel.returned.sum()) for name, panel in (("holdout", holdout),)}
    returned["training"] = sum(int(panel.returned.sum()) for panel in panels)
    lacking = tuple(
        f"the {name} rows hold {count} customers who bought anything in the horizon, fewer than "
        f"min_customers {definition.gate.min_customers}"
        for name, count in returned.items()
        if count < definition.gate.min_customers
    )
    candidates: tuple[Candidate, ...] = ()
    if not lacking:
        model = DecayedInterests(definition.top, definition.horizon / DAY).fit_panels(panels)
        metrics = measure(model, holdout, asked.champion)
        lacking = judge(definition.gate, definition.top, metrics)
        candidates = (
            Candidate(
                name=CANDIDATE,
                model=model,
                metrics=metrics,
                params=_chosen(model),
                figures=_figures(model, holdout, metrics),
            ),
        )
    return Judged(
        candidates=candidates,
        chosen=candidates[0] if candidates else None,
        verdict=Verdict(lacking),
        counts={
            "holdout": {
                "as_of": plan.holdout.isoformat(),
                "rows": len(holdout.returned),
                "returned": returned["holdout"],
            },
            "training": {
                "as_of": [instant.isoformat() for instant in plan.trained],
                "rows": sum(len(panel.returned) for panel in panels),
                "returned": returned["training"],
            },
        },
        digests=digests,
        params={
            "holdout": plan.holdout.isoformat(),
            "panels": len(panels),
            "input": definition.input,
            "label": definition.label,
            "horizon_days": definition.horizon / DAY,
            "top": definition.top,
            "bootstrap_resamples": resamples_of(len(holdout.returned)),
            "seed": SEED,
        },
        example=rows.head(200),
        label_end_at=asked.as_of,  # the holdout's horizon ends here
    )


def rows(asked: Scoring) -> Iterator[pd.DataFrame]:
    """What the customers of the population bought, a row per item and day."""
    definition = asked.definition
    assert isinstance(definition, InterestsModel)
    return input_parts(asked, definition.input, ROWS)


def answers(
    definition: InterestsModel, model: DecayedInterests, rows: pd.DataFrame
) -> pd.DataFrame:
    """Each customer's interests, the strongest first, and why."""
    return model.predict(rows)[["customer_id", *definition.outputs]]


def _panel(
    asked: Training, definition: InterestsModel, instant: datetime, digests: dict[str, str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What the population bought before an instant, and what of all it bought in the horizon."""
    rows = load_input(
        asked.deployment, definition, definition.input, instant, definition.max_customers
    )
    labels = label_table(asked.deployment, definition.label_query, instant)
    people = pa.array(rows["customer_id"].unique().tolist(), labels.schema.field(0).type)
    kept = labels.filter(pc.is_in(labels.column("customer_id"), people))
    bought = kept.sort_by([(name, "ascending") for name in kept.column_names]).to_pandas()
    digests[instant.isoformat()] = _digest(rows, bought)
    return rows, bought


def _digest(*frames: pd.DataFrame) -> str:
    hashed = hashlib.sha256()
    for frame in frames:
        hashed.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
    return hashed.hexdigest()[:16]


def _chosen(model: DecayedInterests) -> Mapping[str, float]:
    return {
        "long_half_life_days": model.long_half_life_,
        "recent_half_life_days": model.recent_half_life_,
        "recent_part": model.recent_part_,
        "smoothing": model.smoothing_,
    }


def _figures(
    model: DecayedInterests, holdout: Again, metrics: Mapping[str, Interval]
) -> Mapping[str, Figure]:
    memories = model.remembered(holdout.pairs)
    listed = holdout.pairs.best(memories.score, model.top)
    again = holdout.again[listed].astype(float)
    shown = {"interests": "hit_share", "most popular": "popular_hit_share"}
    compared = {name: metrics[metric] for name, metric in shown.items()}
    return interest_figures(again, model.chance(memories, listed), compared)
