"""How often and for how much customers will buy: BG/NBD and Gamma-Gamma over three or four tags.

A customer's whole history is in its tags at one instant, so the panel of the holdout's instant is
what is learned from, and what came in the horizon after it, which learning never sees, judges.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from tagline.definitions.models import PurchaseProcessModel
from tagline.definitions.types import DataType
from tagline.errors import ModelRefused
from tagline.subjects import SUBJECTS
from tagline.training.estimators.customer_value import CustomerValue
from tagline.training.estimators.purchase_process import NAMES
from tagline.training.evaluate import SEED, resamples_of
from tagline.training.inputs import load_rows, population_rows, tags_read
from tagline.training.kinds import Candidate, Judged, Scoring, Training
from tagline.training.looking_ahead import looking_ahead
from tagline.training.panels import NUMBERS, Array, Panel, part_of
from tagline.training.purchase_forecast import PAST_RATE, Forecast, judge, measure
from tagline.training.purchase_plots import figures
from tagline.training.purchase_reasons import reasons
from tagline.training.verdict import Verdict

CANDIDATE = "bg_nbd"
DAY = timedelta(days=1)


def train(asked: Training) -> Judged:
    """Learn from all histories one horizon before as_of, and judge by what came until as_of."""
    definition = asked.definition
    assert isinstance(definition, PurchaseProcessModel)
    instant = asked.deployment.catalog.before(asked.as_of, definition.horizon)
    panel = _panel(asked, definition, instant)
    repeaters = int((_frequency(panel) > 0).sum())
    fitted, refused = _fitted(definition, panel, repeaters)
    candidates: tuple[Candidate, ...] = ()
    if fitted is not None:
        forecast = forecast_of(definition, fitted, panel)
        champion = asked.champion
        expected = None if champion is None else _expected(champion, panel.rows)
        metrics = measure(forecast, expected)
        goes_with = fitted.value_.correlation_ if fitted.value_ is not None else 0.0
        refusal = fitted.value_refusal_
        types = dict.fromkeys(definition.features, DataType.NUMBER)
        refused = (
            *looking_ahead(asked.deployment, types, panel),
            *judge(definition.gate, metrics, definition.valued, refusal, goes_with),
        )
        candidates = (
            Candidate(
                name=CANDIDATE,
                model=fitted,
                metrics=metrics,
                params=parameters(fitted),
                figures=figures(forecast, _frequency(panel)),
            ),
        )
    return Judged(
        candidates=candidates,
        chosen=candidates[0] if candidates else None,
        verdict=Verdict(refused),
        counts={
            "holdout": {
                "as_of": instant.isoformat(),
                "rows": len(panel.label),
                "purchases": int(panel.label.sum()),
                "buyers": int((panel.label > 0).sum()),
            },
            "training": {
                "as_of": [instant.isoformat()],
                "rows": len(panel.label),
                "repeaters": repeaters,
            },
        },
        digests={instant.isoformat(): panel.digest},
        params={
            "holdout": instant.isoformat(),
            "label": definition.label,
            "horizon_days": definition.horizon / DAY,
            "bootstrap_resamples": resamples_of(len(panel.label)),
            "seed": SEED,
        },
        example=panel.rows[list(definition.features)].head(200),
        label_end_at=asked.as_of,
    )


def rows(asked: Scoring) -> Iterator[pd.DataFrame]:
    """The histories of the population."""
    return population_rows(asked)


def answers(definition: PurchaseProcessModel, model: Any, rows: pd.DataFrame) -> pd.DataFrame:
    """The probabilities, what is expected in the horizon, and why."""
    key = SUBJECTS[definition.subject].key
    features = rows[list(definition.features)].to_numpy(dtype=float)
    told = model.predict(features)[list(definition.forecasts)]
    return pd.DataFrame(
        {
            key: rows[key].to_numpy(),
            **{name: told[name].to_numpy() for name in definition.forecasts},
            "reasons": reasons(features, "en"),
            "reasons_zh": reasons(features, "zh"),
        }
    )


def forecast_of(definition: PurchaseProcessModel, fitted: CustomerValue, panel: Panel) -> Forecast:
    """What the fitted model and the plain rules expect of a panel, beside what came of it."""
    features = panel.rows[list(definition.features)].to_numpy(dtype=float)
    frequency, recency, age = features.T[:3]
    told = fitted.predict(features)
    days = definition.horizon / DAY
    past = np.divide(frequency * days, age, out=np.zeros(len(age)), where=age > 0)
    rules = {PAST_RATE: past}
    if definition.recent is not None:
        seen = panel.rows[definition.recent.tag].fillna(0).to_numpy(dtype=float)
        rules["recent rate"] = seen * (definition.horizon / definition.recent.window)
    valued = fitted.value_ is not None
    return Forecast(
        actual=panel.label,
        expected=told["expected_purchases"].to_numpy(),
        buys=told["purchase_probability"].to_numpy(),
        alive=told["probability_alive"].to_numpy(),
        recency=age - recency,
        rules=rules,
        amount=panel.rows["outcome amount"].to_numpy(dtype=float) if valued else None,
        expected_amount=told["expected_value"].to_numpy() if valued else None,
    )


def parameters(fitted: CustomerValue) -> dict[str, Any]:
    """The estimated parameters, times in days, each of the process with its relative error."""
    process, value = fitted.process_, fitted.value_
    said: dict[str, Any] = {
        "r": process.r_,
        "alpha": process.alpha_,
        "a": process.a_,
        "b": process.b_,
        "log_likelihood": process.log_likelihood_,
        "customers": process.customers_,
        "at_limit": ", ".join(process.at_limit_) or "none",
    }
    for name, error in zip(NAMES, process.standard_errors_, strict=True):
        said[f"{name}_relative_error"] = float(error)
    if value is not None:
        said |= {
            "p": value.p_,
            "q": value.q_,
            "v": value.v_,
            "mean_value": value.mean_,
            "value_correlation": value.correlation_,
        }
    return said


def _panel(asked: Training, definition: PurchaseProcessModel, instant: datetime) -> Panel:
    """Histories at the instant, purchases in the horizon as the label, the amount as a column.

    Customers without a first purchase have no history and are left out.
    """
    catalog = asked.deployment.catalog
    types = tags_read(catalog, definition)
    compared = tuple(definition.compared.values())
    types |= {slug: catalog.tags[slug].definition.type for slug in compared}
    for slug in (*definition.features, *compared):
        if types[slug] not in NUMBERS:
            raise ModelRefused(f"the history's tag {slug!r} is a {types[slug].value}, not a number")
    customers, tags, outcomes = load_rows(asked.deployment, definition, compared, instant)
    known = tags[list(definition.features)].notna().all(axis=1).to_numpy()
    seen = tags.assign(**{"outcome amount": outcomes["amount"].astype(float)})
    bought = np.asarray(outcomes["purchase_days"].astype(float))
    return part_of(Panel(instant, customers, seen, bought), known)


def _fitted(
    definition: PurchaseProcessModel, panel: Panel, repeaters: int
) -> tuple[CustomerValue | None, tuple[str, ...]]:
    """The fitted model, or why the data cannot carry one or a judgement of it."""
    reasons = []
    if repeaters < definition.gate.min_repeaters:
        reasons.append(
            f"{repeaters} customers bought again before {panel.as_of:%Y-%m-%d}, fewer than "
            f"min_repeaters {definition.gate.min_repeaters}"
        )
    if not panel.label.any():
        reasons.append(f"nobody bought in the horizon after {panel.as_of:%Y-%m-%d}")
    if reasons:
        return None, tuple(reasons)
    try:
        estimator = CustomerValue(horizon=definition.horizon / DAY)
        return estimator.fit(panel.rows[list(definition.features)]), ()
    except ModelRefused as refusal:
        return None, (str(refusal),)


def _frequency(panel: Panel) -> Array:
    """Repeat purchases, the first of the features."""
    return panel.rows.iloc[:, 0].to_numpy(dtype=float)


def _expected(model: Any, rows: pd.DataFrame) -> Array:
    """What a fitted model, read back, expects of a panel's rows."""
    width = 4 if model.valued_ else 3
    told: Array = model.predict(rows.iloc[:, :width])["expected_purchases"].to_numpy()
    return told
