"""How dissatisfied each customer is, and how much it wants to buy, month by month."""

from __future__ import annotations

import numpy as np
from examples.crane_works.customers import Customers, wandering
from examples.crane_works.fleet import Fleet, Installed
from examples.crane_works.parameters import Array, Parameters
from examples.crane_works.wear import Failures


def draw_dissatisfaction(
    parameters: Parameters, block: int, customers: Customers, fleet: Fleet, failures: Failures
) -> Array:
    """0..1, a row per customer and a column per month.

    It returns to the customer's base by a quarter each month; breakdowns raise it, repeated ones
    and long ones more, the more the fewer machines there are.
    """
    rng = parameters.generator("dissatisfaction", block)
    shape = (len(customers), parameters.months)
    month = np.searchsorted(parameters.month_starts, failures.day, side="right") - 1
    owner = fleet.owner[failures.machine, month]
    weight = 0.6 + 0.8 * failures.repeated + 0.08 * np.minimum(failures.down_days, 10)
    shocks = np.zeros(shape)
    np.add.at(shocks, (owner, month), weight)
    machines = np.zeros(shape)
    np.add.at(machines, (fleet.owner, np.arange(parameters.months)), fleet.hours > 0)
    shocks *= 0.07 / np.sqrt(np.maximum(machines, 1))
    path = np.empty(shape)
    before = customers.base_dissatisfaction
    for each in range(parameters.months):
        drift = 0.75 * (before - customers.base_dissatisfaction) + shocks[:, each]
        noise = rng.normal(0, 0.02, len(customers))
        before = np.clip(customers.base_dissatisfaction + drift + noise, 0, 1)
        path[:, each] = before
    return path


def draw_intent(
    parameters: Parameters, block: int, customers: Customers, installed: Installed
) -> Array:
    """0..1, a row per customer and a column per month.

    Raised by growth, an old fleet (as installed at the start) and work above the mean; lowered by
    lasting dissatisfaction, not by the month's.
    """
    rng = parameters.generator("intent", block)
    count = len(customers)
    machines = np.bincount(installed.owner, minlength=count)
    ages = np.bincount(
        installed.owner, (parameters.first_day - installed.delivered) / 365.25, minlength=count
    )
    mean_age = np.where(machines > 0, ages / np.maximum(machines, 1), 4)
    score = (
        -1.0
        + 3.0 * customers.growth[:, None]
        + 0.2 * np.clip(mean_age - 4, -4, 6)[:, None]
        + 0.6 * (customers.activity - 1)
        - 2.0 * (customers.base_dissatisfaction[:, None] - 0.3)
        + wandering(rng, count, parameters.months, 0.85, 0.35)
    )
    return np.asarray(1 / (1 + np.exp(-score)))
