"""Forward fitting: each part of the rows is judged by a model of the parts before it.

Ordinary cross-fitting lets every row judge, but a bootstrap over its scores takes them for given,
although what one fold teaches is what another is judged by: each pair of folds counts twice. On
trials without any effect to find it called every tenth model better than chance (measured; its
errors are too small by about the root of two). Here each pair counts once, so that given the past
a part's result is a fresh one, and the interval means what it says. The price is that the first
part judges nothing, and that the models that are judged have seen half the rows on average.

How the customers happen to be divided moves the outcome, so there are several divisions, and the
mean counts. Its interval is as wide as that of one: divisions of the same rows are no new data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tagline.training.evaluate import Interval
from tagline.training.panels import Array

PARTS = 5
DIVISIONS = 3

Rows = np.ndarray[Any, np.dtype[np.int64]]
# rows to learn from, rows to judge -> a score of each of the latter
Scorer = Callable[[Rows, Rows], Array]


@dataclass(frozen=True)
class Judged:
    """Rows that were judged by models that had not seen their customers.

    `ranks`, from 0 to 1, are taken within the part, since scores of different models are not on
    one scale; they order the rows.
    """

    rows: Rows
    scores: Array
    ranks: Array


def parts(customers: np.ndarray[Any, np.dtype[Any]], division: int = 0) -> Rows:
    """The part of each row, by a hash of its customer: the same in any order and every trial."""
    names = pd.unique(pd.Series(customers, dtype=object))
    told = {name: _part(f"{division} {name}") for name in names}
    return np.array([told[name] for name in customers], dtype=np.int64)


def forward(customers: np.ndarray[Any, np.dtype[Any]], scorer: Scorer, division: int = 0) -> Judged:
    """Scores of every row but those of the first part of the division."""
    part = parts(customers, division)
    rows, scores, ranks = [], [], []
    for number in range(1, PARTS):
        asked = np.flatnonzero(part == number)
        found = scorer(np.flatnonzero(part < number), asked)
        rows.append(asked)
        scores.append(found)
        ranks.append(pd.Series(found).rank().to_numpy(dtype=float) / (len(asked) + 1))
    return Judged(np.concatenate(rows), np.concatenate(scores), np.concatenate(ranks))


def mean_of(divisions: Sequence[Interval]) -> Interval:
    """The mean of what divisions of the same rows gave, no surer than one of them."""
    value, low, high = (
        float(np.mean([getattr(one, name) for one in divisions]))
        for name in ("value", "low", "high")
    )
    return Interval(value, low, high)


def _part(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") % PARTS
