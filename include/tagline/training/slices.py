"""Whether a model is much worse for some customers than for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tagline.errors import ModelRefused
from tagline.training.evaluate import Interval, Metric, Subjects, bootstrap
from tagline.training.panels import Array

Mask = np.ndarray[Any, np.dtype[np.bool_]]

VALUES = 12  # most frequent values of a tag that are looked at
NONE = "(none)"


@dataclass(frozen=True)
class Slice:
    """The customers of the holdout with one value of a tag, and how a measure differs there.

    `gap` is the measure over these customers less the one over all; it is measured on the same
    resamples, so it is paired.
    """

    tag: str
    value: str
    rows: int
    gap: Interval


def slices_of(
    columns: pd.DataFrame, tags: Sequence[str], enough: Callable[[Mask], bool]
) -> dict[tuple[str, str], Mask]:
    """The rows of each value of each tag that has enough of them; a missing value is one too.

    ModelRefused where a tag is a number, of which each value would be a slice.
    """
    found: dict[tuple[str, str], Mask] = {}
    for tag in tags:
        if pd.api.types.is_numeric_dtype(columns[tag]):
            raise ModelRefused(f"slice {tag!r} is a number; name a text or a boolean tag")
        values = columns[tag].fillna(NONE).astype(str)
        counted = values.value_counts()
        ranked = sorted(counted.items(), key=lambda pair: (-pair[1], str(pair[0])))
        for value, _ in ranked[:VALUES]:
            mask: Mask = (values == value).to_numpy(dtype=bool)
            if enough(mask) and not mask.all():
                found[tag, str(value)] = mask
    return found


def measure_slices(
    measure: Callable[[Mask], Metric],
    slices: dict[tuple[str, str], Mask],
    rows: int,
    subjects: Subjects | None = None,
) -> tuple[Slice, ...]:
    """The gap of each slice; `measure` makes the metric of the rows of a mask.

    `subjects` is as of `bootstrap`.
    """
    if not slices:
        return ()
    metrics = {"all": _within(measure, np.ones(rows, dtype=bool))}
    differences = {}
    for number, mask in enumerate(slices.values()):
        metrics[f"slice {number}"] = _within(measure, mask)
        differences[f"gap {number}"] = (f"slice {number}", "all")
    measured = bootstrap(metrics, differences, rows, subjects=subjects)
    return tuple(
        Slice(tag, value, int(mask.sum()), measured[f"gap {number}"])
        for number, ((tag, value), mask) in enumerate(slices.items())
    )


def much_worse(slices: Sequence[Slice], max_gap: float, name: str = "ROC AUC") -> tuple[str, ...]:
    """Reasons that name each slice whose measure is surely lower by more than `max_gap`."""
    return tuple(
        f"for customers with {one.tag} {one.value!r} ({one.rows} of the holdout) it is much worse "
        f"than for all: {name} differs by {one.gap}, surely beyond max_slice_gap {max_gap:g}"
        for one in slices
        if one.gap.high < -max_gap
    )


def looked_at(slices: Sequence[Slice], drift: Mapping[str, float]) -> dict[str, float]:
    """How many slices were judged, the worst of their gaps, the greatest PSI of a feature."""
    gaps = [one.gap.value for one in slices]
    return {
        "slices": len(gaps),
        **({"worst_slice_gap": round(min(gaps), 6)} if gaps else {}),
        **({"max_feature_psi": round(max(drift.values()), 6)} if drift else {}),
    }


def as_document(slices: Sequence[Slice]) -> dict[str, Any]:
    """The slices as a training's run keeps them."""
    return {
        "slices": [
            {"tag": one.tag, "value": one.value, "rows": one.rows, "gap": one.gap.as_json()}
            for one in slices
        ]
    }


def _within(measure: Callable[[Mask], Metric], mask: Mask) -> Metric:
    metric = measure(mask)

    def of_all_rows(weights: Array) -> Array:
        return metric(weights[:, mask])

    return of_all_rows
