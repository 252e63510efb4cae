"""How far the rows that a model meets lie from those that it learned from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

import numpy as np
import pandas as pd

from tagline.audit.stability import population_stability_index
from tagline.definitions.models.head import DriftLimits
from tagline.errors import ModelRefused

Counts = np.ndarray[Any, np.dtype[np.int64]]

BINS = 10
VALUES = 20  # most frequent values of a category that have a bin of their own


class Bins(TypedDict):
    """The bins of one feature and how many training rows lay in each; plain, to go with a model.

    A number's bins end at `edges`, the deciles, each edge belonging to the bin below it; a
    category's bins are `values`. Then there is one for all other values, and the last for
    missing ones.
    """

    is_number: bool
    edges: list[float]
    values: list[str]
    counts: list[int]


def bins_of(values: pd.Series[Any], *, is_number: bool) -> Bins:
    """The bins of a feature's training values."""
    if is_number:
        present = values.to_numpy(dtype=float)
        present = present[np.isfinite(present)]
        edges: list[float] = []
        if len(present):
            tenths = np.arange(1, BINS) / BINS
            # inverted_cdf: an edge is a value that occurs, so equal values fall in one bin
            edges = np.unique(np.quantile(present, tenths, method="inverted_cdf")).tolist()
        bins = Bins(is_number=True, edges=edges, values=[], counts=[])
    else:
        counted = values.dropna().value_counts()
        ranked = sorted(counted.items(), key=lambda pair: (-pair[1], str(pair[0])))
        kept = [str(name) for name, _ in ranked[:VALUES]]
        bins = Bins(is_number=False, edges=[], values=kept, counts=[])
    bins["counts"] = [int(count) for count in counted_in(bins, values)]
    return bins


def counted_in(bins: Bins, values: pd.Series[Any]) -> Counts:
    """How many values fall in each of the bins."""
    if not bins["is_number"]:
        known = {name: place for place, name in enumerate(bins["values"])}
        places = values.map(known).fillna(len(known)).to_numpy(dtype=np.int64)
        rest = len(known)
        missing = values.isna().to_numpy()
    else:
        numbers = values.to_numpy(dtype=float)
        places = np.searchsorted(np.asarray(bins["edges"]), numbers, side="left")
        rest = len(bins["edges"])
        missing = ~np.isfinite(numbers)
    return np.bincount(np.where(missing, rest + 1, places), minlength=rest + 2)


def drift_of(bins: Mapping[str, Bins], counts: Mapping[str, Counts]) -> dict[str, float]:
    """The population stability index of each feature, of met rows against training rows."""
    return {
        slug: population_stability_index(its["counts"], counts[slug].tolist())
        for slug, its in bins.items()
    }


def watched(fitted: object, limits: DriftLimits | None) -> Mapping[str, Bins]:
    """Where the rows lay that a fitted model learned from; nothing for a kind without limits.

    ModelRefused where there are limits and the model cannot say.
    """
    if limits is None:
        return {}
    bins: Mapping[str, Bins] | None = getattr(fitted, "training_bins_", None)
    if bins is None:
        raise ModelRefused(
            "the champion does not say where its training rows lay, so its drift cannot be "
            "measured; train it again"
        )
    return bins


class Watch:
    """Counts what a model meets, batch by batch, in memory that does not grow with the rows."""

    def __init__(self, bins: Mapping[str, Bins]) -> None:
        self._bins = bins
        self._counts: dict[str, Counts] = {
            slug: np.zeros(len(its["counts"]), dtype=np.int64) for slug, its in bins.items()
        }

    def see(self, rows: pd.DataFrame) -> None:
        """Count a batch of rows, with a column per feature."""
        for slug, its in self._bins.items():
            self._counts[slug] += counted_in(its, rows[slug])

    def drift(self) -> dict[str, float]:
        """PSI of each feature over all rows seen; nothing when none were."""
        if not any(int(counts.sum()) for counts in self._counts.values()):
            return {}
        return drift_of(self._bins, self._counts)
