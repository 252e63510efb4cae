"""Which customers to ask people about: those whose label would teach a model most.

A question is worth the entropy of the model's answer times the distance from the nearest customer
who is labelled or asked about already. So neither what the model is sure of is asked, nor the
same doubt twice. Uncertainty sampling is Lewis and Gale (1994), A sequential algorithm for
training text classifiers; farthest-first traversal is Gonzalez (1985), Clustering to minimize the
maximum intercluster distance.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from tagline.training.panels import Array

MOST_COMPARED = 20_000  # the least certain of a larger population, to bound the time
HELD_OUT = 4  # one in so many customers is asked about at random, and judges the model
_TINY = 1e-15
Places = np.ndarray[Any, np.dtype[np.int64]]


def entropy(probabilities: Array) -> Array:
    """The uncertainty of each row of probabilities, in nats.

    >>> entropy(np.array([[0.5, 0.5], [1.0, 0.0]])).round(3).tolist()
    [0.693, 0.0]
    """
    safe = np.clip(probabilities, _TINY, 1)
    return np.asarray(-(safe * np.log(safe)).sum(axis=1) + 0.0)


def most_telling(uncertainty: Array, features: Array, known: Array, count: int) -> Places:
    """Places of the rows to ask about, the most telling first.

    `features` are rows × standardised inputs, `known` those of customers labelled already. Each
    next question has the greatest product of uncertainty and distance from what is known or asked.
    """
    candidates = np.argsort(-uncertainty, kind="stable")[:MOST_COMPARED]
    doubt, place = uncertainty[candidates], features[candidates]
    nearest = np.full(len(candidates), np.inf)
    for one in known:
        nearest = np.minimum(nearest, _distance(place, one))
    asked: list[int] = []
    open_ = np.ones(len(candidates), dtype=bool)
    for _ in range(min(count, len(candidates))):
        worth = doubt if np.isinf(nearest).all() else doubt * nearest
        chosen = int(np.argmax(np.where(open_, worth, -1.0)))
        asked.append(chosen)
        open_[chosen] = False
        nearest = np.minimum(nearest, _distance(place, place[chosen]))
    return np.asarray(candidates[asked], dtype=np.int64)


def at_random(customers: Iterable[str], count: int, label_set: str, about: str) -> list[str]:
    """A sample of customers, the same for the same label set and instant."""
    return sorted(customers, key=lambda one: _number("draw", label_set, about, one))[:count]


def held_out(label_set: str, customer: str) -> bool:
    """Whether a customer is of those who are asked about at random and judge the model.

    It depends on the customer and the label set alone, so nobody changes sides.
    """
    return _number("side", label_set, customer) % HELD_OUT == 0


def _number(*parts: str) -> int:
    return int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:8])


def _distance(rows: Array, one: Array) -> Array:
    return np.asarray(np.sqrt(((rows - one) ** 2).sum(axis=1)))
