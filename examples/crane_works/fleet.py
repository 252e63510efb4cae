"""The cranes: what was delivered before the start, and what each works in a month."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
from examples.crane_works.customers import Customers
from examples.crane_works.names import drawn
from examples.crane_works.parameters import Array, Parameters
from examples.crane_works.tables import chosen, joined, numbered

NEVER = np.inf
INSTALLED_SHARE = 0.6  # of the machines, delivered before the start
SCRAP_AGE = 14 * 365.25


@dataclass(frozen=True)
class Model:
    """A model of crane as the catalogue has it."""

    code: str
    kind: str
    tonnes: int
    price: float
    fuel_per_hour: float
    replacement_years: int
    maintenance_hours: int
    weight: float


MODELS = (
    Model("TC25", "truck", 25, 880_000, 9, 8, 250, 0.28),
    Model("TC50", "truck", 50, 1_450_000, 12, 8, 250, 0.22),
    Model("TC100", "truck", 100, 3_300_000, 17, 9, 250, 0.12),
    Model("AT220", "all_terrain", 220, 7_800_000, 24, 10, 500, 0.06),
    Model("CC80", "crawler", 80, 2_100_000, 14, 9, 500, 0.12),
    Model("CC150", "crawler", 150, 4_200_000, 19, 10, 500, 0.07),
    Model("CC350", "crawler", 350, 9_900_000, 28, 12, 500, 0.03),
    Model("TW63", "tower", 10, 620_000, 6, 7, 250, 0.10),
)
PRICES = np.array([model.price for model in MODELS])
FUEL = np.array([model.fuel_per_hour for model in MODELS])
INTERVALS = np.array([model.maintenance_hours for model in MODELS])
MODEL_CODES = [model.code for model in MODELS]


@dataclass(frozen=True)
class Fleet:
    """One block's machines; each array has a value per machine, `owner` a column per month.

    `installed` are those there at the start, and come first. `scrapped` is the day from which it
    is out of use, or with its maker again. `hours` are hours of work on a working day, a column
    per month, 0 where it does not work yet or any more.
    """

    numbers: Array
    installed: Array
    buyer: Array
    model: Array
    built: Array
    delivered: Array
    scrapped: Array
    imported_device: Array
    frailty: Array
    load: Array
    resold: Array  # the day, NEVER for most
    second_owner: Array
    owner: Array
    hours: Array

    @property
    def serials(self) -> pa.Array:
        """The serial numbers: model, year and month of building, running number."""
        months = self.built.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
        stamp = (months // 12 + 1970) % 100 * 100 + months % 12 + 1
        return joined(
            chosen(MODEL_CODES, self.model), numbered("", stamp, 4), numbered("", self.numbers, 6)
        )

    def owner_at(self, machine: Array, day: Array) -> Array:
        """Who owns each machine on the day."""
        return np.where(
            day >= self.resold[machine], self.second_owner[machine], self.buyer[machine]
        )

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass(frozen=True)
class Installed:
    """What stands with the customers at the start: an owner, a model and a day for each machine."""

    owner: Array
    model: Array
    delivered: Array


class Sold(Protocol):
    """The machines sold since the start, a value each; `returned` is NEVER for most."""

    @property
    def buyer(self) -> Array:
        """To whom."""

    @property
    def model(self) -> Array:
        """Which model."""

    @property
    def delivered(self) -> Array:
        """When."""

    @property
    def returned(self) -> Array:
        """When it came back."""


def draw_installed(parameters: Parameters, customers: Customers, block: int) -> Installed:
    """The machines delivered before the start; larger customers have more."""
    rng = parameters.generator("installed", block)
    count = round(len(parameters.machines_of(block)) * INSTALLED_SHARE)
    old = customers.since < parameters.first_day
    owner = drawn(rng, np.where(old, customers.size, 0), count)
    age = np.minimum(rng.exponential(4.5 * 365, count), 0.95 * SCRAP_AGE)
    newest = parameters.first_day - 5
    latest = np.maximum(newest - age, customers.since[owner])
    return Installed(owner, drawn(rng, _weights(), count), np.floor(latest))


def _weights() -> Array:
    return np.array([model.weight for model in MODELS])


def draw_models(rng: np.random.Generator, count: int) -> Array:
    """Models by how often they are bought."""
    return drawn(rng, _weights(), count)


def draw_fleet(
    parameters: Parameters,
    customers: Customers,
    block: int,
    installed: Installed,
    sold: Sold,
) -> Fleet:
    """All machines of a block: those installed, then those sold since."""
    rng = parameters.generator("fleet", block)
    buyer = np.concatenate([installed.owner, sold.buyer])
    model = np.concatenate([installed.model, sold.model])
    delivered = np.concatenate([installed.delivered, sold.delivered])
    returned = np.concatenate([np.full(len(installed.owner), NEVER), sold.returned])
    count = len(buyer)
    built = np.floor(delivered - 15 - rng.random(count) * 45)
    scrapped = np.minimum(returned, delivered + SCRAP_AGE * rng.uniform(0.8, 1.3, count))
    start, end = parameters.first_day, parameters.end_day
    resold = np.where(
        (rng.random(count) < 0.06) & (delivered < end - 200),
        np.floor(np.maximum(delivered + 90, start) + rng.random(count) * (end - start)),
        NEVER,
    )
    resold[(resold >= end) | (resold >= scrapped)] = NEVER
    second = rng.integers(0, len(customers), count)
    resold[(second == buyer) | (customers.since[second] > resold)] = NEVER
    edges = parameters.month_starts
    months = edges[:-1]
    owner = np.where(resold[:, None] <= months, second[:, None], buyer[:, None])
    factor = rng.lognormal(0, 0.25, count)[:, None] * rng.lognormal(0, 0.1, (count, len(months)))
    hours = np.clip(6.0 * factor * customers.activity[owner, np.arange(len(months))], 0, 14)
    working = (delivered[:, None] < edges[1:]) & (scrapped[:, None] > months)
    return Fleet(
        numbers=np.asarray(parameters.machines_of(block))[:count],
        installed=np.arange(count) < len(installed.owner),
        buyer=buyer,
        model=model,
        built=built,
        delivered=delivered,
        scrapped=np.floor(scrapped),
        imported_device=rng.random(count) < 0.04,
        frailty=rng.normal(0, 0.5, count),
        load=rng.beta(5, 4, count),
        resold=resold,
        second_owner=second,
        owner=owner,
        hours=np.where(working, hours, 0),
    )
