"""What goes wrong with the cranes, and when they are maintained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from examples.crane_works.customers import Customers
from examples.crane_works.fleet import INTERVALS, Fleet
from examples.crane_works.names import drawn
from examples.crane_works.parameters import Array, Parameters, rows_and_columns

WORKING_SHARE = 0.8  # of the days
SYSTEMS = ("液压系统", "发动机", "电气系统", "吊臂", "制动系统", "回转机构")
SYSTEM_WEIGHTS = (0.32, 0.2, 0.2, 0.1, 0.1, 0.08)
REPEAT_SHARE = 0.15


@dataclass(frozen=True)
class Failures:
    """Breakdowns, a value each: the machine stands still from `day` for `down_days`."""

    machine: Array
    system: Array
    day: Array
    down_days: Array
    repeated: Array


@dataclass(frozen=True)
class Maintenance:
    """Maintenance that was done: due at a multiple of the model's interval, done on `day`."""

    machine: Array
    due: Array
    day: Array


def expected_failures(parameters: Parameters, customers: Customers, fleet: Fleet) -> Array:
    """Breakdowns expected of each machine in each month: by age, work, frailty and discipline."""
    age = (parameters.month_starts[:-1] - fleet.delivered[:, None]) / 365.25
    discipline = customers.discipline[fleet.owner]
    rate = np.exp(
        np.log(0.06)
        + 0.09 * np.clip(age, 0, None)
        + 0.6 * (fleet.hours / 6 - 1)
        + fleet.frailty[:, None]
        + 0.8 * (fleet.load[:, None] - 0.55)
        + 0.8 * (0.6 - discipline)
    )
    return np.where(fleet.hours > 0, rate, 0)


def draw_failures(parameters: Parameters, block: int, fleet: Fleet, expected: Array) -> Failures:
    """Breakdowns, 15 % of them followed by one of the same system within 30 days."""
    rng = parameters.generator("failures", block)
    counts = rng.poisson(expected)
    machine, month = rows_and_columns(counts)
    edges = parameters.month_starts
    day = edges[month] + rng.random(len(month)) * (edges[month + 1] - edges[month])
    system = drawn(rng, SYSTEM_WEIGHTS, len(day))
    again = np.flatnonzero(rng.random(len(day)) < REPEAT_SHARE)
    later = day[again] + rng.uniform(5, 30, len(again))
    machine = np.concatenate([machine, machine[again]])
    system = np.concatenate([system, system[again]])
    repeated = np.repeat([False, True], [len(day), len(again)])
    day = np.concatenate([day, later])
    down = np.minimum(rng.lognormal(np.log(1.5), 0.8, len(day)), 25)
    real = (
        (day >= fleet.delivered[machine] + 1)
        & (day < fleet.scrapped[machine])
        & (day < parameters.end_day)
    )
    order = np.flatnonzero(real)[np.argsort(day[real], kind="stable")]
    return Failures(machine[order], system[order], day[order], down[order], repeated[order])


def draw_maintenance(
    parameters: Parameters, block: int, customers: Customers, fleet: Fleet
) -> Maintenance:
    """Due so many hours of work after the last one; the undisciplined are weeks late."""
    rng = parameters.generator("maintenance", block)
    edges = parameters.month_starts
    meter = np.cumsum(fleet.hours * np.diff(edges) * WORKING_SHARE, axis=1)
    meter = np.concatenate([np.zeros((len(fleet), 1)), meter], axis=1)
    interval = INTERVALS[fleet.model].astype(np.float64)
    lateness = 3 + 40 * (1 - customers.discipline[fleet.buyer])
    ends = np.minimum(parameters.end_day, fleet.scrapped)
    last = np.where(fleet.installed, -rng.random(len(fleet)) * interval, 0)
    machine = np.arange(len(fleet))
    made: list[tuple[Array, Array, Array]] = []
    while True:
        wanted = last[machine] + interval[machine]
        machine = machine[wanted < meter[machine, -1]]
        if not len(machine):
            break
        due = _day_of(edges, meter[machine], last[machine] + interval[machine])
        day = due + rng.exponential(lateness[machine])
        machine, due, day = (each[day < ends[machine]] for each in (machine, due, day))
        last[machine] = _meter_at(edges, meter[machine], day)
        real = due > fleet.delivered[machine]
        made.append((machine[real], due[real], day[real]))
    found, due, day = (
        (np.concatenate(each) for each in zip(*made, strict=True))
        if made
        else (np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    )
    order = np.argsort(day, kind="stable")
    return Maintenance(found[order], due[order], day[order])


def _day_of(edges: Array, meter: Array, hours: Array) -> Array:
    """When each machine's meter (a row with a column per edge of months) reaches the hours."""
    month = (meter[:, 1:] <= hours[:, None]).sum(axis=1)
    row = np.arange(len(meter))
    before, after = meter[row, month], meter[row, month + 1]
    share = (hours - before) / (after - before)
    return np.asarray(edges[month] + share * (edges[month + 1] - edges[month]))


def _meter_at(edges: Array, meter: Array, day: Array) -> Array:
    """What each machine's meter shows on the day."""
    month = np.searchsorted(edges, day, side="right") - 1
    row = np.arange(len(meter))
    share = (day - edges[month]) / (edges[month + 1] - edges[month])
    return np.asarray(meter[row, month] + share * (meter[row, month + 1] - meter[row, month]))
