"""Pictures of a judged model, as matplotlib figures for its MLflow run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from tagline.training.evaluate import Interval, probability_bins
from tagline.training.panels import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes


MODEL = "#1f6f8b"
RULE = "#b5651d"
GUIDE = "#b0b0b0"


def figures(
    label: Array,
    model: Array,
    rule: Array,
    weights: Mapping[str, float] | None,
    importance: Mapping[str, float] | None = None,
) -> dict[str, Figure]:
    """File name -> figure: ROC, calibration, lift, and where given coefficients and importances."""
    drawn = {
        "roc.png": _roc(label, model, rule),
        "calibration.png": calibration(label, model),
        "lift.png": _lift(label, model, rule),
    }
    if weights is not None:
        title, unit = "Coefficients of the standardised inputs", "change of log odds per deviation"
        drawn["coefficients.png"] = bars(title, unit, weights)
    if importance is not None:
        ranked = dict(sorted(importance.items(), key=lambda pair: -pair[1]))
        drawn["importances.png"] = bars("Importances", "mean absolute part of log odds", ranked)
    return drawn


def circle_sizes(names: Sequence[str], sizes: Sequence[int]) -> Figure:
    """How many customers each circle has."""
    height = 1.2 + 0.26 * len(names)
    figure, axes = draw_axes("Circles", "customers", "", height=height)
    axes.barh(list(names)[::-1], list(sizes)[::-1], color=MODEL)
    return figure


def interest_figures(
    again: Array, chance: Array, hit_shares: Mapping[str, Interval]
) -> dict[str, Figure]:
    """File name -> figure: chances of interests against what came true, and shares compared."""
    figure, axes = draw_axes("Interests that were bought again", "share", "", height=2.6)
    names = list(hit_shares)[::-1]
    values = np.array([hit_shares[name].value for name in names])
    ends = np.array([[hit_shares[name].low, hit_shares[name].high] for name in names])
    axes.barh(names, values, xerr=np.abs(ends.T - values), color=MODEL, ecolor=GUIDE)
    return {"calibration.png": calibration(again, chance), "hit_share.png": figure}


def draw_axes(title: str, x: str, y: str, height: float = 4.5) -> tuple[Figure, Axes]:
    """An empty figure of the house's looks, for one plot."""
    figure = Figure(figsize=(6, height), layout="constrained")  # no pyplot: nothing to close
    axes = figure.subplots()
    axes.set_title(title, loc="left")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _roc(label: Array, model: Array, rule: Array) -> Figure:
    figure, axes = draw_axes("ROC on the holdout", "false positive rate", "true positive rate")
    axes.plot([0, 1], [0, 1], color=GUIDE, linewidth=1)
    for score, colour, name in ((model, MODEL, "model"), (rule, RULE, "plain rule")):
        order = np.argsort(-score, kind="stable")
        ranked = score[order]  # compared, not subtracted: who has no rule value scores -inf
        ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(score) - 1)
        hits = np.cumsum(label[order])[ends]
        false = ends + 1 - hits
        axes.plot(
            np.r_[0, false / max(false[-1], 1)], np.r_[0, hits / max(hits[-1], 1)],
            color=colour, label=name,
        )  # fmt: skip
    axes.legend(frameon=False)
    return figure


def calibration(label: Array, model: Array) -> Figure:
    """Predicted against actual rates, with their 95 % intervals."""
    figure, axes = draw_axes("Calibration on the holdout", "predicted rate", "actual rate")
    bins = probability_bins(model)
    sizes = np.bincount(bins)
    kept = sizes > 0
    predicted = np.bincount(bins, weights=model)[kept] / sizes[kept]
    actual = np.bincount(bins, weights=label)[kept] / sizes[kept]
    error = 1.96 * np.sqrt(actual * (1 - actual) / sizes[kept])
    limit = float(max(predicted.max(), (actual + error).max()))
    axes.plot([0, limit], [0, limit], color=GUIDE, linewidth=1)
    axes.errorbar(predicted, actual, yerr=error, fmt="o-", color=MODEL, capsize=3)
    return figure


def _lift(label: Array, model: Array, rule: Array) -> Figure:
    figure, axes = draw_axes("Lift on the holdout", "share of customers, highest first", "lift")
    share = np.arange(1, len(label) + 1) / len(label)
    shown = share >= 0.01
    axes.axhline(1, color=GUIDE, linewidth=1)
    for score, colour, name in ((model, MODEL, "model"), (rule, RULE, "plain rule")):
        order = np.argsort(-score, kind="stable")
        rate = np.cumsum(label[order]) / np.arange(1, len(label) + 1)
        axes.plot(share[shown], rate[shown] / label.mean(), color=colour, label=name)
    axes.legend(frameon=False)
    return figure


def bars(title: str, unit: str, values: Mapping[str, float]) -> Figure:
    """The strongest values as bars, in their order."""
    strongest = dict(list(values.items())[:25])
    figure, axes = draw_axes(title, unit, "", height=1.2 + 0.26 * len(strongest))
    axes.barh(list(strongest)[::-1], list(strongest.values())[::-1], color=MODEL)
    axes.axvline(0, color=GUIDE, linewidth=1)
    return figure
