"""Pictures of a forecast of purchases, for its MLflow run."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from tagline.training.evaluate import probability_bins
from tagline.training.panels import Array
from tagline.training.plots import GUIDE, MODEL, RULE, draw_axes
from tagline.training.purchase_forecast import Forecast

GROUPS = 12  # of customers by frequency, at most


def figures(forecast: Forecast, frequency: Array) -> dict[str, Figure]:
    """File name -> figure: purchases by frequency, calibration, who is alive, amounts."""
    drawn = {
        "by_frequency.png": _by_frequency(forecast, frequency),
        "calibration.png": _calibration(
            forecast.expected, forecast.actual, "purchase days in the horizon"
        ),
        "alive.png": _alive(forecast),
    }
    if forecast.amount is not None and forecast.expected_amount is not None:
        drawn["value_calibration.png"] = _calibration(
            forecast.expected_amount, forecast.amount, "amount in the horizon"
        )
    return drawn


def _by_frequency(forecast: Forecast, frequency: Array) -> Figure:
    figure, axes = draw_axes(
        "Purchases by frequency so far", "repeat purchase days so far", "mean in the horizon"
    )
    groups = frequency_groups(frequency)
    places = np.arange(len(groups))
    names = [f"{low:g}" if low == high else f"{low:g}–{high:g}" for low, high in groups]
    masks = [(frequency >= low) & (frequency <= high) for low, high in groups]
    shown = [("actual", forecast.actual, GUIDE), ("expected", forecast.expected, MODEL)]
    shown += [(name, expected, RULE) for name, expected in list(forecast.rules.items())[:1]]
    for name, values, colour in shown:
        means = [values[mask].mean() for mask in masks]
        axes.plot(places, means, "o-" if name != "actual" else "s--", color=colour, label=name)
    axes.set_xticks(places, names, rotation=45)
    axes.legend(frameon=False)
    return figure


def frequency_groups(frequency: Array) -> list[tuple[float, float]]:
    """Bounds of groups of whole frequencies with about as many customers each, all inclusive."""
    known, count = np.unique(frequency, return_counts=True)
    group = np.minimum((np.cumsum(count) - count) * GROUPS // count.sum(), GROUPS - 1)
    return [
        (float(known[group == one].min()), float(known[group == one].max()))
        for one in np.unique(group)
    ]


def _calibration(expected: Array, actual: Array, what: str) -> Figure:
    figure, axes = draw_axes("Calibration on the holdout", f"expected {what}", f"actual {what}")
    bins = probability_bins(expected)
    sizes = np.bincount(bins)
    kept = sizes > 0
    means = [np.bincount(bins, weights=values)[kept] / sizes[kept] for values in (expected, actual)]
    squares = np.bincount(bins, weights=actual**2)[kept] / sizes[kept]
    margin = 1.96 * np.sqrt(np.maximum(squares - means[1] ** 2, 0) / sizes[kept])
    limit = float(max(means[0].max(), (means[1] + margin).max()))
    axes.plot([0, limit], [0, limit], color=GUIDE, linewidth=1)
    axes.errorbar(means[0], means[1], yerr=margin, fmt="o-", color=MODEL, capsize=3)
    return figure


def _alive(forecast: Forecast) -> Figure:
    figure, axes = draw_axes(
        "Who bought in the horizon", "probability of being alive", "share of customers who bought"
    )
    tenth = np.minimum((forecast.alive * 10).astype(int), 9)
    sizes = np.bincount(tenth, minlength=10)
    bought = np.bincount(tenth, weights=forecast.actual > 0, minlength=10)
    kept = sizes > 0
    middles = (np.arange(10) + 0.5)[kept] / 10
    axes.bar(middles, bought[kept] / sizes[kept], width=0.08, color=MODEL)
    for middle, share, size in zip(middles, bought[kept] / sizes[kept], sizes[kept], strict=True):
        axes.annotate(f"{size}", (middle, share), ha="center", va="bottom", fontsize=8)
    axes.set_xlim(0, 1)
    return figure
