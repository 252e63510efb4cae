"""How far circles can be trusted: agreement of two runs, and likeness on other tags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from tagline.training.evaluate import SEED, Metric
from tagline.training.panels import Array

Labels = np.ndarray[Any, np.dtype[np.int64]]

PERMUTATIONS = 999
RANGES = 20
CLIPPED = 3.0  # standard deviations beyond which a number says no more


@dataclass(frozen=True)
class Vectors:
    """Tags as numbers of unit variance, a row per customer; `columns` gives each one's tag."""

    values: Array
    columns: tuple[str, ...]

    def of(self, slug: str) -> Array:
        """The columns of one tag."""
        return self.values[:, [column == slug for column in self.columns]]


def agreement(left: Labels, right: Labels) -> Metric:
    """The adjusted Rand index of two partitions of the same customers.

    1 where they are the same, 0 where they agree as by chance. No circle (0) counts as a group.
    """
    _, row = np.unique(left, return_inverse=True)
    _, column = np.unique(right, return_inverse=True)
    by_row, by_column = _indicator(row), _indicator(column)
    both = _indicator(row * (int(column.max()) + 1) + column)

    def measure(weights: Array) -> Array:
        together = _pairs(weights @ both).sum(axis=1)
        rows = _pairs(weights @ by_row).sum(axis=1)
        columns = _pairs(weights @ by_column).sum(axis=1)
        chance = rows * columns / _pairs(weights.sum(axis=1))
        most = (rows + columns) / 2
        same = most == chance  # one group, or each customer alone, in both
        return np.where(same, 1.0, (together - chance) / np.where(same, 1.0, most - chance))

    return measure


def vectors(tags: pd.DataFrame) -> Vectors:
    """Numbers standardised and clipped, a missing one at the mean; texts as one column per value.

    The columns of a text together vary as much as one number, so that tags count alike.
    """
    parts: list[Array] = []
    columns: list[str] = []
    for slug in tags.columns:
        if not pd.api.types.is_numeric_dtype(tags[slug]):
            shown = tags[slug].fillna("").astype(str)
            values = pd.get_dummies(shown).to_numpy(dtype=float)
        elif tags[slug].isna().all():
            continue
        else:
            values = tags[slug].to_numpy(dtype=float).reshape(-1, 1)
            values = np.where(np.isnan(values), np.nanmean(values), values)
            spread = values.std() or 1.0
            values = np.clip((values - values.mean()) / spread, -CLIPPED, CLIPPED)
        values = values - values.mean(axis=0)
        variance = float((values**2).mean(axis=0).sum())
        if variance > 0:
            parts.append(values / np.sqrt(variance))
            columns += [slug] * values.shape[1]
    return Vectors(np.hstack(parts) if parts else np.zeros((len(tags), 0)), tuple(columns))


def likeness(labels: Labels, values: Array) -> Metric:
    """By which part two customers of one circle differ less than two of different circles.

    The difference is the mean squared distance of their rows of `values`; 0 where circles say
    nothing. Customers without a circle are left out.
    """
    member = labels != 0
    _, circle = np.unique(labels[member], return_inverse=True)
    inside = values[member]
    count, width = inside.shape
    groups = int(circle.max()) + 1
    # the rows as blocks, one per circle, so that one product gives the sums of each circle
    column = circle[:, None] * width + np.arange(width)[None, :]
    starts = np.arange(count + 1) * width
    blocks = sparse.csr_array((inside.ravel(), column.ravel(), starts), (count, groups * width))
    indicator = _indicator(circle)
    squares = (inside**2).sum(axis=1)

    def measure(weights: Array) -> Array:
        weights = weights[:, member]
        sizes = weights @ indicator
        spread = weights @ (indicator * squares[:, None])
        sums = (weights @ blocks).reshape(len(weights), groups, width)
        repeated = (weights**2).sum(axis=1)  # pairs of a customer with itself say nothing
        within = 2 * (sizes * spread - (sums**2).sum(axis=2)).sum(axis=1)
        within_pairs = (sizes**2).sum(axis=1) - repeated
        total = sums.sum(axis=1)
        everything = 2 * (sizes.sum(axis=1) * spread.sum(axis=1) - (total**2).sum(axis=1))
        pairs = sizes.sum(axis=1) ** 2 - repeated
        across_pairs = pairs - within_pairs
        result: Array = np.full(len(weights), np.nan)
        said = (within_pairs > 0) & (across_pairs > 0) & (everything > within)
        across = (everything[said] - within[said]) / across_pairs[said]
        result[said] = 1 - within[said] / within_pairs[said] / across
        return result

    return measure


def chance(labels: Labels, values: Array, permutations: int = PERMUTATIONS) -> float:
    """The probability of at least this likeness if circles were drawn by lot (permutation test).

    The smallest value is 1 / (permutations + 1). 1 where there is no likeness to be reached, as
    of values that are all the same.
    """
    once = np.ones((1, len(labels)))
    seen = float(likeness(labels, values)(once)[0])
    if np.isnan(seen):
        return 1.0
    random = np.random.default_rng(SEED)
    member = labels != 0
    inside, drawn = values[member], labels[member]
    once = np.ones((1, len(drawn)))
    reached = sum(
        float(likeness(random.permutation(drawn), inside)(once)[0]) >= seen
        for _ in range(permutations)
    )
    return (1 + reached) / (1 + permutations)


def told_by(labels: Labels, values: pd.Series[Any]) -> float:
    """The share of customers whose circle is the most frequent one among others of their value.

    Numbers are cut into twenty ranges. Near the share of the largest circle, a tag says nothing.
    """
    member = labels != 0
    shown = values[member]
    if pd.api.types.is_numeric_dtype(shown):
        shown = np.ceil(shown.rank(pct=True) * RANGES)  # equal values share a range
    group, _ = pd.factorize(shown, use_na_sentinel=False)
    circles, circle = np.unique(labels[member], return_inverse=True)
    counts = np.zeros((int(group.max(initial=-1)) + 1, len(circles)))
    np.add.at(counts, (group, circle), 1)
    others = counts[group]
    own = np.arange(len(circle))
    others[own, circle] -= 1  # the customer itself must not tell
    rival = others.copy()
    rival[own, circle] = -1
    told = others[own, circle] > rival.max(axis=1, initial=-1)
    return float(told.mean()) if len(told) else 0.0


def _indicator(groups: Labels) -> sparse.csr_array:
    """rows × groups: 1 where the row is in the group."""
    count = len(groups)
    shape = (count, int(groups.max()) + 1 if count else 0)
    return sparse.csr_array((np.ones(count), groups, np.arange(count + 1)), shape)


def _pairs(counts: Array) -> Array:
    return counts * (counts - 1) / 2
