"""Panels: the tags of customers at past instants, each with what happened after it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tagline.definitions.models import Panels
from tagline.definitions.types import DataType
from tagline.errors import ModelRefused

Array = np.ndarray[Any, np.dtype[np.float64]]

# an instant and a window -> the instant that much earlier
Before = Callable[[datetime, timedelta], datetime]

MOST_TRAINED = 400_000  # rows of all training panels; with more, a sample of the customers is kept
MOST_JUDGED = 200_000  # rows of the holdout, whose intervals are then narrow enough

NUMBERS = frozenset({DataType.INTEGER, DataType.NUMBER})
CATEGORIES = frozenset({DataType.BOOLEAN, DataType.TEXT})


@dataclass(frozen=True)
class Schedule:
    """The instants that a training looks at, newest first; `holdout` is the newest of all."""

    holdouts: tuple[datetime, ...]
    trained: tuple[datetime, ...]

    @property
    def holdout(self) -> datetime:
        """The newest instant, whose label horizon ends at as_of."""
        return self.holdouts[0]


@dataclass(frozen=True)
class Panel:
    """The labelled customers of a population at one instant.

    `rows` has a column per feature and one named as the plain rule's tag, ordered by customer;
    `label` is 1 where the predicted thing happened and 0 where it did not.
    """

    as_of: datetime
    customers: np.ndarray[Any, np.dtype[Any]]
    rows: pd.DataFrame
    label: Array

    @property
    def positives(self) -> int:
        """How many customers the predicted thing happened to."""
        return int(self.label.sum())

    @property
    def digest(self) -> str:
        """A short digest of the content: the same customers, values and labels give the same."""
        hashed = hashlib.sha256(self.as_of.isoformat().encode())
        frame = self.rows.assign(customer_id=self.customers, label=self.label)
        hashed.update(json.dumps(list(frame.columns)).encode())
        hashed.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
        return hashed.hexdigest()[:16]


def hours_before(at: datetime, window: timedelta) -> datetime:
    """The instant a window earlier where no clock is ever changed."""
    return at - window


def schedule(
    panels: Panels,
    horizon: timedelta,
    as_of: datetime,
    before: Before = hours_before,
    holdouts: int = 1,
) -> Schedule:
    """The holdouts' instants, the newest one horizon before as_of, and those trained on.

    A panel is trained on only when its label horizon ends by the oldest holdout, so that
    nothing that the holdout is asked to predict was ever seen. Days are those of `before`: of the
    business's wall clock, as the horizons of labels are. ModelRefused where no panel remains.
    """
    newest = before(as_of, horizon)
    instants = tuple(before(newest, panels.every * step) for step in range(panels.count))
    judged = instants[:holdouts]
    last = before(judged[-1], horizon)
    trained = tuple(at for at in instants[holdouts:] if at <= last)
    if not trained:
        raise ModelRefused(
            f"no panel has a horizon that ends by the holdout's {judged[-1].isoformat()}; "
            "raise panels.count or panels.every"
        )
    return Schedule(judged, trained)


def typed_frame(table: pa.Table, types: Mapping[str, DataType]) -> pd.DataFrame:
    """Columns as the pipeline reads them: numbers as floats, text and booleans as strings.

    A missing number is NaN, a missing text or boolean is None.
    """
    columns: dict[str, Any] = {}
    for slug, type_ in types.items():
        column = table.column(slug)
        if type_ in NUMBERS:
            columns[slug] = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        else:
            texts = column.cast(pa.string()).to_pylist()
            columns[slug] = pd.Series(texts, dtype=object)
    return pd.DataFrame(columns, columns=list(types))


def hashed(customers: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """A number for each customer, the same on every machine, day and panel."""
    return pd.util.hash_array(np.asarray(customers, dtype=object), categorize=False)


def thinned(panel: Panel, most: int) -> Panel:
    """About `most` rows of a panel that has more: the same customers of every panel."""
    if len(panel.label) <= most:
        return panel
    kept = hashed(panel.customers) < most / len(panel.label) * 2.0**64
    return part_of(panel, kept)


def part_of(panel: Panel, kept: np.ndarray[Any, np.dtype[np.bool_]]) -> Panel:
    """The rows of a panel where `kept` is true."""
    return Panel(
        panel.as_of,
        panel.customers[kept],
        panel.rows[kept].reset_index(drop=True),
        panel.label[kept],
    )


def stack(panels: Sequence[Panel]) -> Panel:
    """All rows of several panels as one, with the instant of the first."""
    return Panel(
        panels[0].as_of,
        np.concatenate([panel.customers for panel in panels]),
        pd.concat([panel.rows for panel in panels], ignore_index=True),
        np.concatenate([panel.label for panel in panels]),
    )
