"""What a customer likes: shares of items in its buying, by a long memory and a recent one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from tagline.errors import ModelRefused
from tagline.training.estimators.bought import (
    SMALL,
    Array,
    Bought,
    Codes,
    Flags,
    lists,
    positions,
)

FLOOR = 0.001  # no chance is nothing or all
ROUNDS = 2  # of the search: each parameter in turn, given the others


class DecayedInterests(BaseEstimator):  # type: ignore[misc]
    """Orders what a customer bought by how much of its buying it is.

    An item's score is its share in the customer's decayed buying, partly by a long memory and
    partly by a recent one, each smoothed towards the item's popularity. Both half-lives, the part
    of the recent memory and the smoothing (a number of purchases) are those by which the customers
    of the panels that `fit` is given bought the most of their `top` again. Half-lives and
    `horizon_days` are in days. An item rises when a customer bought at least `rising_weight` of it
    lately, `rising_limit` standard errors more than its long memory leads to expect.
    """

    def __init__(
        self,
        top: int = 5,
        horizon_days: float = 30.0,
        long_half_lives: Sequence[float] = (60.0, 90.0, 120.0, 180.0, 365.0),
        recent_half_lives: Sequence[float] = (10.0, 20.0, 30.0),
        recent_parts: Sequence[float] = (0.0, 0.1, 0.2, 0.3, 0.5),
        smoothings: Sequence[float] = (0.0, 5.0, 20.0, 50.0, 100.0, 200.0),
        rising_weight: float = 1.5,
        rising_limit: float = 3.0,
    ) -> None:
        self.top = top
        self.horizon_days = horizon_days
        self.long_half_lives = long_half_lives
        self.recent_half_lives = recent_half_lives
        self.recent_parts = recent_parts
        self.smoothings = smoothings
        self.rising_weight = rising_weight
        self.rising_limit = rising_limit

    def fit(self, rows: pd.DataFrame, bought: pd.DataFrame) -> DecayedInterests:
        """Learn from panels of the past: what was bought before each instant and soon after it.

        `rows` has panel, customer_id, item, weight and days_ago of the instant, `bought` has panel,
        customer_id and item of the horizon. Panels sort by their name; the last one's popularity
        is kept.
        """
        return self.fit_panels(
            [
                Again.of(part, bought[bought["panel"] == name])
                for name, part in rows.groupby("panel", sort=True)
            ]
        )

    def fit_panels(self, panels: Sequence[Again]) -> DecayedInterests:
        """Learn from panels that are gathered already, the newest last.

        One in whose horizon nobody returned tells nothing and is left out; ModelRefused where
        that is so of all.
        """
        panels = [panel for panel in panels if panel.returned.any()]
        if not panels:
            raise ModelRefused("nobody bought anything again in the horizons of the panels")
        self._choose(panels)
        newest = panels[-1].pairs
        self.items_ = newest.items
        self.popularity_ = newest.popularity(newest.memory(self.long_half_life_))
        inputs, labels = [], []
        for panel in panels:
            popularity = panel.pairs.popularity(panel.pairs.memory(self.long_half_life_))
            memories = self._memories(panel.pairs, popularity)
            listed = panel.pairs.best(memories.score, self.top)
            inputs.append(memories.inputs(listed))
            labels.append(panel.again[listed])
        self._learn_chance(np.concatenate(inputs), np.concatenate(labels))
        return self

    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        """A row per customer: customer_id, interests, strength, rising, reasons, reasons_zh.

        `interests` are its best items, the strongest first; `strength` is the share of them that
        it will buy of within the horizon, as far as can be told; `rising` are the items that it
        buys more of lately, the surest first; `reasons` has a sentence per interest, `reasons_zh`
        the same in Chinese.
        """
        pairs = Bought.of(rows)
        memories = self.remembered(pairs)
        listed = pairs.best(memories.score, self.top)
        rising = self.rising(pairs, memories)
        chance = self.chance(memories, listed)
        weight, newest = pairs.memory(np.inf)[listed], pairs.newest()[listed]
        told = list(
            zip(pairs.items[pairs.item[listed]].tolist(), weight, newest, chance, strict=True)
        )
        english = [self._said(*one) for one in told]
        chinese = [self._said_zh(*one) for one in told]
        who, count = pairs.customer[listed], len(pairs.customers)
        found = {
            "customer_id": pairs.customers.astype(object),
            "interests": lists(pairs.items[pairs.item[listed]].astype(object), who, count),
            "strength": np.bincount(who, chance, count) / np.bincount(who, minlength=count),
            "rising": lists(
                pairs.items[pairs.item[rising]].astype(object), pairs.customer[rising], count
            ),
            "reasons": lists(np.asarray(english, dtype=object), who, count),
            "reasons_zh": lists(np.asarray(chinese, dtype=object), who, count),
        }
        return pd.DataFrame(found)

    def _said(self, item: str, weight: float, newest: float, chance: float) -> str:
        return (
            f"{item}: bought {_times(weight)}, last {_days(newest)} ago; "
            f"{chance:.0%} likely again within {_days(self.horizon_days)}"
        )

    def _said_zh(self, item: str, weight: float, newest: float, chance: float) -> str:
        last = f"{int(newest)}天前" if newest >= 1 else "不到一天前"
        return (
            f"{item}：购买{weight:.0f}次，最近一次在{last}；"
            f"{self.horizon_days:.0f}天内再次购买的可能性为{chance:.0%}"
        )

    def remembered(self, pairs: Bought) -> Memories:
        """What is remembered of some pairs; a new item's popularity counts as 0."""
        at = positions(self.items_, pairs.items)
        return self._memories(pairs, np.where(at >= 0, self.popularity_[at], 0.0))

    def chance(self, memories: Memories, listed: Codes) -> Array:
        """The probability that each of some pairs is bought again within the horizon."""
        if not len(listed):
            return np.empty(0)
        said = self.chance_.predict_proba(memories.inputs(listed))[:, 1]
        return np.asarray(np.interp(said, self.said_, self.frequency_))

    def rising(self, pairs: Bought, memories: Memories) -> Codes:
        """The pairs that rise, at most `top` per customer, the surest first."""
        expected = memories.slow * memories.recent_total
        # the variance of an exponentially decayed count of independent events is half its mean
        excess = (memories.recent - expected) / np.sqrt(expected / 2 + SMALL)
        rises = (memories.recent >= self.rising_weight) & (excess >= self.rising_limit)
        listed = pairs.best(np.where(rises, excess, 0.0), self.top)
        return listed[rises[listed]]

    def _learn_chance(self, inputs: Array, again: Flags) -> None:
        """A logistic regression, bent so that its probabilities are as frequent as they say."""
        self.chance_ = LogisticRegression(C=1e3, max_iter=1000).fit(inputs, again)
        said = self.chance_.predict_proba(inputs)[:, 1]
        bent = IsotonicRegression(y_min=FLOOR, y_max=1 - FLOOR).fit(said, again)
        self.said_, self.frequency_ = bent.X_thresholds_, bent.y_thresholds_

    def _memories(self, pairs: Bought, popularity: Array) -> Memories:
        long = pairs.memory(self.long_half_life_)
        recent = pairs.memory(self.recent_half_life_)
        slow, fast = (shares(pairs, part, popularity, self.smoothing_) for part in (long, recent))
        return Memories(
            score=mixed(slow, fast, self.recent_part_),
            slow=slow,
            fast=fast,
            recent=recent,
            long_total=pairs.total(long),
            recent_total=pairs.total(recent),
        )

    def _choose(self, panels: Sequence[Again]) -> None:
        """Search each parameter in turn, for the most customers; of equal values the first."""
        grids = (self.long_half_lives, self.recent_half_lives, self.recent_parts, self.smoothings)
        memory = [
            {life: panel.pairs.memory(life) for life in {*grids[0], *grids[1]}} for panel in panels
        ]
        chosen = [grid[len(grid) // 2] for grid in grids]
        for _ in range(ROUNDS):
            for place, grid in enumerate(grids):
                tried = [[*chosen[:place], value, *chosen[place + 1 :]] for value in grid]
                shares = [
                    np.average(
                        [
                            _tried(*pair, self.top, *one)
                            for pair in zip(panels, memory, strict=True)
                        ],
                        weights=[panel.returned.sum() for panel in panels],
                    )
                    for one in tried
                ]
                chosen[place] = grid[int(np.argmax(shares))]
        self.long_half_life_, self.recent_half_life_, self.recent_part_, self.smoothing_ = (
            float(value) for value in chosen
        )


@dataclass(frozen=True)
class Memories:
    """How much of its customer's buying each pair is, and since when."""

    score: Array
    slow: Array  # share by the long memory, smoothed
    fast: Array  # share by the recent memory, smoothed
    recent: Array  # what is remembered of the pair lately, in purchases
    long_total: Array  # of all the customer's pairs
    recent_total: Array

    def inputs(self, listed: Codes) -> Array:
        """What the chance of some pairs to be bought again is told from, a row per pair."""
        logarithms = [np.log(part[listed] + SMALL) for part in (self.slow, self.fast)]
        sizes = [np.log1p(part[listed]) for part in (self.long_total, self.recent_total)]
        return np.column_stack([*logarithms, *sizes])


def shares(pairs: Bought, memory: Array, popularity: Array, smoothing: float) -> Array:
    """The share of each pair in its customer's buying, as if `smoothing` popular items more."""
    prior = smoothing * popularity[pairs.item]
    return np.asarray((memory + prior) / (pairs.total(memory) + smoothing + SMALL))


def mixed(slow: Array, fast: Array, recent_part: float) -> Array:
    """The score of pairs whose shares are remembered long and lately."""
    return (1 - recent_part) * slow + recent_part * fast


@dataclass(frozen=True)
class Again:
    """A panel of the past: what was bought before its instant, and what in the horizon after."""

    pairs: Bought
    again: Flags  # per pair: bought in the horizon
    returned: Flags  # per customer: anything bought in the horizon
    bought_customer: Codes  # each customer and item of the horizon that the pairs know, once
    bought_item: Codes

    @classmethod
    def of(cls, rows: pd.DataFrame, bought: pd.DataFrame) -> Again:
        """A panel of the rows before its instant and those (customer_id, item) after it."""
        pairs = Bought.of(rows)
        returned = np.isin(pairs.customers, bought["customer_id"].to_numpy(dtype=str))
        width = max(1, len(pairs.items))
        keys = pairs.keys(bought)
        again = np.isin(pairs.customer * width + pairs.item, keys)
        return cls(pairs, again, returned, keys // width, keys % width)

    def hits(self, listed: Codes) -> Array:
        """How many of its listed pairs each customer bought again."""
        who = self.pairs.customer[listed]
        return np.bincount(who[self.again[listed]], minlength=len(self.returned)).astype(float)


def _tried(
    panel: Again,
    memory: Mapping[float, Array],
    top: int,
    long_half_life: float,
    recent_half_life: float,
    recent_part: float,
    smoothing: float,
) -> float:
    long, recent = memory[long_half_life], memory[recent_half_life]
    popularity = panel.pairs.popularity(long)
    slow, fast = (shares(panel.pairs, part, popularity, smoothing) for part in (long, recent))
    listed = panel.pairs.best(mixed(slow, fast, recent_part), top)
    return float(panel.hits(listed)[panel.returned].mean() / top)


def _times(count: float) -> str:
    return "once" if round(count) == 1 else f"{count:.0f} times"


def _days(count: float) -> str:
    whole = int(count)
    return f"{whole} days" if whole > 1 else "a day" if whole else "less than a day"
