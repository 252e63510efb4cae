"""How well a customer's interests tell what it buys next, against what everyone buys."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tagline.definitions.models.interests import InterestsGate
from tagline.training.estimators.bought import Codes
from tagline.training.estimators.interests import Again, DecayedInterests, Memories
from tagline.training.evaluate import Interval, Metric, bootstrap, probability_bins, ratio
from tagline.training.panels import Array


def measure(
    model: DecayedInterests, holdout: Again, champion: DecayedInterests | None = None
) -> dict[str, Interval]:
    """Measures on a holdout: what was bought before its instant, and in the horizon after it.

    hit_share, popular_hit_share: the mean share of the listed items, and of as many of the most
    popular ones, that the customers who bought anything in the horizon bought of. Of all
    customers: calibration_error, how far the chances of the listed items are from how often they
    came true, and rising_gain, by how much a rising item was bought again more often than the
    item of the same customer with the most equal share in its long memory. All resample customers
    and are paired; rising_gain is left out where nothing rises.
    """
    pairs = holdout.pairs
    memories = model.remembered(pairs)
    listed = pairs.best(memories.score, model.top)
    metrics = {
        "hit_share": _share(holdout, holdout.hits(listed) / model.top),
        "popular_hit_share": _share(holdout, _popular_hits(holdout, model.top)),
        "calibration_error": _calibration(holdout, listed, model.chance(memories, listed)),
    }
    differences = {"gain_over_popular": ("hit_share", "popular_hit_share")}
    if champion is not None:
        before = champion.remembered(pairs)
        best = pairs.best(before.score, model.top)
        metrics["champion_hit_share"] = _share(holdout, holdout.hits(best) / model.top)
        metrics["champion_calibration_error"] = _calibration(
            holdout, best, champion.chance(before, best)
        )
        differences["champion_gain_over_popular"] = ("champion_hit_share", "popular_hit_share")
        differences["gain_over_champion"] = ("hit_share", "champion_hit_share")
    rising = model.rising(pairs, memories)
    if len(rising):
        metrics["rising_gain"] = _rising_gain(holdout, memories, rising)
    return bootstrap(metrics, differences, len(pairs.customers))


def judge(gate: InterestsGate, top: int, metrics: Mapping[str, Interval]) -> tuple[str, ...]:
    """Reasons why the measured interests may not serve."""
    reasons = []
    hits, gain, error = (
        metrics[name] for name in ("hit_share", "gain_over_popular", "calibration_error")
    )
    if not hits.value >= gate.min_hit_share:
        reasons.append(
            f"of the {top} interests of a customer who returned, a share of {hits} was bought "
            f"again, below min_hit_share {gate.min_hit_share:g}"
        )
    if not gain.low > gate.min_gain_over_popular:
        reasons.append(
            f"the gain over the {top} most popular items, {gain}, is not surely above "
            f"min_gain_over_popular {gate.min_gain_over_popular:g}: that tells as much"
        )
    if not error.value <= gate.max_calibration_error:
        reasons.append(
            f"the chances of the interests are off by {error} on average, above "
            f"max_calibration_error {gate.max_calibration_error:g}"
        )
    return (*reasons, *against_champion(gate, metrics))


def against_champion(gate: InterestsGate, metrics: Mapping[str, Interval]) -> tuple[str, ...]:
    """Reasons why the present champion, measured on the same holdout, stays.

    One that the gate would accept today is replaced only by interests that are surely better.
    """
    gain = metrics.get("gain_over_champion")
    if gain is None:
        return ()
    if gain.high < 0:
        return (f"it is surely worse than the present champion: {gain} in hit share",)
    champion_passes = (
        metrics["champion_hit_share"].value >= gate.min_hit_share
        and metrics["champion_gain_over_popular"].low > gate.min_gain_over_popular
        and metrics["champion_calibration_error"].value <= gate.max_calibration_error
    )
    if champion_passes and not gain.low > 0:
        return (
            f"the present champion stays: the gain over it in hit share, {gain}, is not surely "
            "above 0, and the champion keeps the gate's limits on this holdout",
        )
    return ()


def _share(holdout: Again, share: Array) -> Metric:
    """The mean over the customers who returned."""
    return ratio(np.where(holdout.returned, share, 0.0), holdout.returned.astype(float))


def _popular_hits(holdout: Again, top: int) -> Array:
    """What share of the `top` most popular items each customer bought in the horizon."""
    popular = np.argsort(-holdout.pairs.popularity(holdout.pairs.memory(np.inf)), kind="stable")
    wanted = np.isin(holdout.bought_item, popular[:top])
    hits = np.bincount(holdout.bought_customer[wanted], minlength=len(holdout.returned))
    return np.asarray(hits / top)


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
    return ratio(
        np.bincount(who, gain, people).astype(float),
        np.bincount(who, minlength=people).astype(float),
    )
