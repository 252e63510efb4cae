"""Pictures of a judged trial, as matplotlib figures for its MLflow run."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from tagline.training.plots import GUIDE, MODEL, RULE, draw_axes
from tagline.training.targeting import Curve


def uplift_figures(points: Curve, deciles: pd.DataFrame) -> dict[str, Figure]:
    """File name -> figure: the Qini curve, and the uplift by tenths of the customers."""
    return {"qini.png": _qini(points), "uplift_by_decile.png": _deciles(deciles)}


def _qini(points: Curve) -> Figure:
    figure, axes = draw_axes(
        f"Qini curve, area {points.area:.4f}", "share treated, highest uplift first",
        "additional responses per customer",
    )  # fmt: skip
    axes.plot([0, 1], [0, points.gain[-1]], color=GUIDE, linewidth=1, label="at random")
    axes.plot(points.share, points.gain, color=MODEL, label="by the model")
    axes.legend(frameon=False)
    return figure


def _deciles(deciles: pd.DataFrame) -> Figure:
    figure, axes = draw_axes("Uplift by tenths", "tenth, highest predicted uplift first", "uplift")
    place, uplift = deciles["decile"].to_numpy(), deciles["uplift"].to_numpy()
    error = [uplift - deciles["low"].to_numpy(), deciles["high"].to_numpy() - uplift]
    axes.bar(place, uplift, yerr=error, color=MODEL, ecolor=GUIDE, label="measured")
    axes.plot(place, deciles["predicted"].to_numpy(), "o", color=RULE, label="predicted")
    axes.axhline(0, color=GUIDE, linewidth=1)
    axes.set_xticks(place)
    axes.legend(frameon=False)
    return figure
