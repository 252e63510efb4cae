"""How well a customer's interests tell what it buys next, against what everyone buys."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tagline.training.estimators.bought import Codes
from tagline.training.estimators.interests import Again, DecayedInterests, Memories
from tagline.training.evaluate import Interval, Metric, bootstrap, probability_bins
from tagline.training.panels import Array


def measure(
    model: DecayedInterests,
    rows: pd.DataFrame,
    bought: pd.DataFrame,
    champion: DecayedInterests | None = None,
) -> dict[str, Interval]:
    """Measures on a holdout: what was bought before its instant, and in the horizon after it.

    hit_share, popular_hit_share: the mean share of the listed items, and of as many of the most
    popular ones, that the customers who bought anything in the horizon bought of. Of all
    customers: calibration_error, how far the chances of the listed items are from how often they
    came true, and rising_gain, by how much a rising item was bought again more often than the
    item of the same customer with the most equal share in its long memory. All resample customers
    and are paired; rising_gain is left out where nothing rises.
    """
    holdout = Again.of(rows, bought)
    pairs = holdout.pairs
    memories = model.remembered(pairs)
    listed = pairs.best(memories.score, model.top)
    metrics = {
        "hit_share": _share(holdout, holdout.hits(listed) / model.top),
        "popular_hit_share": _share(holdout, _popular_hits(rows, bought, holdout, model.top)),
        "calibration_error": _calibration(holdout, listed, model.chance(memories, listed)),
    }
    differences = {"gain_over_popular": ("hit_share", "popular_hit_share")}
    if champion is not None:
        best = pairs.best(champion.remembered(pairs).score, model.top)
        metrics["champion_hit_share"] = _share(holdout, holdout.hits(best) / model.top)
        differences["gain_over_champion"] = ("hit_share", "champion_hit_share")
    rising = model.rising(pairs, memories)
    if len(rising):
        metrics["rising_gain"] = _rising_gain(holdout, memories, rising)
    return bootstrap(metrics, differences, len(pairs.customers))


def _share(holdout: Again, share: Array) -> Metric:
    """The mean over the customers who returned."""
    return _ratio(np.where(holdout.returned, share, 0.0), holdout.returned.astype(float))


def _popular_hits(rows: pd.DataFrame, bought: pd.DataFrame, holdout: Again, top: int) -> Array:
    """What share of the `top` most popular items each customer bought in the horizon."""
    pairs = holdout.pairs
    popular = np.argsort(-pairs.popularity(pairs.memory(np.inf)), kind="stable")[:top]
    after = bought[bought["item"].isin(pairs.items[popular])]
    counted = after.drop_duplicates(["customer_id", "item"]).groupby("customer_id").size()
    return np.asarray(counted.reindex(pairs.customers.astype(object), fill_value=0) / top)


def _calibration(holdout: Again, listed: Codes, chance: Array) -> Metric:
    """Over bins of equally many listed items, the mean gap of chance and actual frequency."""
    bins = probability_bins(chance)
    people, width = len(holdout.returned), int(bins.max(initial=0)) + 1
    place = holdout.pairs.customer[listed] * width + bins
    gaps = np.bincount(place, chance - holdout.again[listed], people * width)
    sizes = np.bincount(holdout.pairs.customer[listed], minlength=people)

    def metric(weights: Array) -> Array:
        total = np.abs(weights @ gaps.reshape(people, width)).sum(axis=1)
        return np.asarray(total / (weights @ sizes))

    return metric


def _rising_gain(holdout: Again, memories: Memories, rising: Codes) -> Metric:
    """How much more often rising items are bought again than those of equal long memory."""
    pairs = holdout.pairs
    others = np.setdiff1d(np.arange(len(pairs.customer)), rising)
    # a share is at most 1, so that customers stay apart
    place = pairs.customer * 2 + memories.slow
    others = others[np.argsort(place[others], kind="stable")]
    after = np.searchsorted(place[others], place[rising])
    near = np.stack([others[np.clip(after + step, 0, len(others) - 1)] for step in (-1, 0)])
    nearest = near[np.abs(place[near] - place[rising]).argmin(axis=0), np.arange(len(rising))]
    alike = pairs.customer[nearest] == pairs.customer[rising]
    rising, nearest = rising[alike], nearest[alike]
    gain = holdout.again[rising].astype(float) - holdout.again[nearest]
    people = len(holdout.returned)
    who = pairs.customer[rising]
    return _ratio(np.bincount(who, gain, people), np.bincount(who, minlength=people).astype(float))


def _ratio(part: Array, whole: Array) -> Metric:
    """The sum of a value per customer over the sum of another; NaN without any."""

    def metric(weights: Array) -> Array:
        below = weights @ whole
        result = np.full(len(weights), np.nan)
        np.divide(weights @ part, below, out=result, where=below > 0)
        return result

    return metric
