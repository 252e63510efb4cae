"""Who bought what: pairs of a customer and an item, and how much of each is remembered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tagline.errors import ModelRefused

Array = np.ndarray[Any, np.dtype[np.float64]]
Codes = np.ndarray[Any, np.dtype[np.int64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]
Names = np.ndarray[Any, np.dtype[Any]]

ROWS = ("customer_id", "item", "weight", "days_ago")
SMALL = 1e-6  # keeps a share of nothing at 0


@dataclass(frozen=True)
class Bought:
    """Every pair of a customer and an item, of rows (customer_id, item, weight, days_ago).

    `customers` and `items` are sorted names; `customer` and `item` are the codes of each pair,
    which are ordered by customer and item; `pair` is the pair of each row. A weight is how often
    the item was bought, days count back from the instant that is looked at.
    """

    customers: Names
    items: Names
    customer: Codes
    item: Codes
    pair: Codes
    weight: Array
    days_ago: Array

    @classmethod
    def of(cls, rows: pd.DataFrame) -> Bought:
        """The pairs of rows with the columns ROWS; ModelRefused where one of them is missing."""
        if rows[list(ROWS)].isna().to_numpy().any():
            raise ModelRefused(
                "a row of purchases has no customer_id, item, weight or days_ago; leave such rows "
                "out of the input query"
            )
        who, customers = pd.factorize(rows["customer_id"], sort=True)
        what, items = pd.factorize(rows["item"], sort=True)
        width = max(1, len(items))
        keys, pair = np.unique(who * width + what, return_inverse=True)
        return cls(
            np.asarray(customers, dtype=str),
            np.asarray(items, dtype=str),
            keys // width,
            keys % width,
            pair,
            rows["weight"].to_numpy(dtype=float),
            rows["days_ago"].to_numpy(dtype=float),
        )

    def memory(self, half_life: float) -> Array:
        """Weight of each pair when a row counts half after `half_life` days."""
        decayed = self.weight * np.exp2(-self.days_ago / half_life)
        return np.bincount(self.pair, decayed, minlength=len(self.customer)).astype(float)

    def newest(self) -> Array:
        """How many days ago each pair was bought last."""
        last = np.full(len(self.customer), np.inf)
        np.minimum.at(last, self.pair, self.days_ago)
        return last

    def total(self, values: Array) -> Array:
        """The customer's sum of a value per pair, for each pair."""
        totals = np.bincount(self.customer, values, minlength=len(self.customers))
        return np.asarray(totals[self.customer], dtype=float)

    def popularity(self, values: Array) -> Array:
        """Each item's share in the sum of a value per pair."""
        totals = np.bincount(self.item, values, minlength=len(self.items))
        return np.asarray(totals / max(totals.sum(), SMALL))

    def best(self, score: Array, top: int) -> Codes:
        """The pairs that are among their customer's `top` by score, strongest first, then by name.

        Ordered by customer. Scores that differ by less than a millionth of the largest are equal.
        """
        size = 4 * max(float(np.abs(score).max(initial=0.0)), SMALL)
        order = np.argsort(self.customer - np.round(score / size, 7), kind="stable")
        first = np.searchsorted(self.customer, np.arange(len(self.customers)))
        rank = np.arange(len(order)) - first[self.customer[order]]
        return order[rank < top]

    def keys(self, bought: pd.DataFrame) -> Codes:
        """customer × items + item of each of the rows (customer_id, item) that is known, once."""
        who = positions(self.customers, bought["customer_id"])
        what = positions(self.items, bought["item"])
        known = (who >= 0) & (what >= 0)
        return np.unique(who[known] * len(self.items) + what[known])


def lists(values: Names, of: Codes, count: int) -> list[list[Any]]:
    """The values of each code from 0 up to `count`, in their order; `of` is ascending."""
    ends = np.searchsorted(of, np.arange(count + 1))
    return [values[ends[code] : ends[code + 1]].tolist() for code in range(count)]


def positions(known: Names, values: Iterable[Any]) -> Codes:
    """The place of each value among the known names; -1 where it is not among them."""
    codes: Codes = pd.Index(known.astype(object)).get_indexer(pd.Index(values, dtype=object))
    return codes
