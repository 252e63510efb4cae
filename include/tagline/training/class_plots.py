"""Pictures of a judged model of several classes, for its MLflow run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tagline.training import plots
from tagline.training.classes import Codes
from tagline.training.panels import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def class_figures(
    classes: Sequence[str],
    label: Codes,
    probabilities: Array,
    confusion: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    importance: Mapping[str, float],
) -> dict[str, Figure]:
    """File name -> figure: confusion, calibration of the likeliest class, importances."""
    right = (probabilities.argmax(axis=1) == label).astype(float)
    ranked = dict(sorted(importance.items(), key=lambda pair: -pair[1]))
    return {
        "confusion.png": _confusion(classes, confusion),
        "calibration.png": plots.calibration(right, probabilities.max(axis=1)),
        "importances.png": plots.bars("Importances", "mean absolute part of log odds", ranked),
    }


def _confusion(
    classes: Sequence[str], confusion: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
) -> Figure:
    figure, axes = plots.draw_axes("Holdout: class down, answer across", "answer", "class")
    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(classes)), classes, rotation=30, ha="right")
    axes.set_yticks(range(len(classes)), classes)
    for down, row in enumerate(confusion):
        for across, count in enumerate(row):
            colour = "white" if share[down, across] > 0.5 else "black"
            axes.text(across, down, f"{count:,}", ha="center", va="center", color=colour)
    return figure
