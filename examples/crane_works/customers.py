"""The companies that buy cranes, with what drives them: hidden from everyone but the tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from examples.crane_works import names
from examples.crane_works.parameters import Array, Parameters
from examples.crane_works.tables import numbered

# Work in each month against the year's mean: little around the Spring Festival.
SEASON = np.array([0.70, 0.60, 0.95, 1.06, 1.10, 1.08, 1.0, 0.98, 1.08, 1.12, 1.10, 1.0])


@dataclass(frozen=True)
class Customers:
    """One block's companies; each array has a value per company.

    `morale` 0..1 pays in time at 1; `growth` is the yearly change of work, in logarithms;
    `discipline` 0..1 maintains in time at 1; `base_dissatisfaction` 0..1 is where it returns to.
    `activity` has a row per company and a column per month: work against its own mean at the start.
    """

    numbers: Array
    province: Array
    city: Array
    brand: Array
    industry: Array
    size: Array
    since: Array
    exports: Array
    morale: Array
    growth: Array
    discipline: Array
    base_dissatisfaction: Array
    activity: Array

    @property
    def ids(self) -> pa.Array:
        """The true identifiers, which no system knows."""
        return numbered("C", self.numbers, 7)

    def __len__(self) -> int:
        return len(self.numbers)


def draw_customers(parameters: Parameters, block: int) -> Customers:
    """The companies of a block."""
    rng = parameters.generator("customers", block)
    numbers = np.asarray(parameters.customers_of(block))
    count = len(numbers)
    province = names.drawn(rng, names.PROVINCE_WEIGHTS, count)
    city = province * 3 + rng.integers(0, 3, count)
    brand = rng.integers(0, names.BRANDS, count)
    industry = names.drawn(rng, (0.35, 0.25, 0.1, 0.1, 0.1, 0.1), count)
    namesake = rng.random(count) < parameters.dirt.namesakes
    namesake[0] = False
    for own in (province, city, brand, industry):  # another company of the same name and town
        own[namesake] = own[np.flatnonzero(namesake) - 1]
    new = rng.random(count) < 0.2
    length = parameters.end_day - parameters.first_day
    since = np.where(
        new,
        parameters.first_day + rng.random(count) * length * 0.8,
        parameters.first_day - 30 - np.minimum(rng.exponential(4 * 365, count), 15 * 365),
    )
    growth = rng.normal(0.03, 0.18, count)
    return Customers(
        numbers=numbers,
        province=province,
        city=city,
        brand=brand,
        industry=industry,
        size=rng.lognormal(0, 1.0, count),
        since=np.floor(since),
        exports=rng.random(count) < 0.05,
        morale=rng.beta(4, 2, count),
        growth=growth,
        discipline=rng.beta(3, 2, count),
        base_dissatisfaction=rng.beta(2, 5, count),
        activity=_activity(rng, growth, parameters),
    )


def _activity(rng: np.random.Generator, growth: Array, parameters: Parameters) -> Array:
    months = np.arange(parameters.months)
    season = SEASON[(parameters.start.month - 1 + months) % 12]
    noise = wandering(rng, len(growth), parameters.months, 0.8, 0.07)
    return np.asarray(np.exp(np.outer(growth, (months - 6) / 12) + noise) * season)


def wandering(
    rng: np.random.Generator, count: int, months: int, memory: float, step: float
) -> Array:
    """Paths that wander around 0, a row each: an autoregression of the first order, at rest."""
    path = np.empty((count, months))
    path[:, 0] = rng.normal(0, step / np.sqrt(1 - memory**2), count)
    for month in range(1, months):
        path[:, month] = memory * path[:, month - 1] + rng.normal(0, step, count)
    return path
