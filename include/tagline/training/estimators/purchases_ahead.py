"""The purchases that a customer who is alive will still make, by a stable quadrature."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from scipy.special import expit

Array = np.ndarray[Any, np.dtype[np.float64]]

STEP = 0.1
CELLS = 2_000_000  # of one block of customers × nodes, to bound the memory
_NEGLIGIBLE = 40.0  # exp(-40) is below a double's last digit


def purchases_while_alive(shape: Array, a: float, b: Array, horizon: Array) -> Array:
    """Expected purchases in a horizon of customers known to be alive now.

    `shape` and `b` belong to the customer (r and b plus its repeat purchases), `horizon` is in
    units of alpha plus its age. With its rate gamma distributed and its probability p of leaving
    beta (a, b), a customer makes (1 - (1 + p horizon) ** -shape) / p purchases; this is their mean
    over p. The closed form is a Gauss hypergeometric function,

        (a + b - 1) / (a - 1) * (1 - 2F1(shape, a - 1; a + b - 1; -horizon)),

    which cancels to nothing for short horizons and at a = 1. The mean over p has only positive
    terms, so it is precise everywhere and never falls with the horizon.
    """
    order = np.lexsort((horizon, shape, b))
    known = np.column_stack([b, shape, horizon])[order]
    first = np.r_[True, (known[1:] != known[:-1]).any(axis=1)][: len(known)]
    distinct = known[first]
    result = np.empty(len(distinct))
    edges = np.flatnonzero(np.r_[True, distinct[1:, 0] != distinct[:-1, 0], True])
    for begin, end in pairwise(edges if len(distinct) else ()):
        chance, weight = beta_nodes(a, float(distinct[begin, 0]))
        block = max(1, CELLS // len(chance))
        for start in range(begin, end, block):
            part = distinct[start : min(start + block, end)]
            purchases = -np.expm1(-part[:, 1, None] * np.log1p(part[:, 2, None] * chance)) / chance
            result[start : start + len(part)] = purchases @ weight
    answer = np.empty(len(known))
    answer[order] = result[np.cumsum(first) - 1]
    return answer


def beta_nodes(a: float, b: float) -> tuple[Array, Array]:
    """Values of a beta (a, b) variable and their weights, which sum to 1, to take means with.

    The trapezoidal rule on the logit, stretched towards both ends by a hyperbolic sine, which is
    precise for narrow distributions (a and b large) and for those that crowd at 0 or 1 (small).
    """
    width = np.sqrt(1 / a + 1 / b)
    unit = min(1.0, width)
    left, right = ((_NEGLIGIBLE / end + 10 * width) / unit for end in (a, b))
    steps = np.arange(np.floor(-np.arcsinh(left) / STEP), np.ceil(np.arcsinh(right) / STEP) + 1)
    middle = np.log((a + 1) / (b + 1))  # near the mode, or where the density bends if it crowds
    logit = middle + unit * np.sinh(steps * STEP)
    density = a * logit - (a + b) * np.logaddexp(0, logit) + np.log(np.cosh(steps * STEP))
    weight = np.exp(density - density.max())
    chance = np.maximum(expit(logit), np.finfo(float).tiny)
    return chance, weight / weight.sum()
