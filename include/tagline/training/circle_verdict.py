"""The gate of circles: figures of a found partition, and every reason against it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tagline.definitions.models.circles import CirclesGate
from tagline.training.circle_measures import (
    Labels,
    agreement,
    chance,
    likeness,
    told_by,
    vectors,
)
from tagline.training.estimators.circles import Circles
from tagline.training.evaluate import Interval, bootstrap


@dataclass(frozen=True)
class Figures:
    """What was measured of circles.

    `weekly` and `seeds` hold the agreement of each pair of runs, in order; `metrics` the lowest
    of each with its interval, and the likeness of members on other tags; `chance` is the
    probability of that likeness for circles drawn by lot; `alike` and `told` go tag by tag.
    """

    weekly: tuple[float, ...]
    seeds: tuple[float, ...]
    metrics: Mapping[str, Interval]
    chance: float
    alike: Mapping[str, float]
    told: Mapping[str, float]


def measure(weekly: Sequence[Circles], fresh: Sequence[Circles], tags: pd.DataFrame) -> Figures:
    """Figures of the last of the `weekly` circles, each of which was started from the one before.

    `fresh` are of the same rows as the last, found from nothing by several seeds; `tags` has a row
    per customer of the last.
    """
    newest = weekly[-1]
    weeks = [_shared(*pair) for pair in itertools.pairwise(weekly)]
    seeds = [_shared(*pair) for pair in itertools.combinations(fresh, 2)]
    values = vectors(tags)
    metrics: dict[str, Interval] = {}
    measured: dict[str, tuple[float, ...]] = {}
    for name, pairs in (("weekly_agreement", weeks), ("seed_agreement", seeds)):
        measured[name] = tuple(_once(left, right) for left, right in pairs)
        left, right = pairs[int(np.argmin(measured[name]))]
        metrics |= bootstrap({name: agreement(left, right)}, {}, len(left))
    metrics |= bootstrap({"likeness": likeness(newest.labels_, values.values)}, {}, len(tags))
    once = np.ones((1, len(tags)))
    return Figures(
        measured["weekly_agreement"],
        measured["seed_agreement"],
        metrics,
        chance(newest.labels_, values.values),
        {
            slug: float(likeness(newest.labels_, values.of(slug))(once)[0])
            for slug in dict.fromkeys(values.columns)
        },
        {slug: told_by(newest.labels_, tags[slug]) for slug in tags.columns},
    )


def largest_share(circles: Circles) -> float:
    """The share of all customers that the largest circle holds."""
    return float(circles.sizes_.max(initial=0) / len(circles.customers_))


def shape_reasons(gate: CirclesGate, newest: Circles) -> tuple[str, ...]:
    """Reasons in the circles themselves: how many, how large, how clear."""
    reasons = []
    count, share = len(newest.circles_), largest_share(newest)
    if count < gate.min_circles:
        reasons.append(f"there are {count} circles, fewer than min_circles {gate.min_circles}")
    if not share <= gate.max_share:
        reasons.append(
            f"the largest circle holds {share:.0%} of the customers, more than max_share "
            f"{gate.max_share:.0%}"
        )
    if not newest.modularity_ >= gate.min_modularity:
        reasons.append(
            f"modularity {newest.modularity_:.3f} is below min_modularity "
            f"{gate.min_modularity:g}: customers share items across circles nearly as within"
        )
    return tuple(reasons)


def trust_reasons(gate: CirclesGate, figures: Figures) -> tuple[str, ...]:
    """Reasons in the figures: circles that do not last, depend on chance, or mean nothing."""
    reasons = []
    for name, between, least in (
        ("weekly_agreement", "consecutive weeks", gate.min_weekly_agreement),
        ("seed_agreement", "seeds", gate.min_seed_agreement),
    ):
        if not (found := figures.metrics[name]).value >= least:
            reasons.append(
                f"between {between} the adjusted Rand index falls to {found}, below "
                f"min_{name} {least:g}: the circles do not last"
            )
    alike = figures.metrics["likeness"]
    if np.isnan(alike.value):
        reasons.append(
            "whether the members of a circle are alike cannot be measured: every tag of judged_by "
            "is missing or the same for all of them; name other tags"
        )
    elif not (figures.chance <= gate.max_chance and alike.low > 0):
        reasons.append(
            "on tags that did not make the circles their members are not surely more alike than "
            f"others: likeness {alike}, reached by circles drawn by lot with probability "
            f"{figures.chance:.3f} (max_chance {gate.max_chance:g})"
        )
    reasons += [
        f"tag {slug!r} alone tells the circle of {share:.0%} of the customers, above "
        f"max_told_by_tag {gate.max_told_by_tag:.0%}: it made the circles, so take it out of "
        "judged_by"
        for slug, share in figures.told.items()
        if share > gate.max_told_by_tag
    ]
    return tuple(reasons)


def _shared(left: Circles, right: Circles) -> tuple[Labels, Labels]:
    """The circles of the customers that both know."""
    both = np.intersect1d(left.customers_, right.customers_)
    return left.labels_of(both), right.labels_of(both)


def _once(left: Labels, right: Labels) -> float:
    return float(agreement(left, right)(np.ones((1, len(left))))[0])
