"""How well purchases were forecast: measures on a holdout, and what the gate says of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tagline.definitions.models.purchase_process import PurchaseGate
from tagline.training.evaluate import (
    Interval,
    Metric,
    bootstrap,
    calibration_error,
    mean,
    ratio,
    roc_auc,
)
from tagline.training.panels import Array

PAST_RATE = "past rate"  # the plain rule: each customer goes on buying as often as so far
NOTHING = "nothing"  # the other one: nobody buys
CHAMPION = "champion"


@dataclass(frozen=True)
class Forecast:
    """What was expected of each customer of the holdout, and what came; arrays of equal length.

    `rules` are other forecasts of the purchases, by name; `recency` is the days since the last
    purchase. Without amounts, `amount` and `expected_amount` are None.
    """

    actual: Array  # purchase days in the horizon
    expected: Array
    buys: Array  # the probability of a purchase in the horizon
    alive: Array
    recency: Array
    rules: Mapping[str, Array] = field(default_factory=dict)
    amount: Array | None = None
    expected_amount: Array | None = None

    @property
    def valued(self) -> bool:
        """Whether amounts were forecast."""
        return self.amount is not None and self.expected_amount is not None


def measure(forecast: Forecast, champion: Array | None = None) -> dict[str, Interval]:
    """Errors, correlations and totals of the forecast and of each rule, on the same resamples.

    mae is the mean absolute error in purchase days; total is expected over actual purchases, 1 for
    a forecast that gets the sum right. purchase_… is about whether a customer bought at all: by
    the model's probability of it, by that of being alive, and by the days since the last purchase.
    """
    actual = forecast.actual
    rules = {**forecast.rules, NOTHING: np.zeros(len(actual))}
    if champion is not None:
        rules[CHAMPION] = champion
    metrics: dict[str, Metric] = {
        "mae": error(actual, forecast.expected),
        "correlation": correlation(actual, forecast.expected),
        "total": ratio(forecast.expected, actual),
    }
    differences: dict[str, tuple[str, str]] = {}
    for rule, expected in rules.items():
        name = rule.replace(" ", "_")
        metrics[f"{name}_mae"] = error(actual, expected)
        differences[f"gain_over_{name}"] = (f"{name}_mae", "mae")
        if rule != NOTHING:
            metrics[f"{name}_correlation"] = correlation(actual, expected)
    if champion is not None:
        metrics["champion_total"] = ratio(champion, actual)
        if PAST_RATE in rules:
            differences["champion_gain_over_past_rate"] = ("past_rate_mae", "champion_mae")
    bought = (actual > 0).astype(float)
    if 0 < bought.mean() < 1:
        metrics["purchase_roc_auc"] = roc_auc(bought, forecast.buys)
        metrics["purchase_roc_auc_by_alive"] = roc_auc(bought, forecast.alive)
        metrics["purchase_roc_auc_by_recency"] = roc_auc(bought, -forecast.recency)
        metrics["purchase_calibration_error"] = calibration_error(bought, forecast.buys)
    if forecast.amount is not None and forecast.expected_amount is not None:
        metrics["value_mae"] = error(forecast.amount, forecast.expected_amount)
        metrics["value_correlation"] = correlation(forecast.amount, forecast.expected_amount)
        metrics["value_total"] = ratio(forecast.expected_amount, forecast.amount)
    return bootstrap(metrics, differences, len(actual))


def judge(
    gate: PurchaseGate,
    metrics: Mapping[str, Interval],
    valued: bool,
    refusal: str,
    goes_with: float,
) -> tuple[str, ...]:
    """Reasons why the measured forecast may not serve.

    Where amounts are asked for, `refusal` is why they could not be learned, and `goes_with` the
    correlation of how often customers buy with how much they spend.
    """
    reasons = []
    gain, nothing = metrics["gain_over_past_rate"], metrics["gain_over_nothing"]
    if not gain.low > gate.min_gain:
        reasons.append(
            f"the gain over the rule that the past rate goes on, {gain} in mean absolute error, is "
            f"not surely above min_gain {gate.min_gain:g}"
        )
    if not nothing.value > 0:  # not surely: where most buy nothing, no mean is far better than 0
        reasons.append(f"the mean absolute error {metrics['mae']} is no better than with all at 0")
    if not metrics["correlation"].value >= gate.min_correlation:
        reasons.append(
            f"the correlation of expected and actual purchases, {metrics['correlation']}, is "
            f"below min_correlation {gate.min_correlation:g}"
        )
    reasons += missed("purchases", metrics["total"], gate.max_total_error, "max_total_error")
    reasons += against_champion(gate, metrics)
    if not valued:
        return tuple(reasons)
    if refusal:
        return (*reasons, f"{refusal}; leave mean_value out to forecast purchases alone")
    if not abs(goes_with) <= gate.max_value_correlation:
        reasons.append(
            f"how much customers spend goes with how often they buy: a correlation of "
            f"{goes_with:.3f}, beyond max_value_correlation {gate.max_value_correlation:g}, so "
            "their value cannot be forecast apart; leave mean_value out"
        )
    reasons += missed("amount", metrics["value_total"], gate.max_value_error, "max_value_error")
    return tuple(reasons)


def against_champion(gate: PurchaseGate, metrics: Mapping[str, Interval]) -> list[str]:
    """Reasons why the present champion, measured on the same holdout, stays.

    One that the gate would accept today is replaced only by a model that is surely better.
    """
    gain = metrics.get("gain_over_champion")
    if gain is None:
        return []
    if gain.high < 0:
        return [f"it is surely worse than the present champion: {gain} in mean absolute error"]
    champion_passes = (
        metrics["champion_gain_over_past_rate"].low > gate.min_gain
        and metrics["champion_correlation"].value >= gate.min_correlation
        and abs(metrics["champion_total"].value - 1) <= gate.max_total_error
    )
    if champion_passes and not gain.low > 0:
        return [
            f"the present champion stays: the gain over it in mean absolute error, {gain}, "
            "is not surely above 0, and the champion keeps the gate's limits on this holdout"
        ]
    return []


def missed(what: str, total: Interval, limit: float, name: str) -> list[str]:
    """A reason where the expected total is further off than the limit allows."""
    if abs(total.value - 1) <= limit:
        return []
    return [
        f"it expects {total.value:.1%} of the {what} that came ({total.low:.1%} to "
        f"{total.high:.1%}), further off than {name} {limit:g}"
    ]


def error(actual: Array, expected: Array) -> Metric:
    """Mean absolute error."""
    return mean(np.abs(actual - expected))


def correlation(left: Array, right: Array) -> Metric:
    """Pearson's correlation; 0 where one side is constant, which tells nothing of the other."""
    left, right = left - left.mean(), right - right.mean()
    sides = np.column_stack([left, right, left * right, left**2, right**2])

    def measured(weights: Array) -> Array:
        means = (weights @ sides / weights.sum(axis=1)[:, None]).T
        spread = (means[3] - means[0] ** 2) * (means[4] - means[1] ** 2)
        result: Array = np.zeros(len(weights))
        together = means[2] - means[0] * means[1]
        np.divide(together, np.sqrt(np.maximum(spread, 0)), out=result, where=spread > 0)
        return result

    return measured
