"""Opportunities: when they open, how they go, and which of them are won."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from examples.crane_works.customers import Customers
from examples.crane_works.fleet import NEVER, PRICES, draw_models
from examples.crane_works.names import drawn
from examples.crane_works.parameters import Array, Parameters

STAGES = ("lead", "qualified", "quoted", "negotiating")
STAGE_WIN_PCT = (10, 25, 50, 75)  # what a salesperson says of each stage
WIN_RATE = 0.4  # about; the threshold is set so that just the wanted machines are sold
COMPETITORS = ("", "XC", "SY", "ZL")


@dataclass(frozen=True)
class Opportunities:
    """One block's opportunities; each array has a value per opportunity.

    `entered` has a column per stage, NaN for a stage it does not reach. `closes` may lie after the
    end: then it is open. `probability` is the chance of winning, given all that drives it.
    """

    customer: Array
    model: Array
    quantity: Array
    discount: Array
    competitor: Array
    opened: Array
    entered: Array
    closes: Array
    probability: Array
    wins: Array
    activities: Array

    def __len__(self) -> int:
        return len(self.customer)


def draw_opportunities(
    parameters: Parameters, block: int, customers: Customers, intent: Array, machines: int
) -> Opportunities:
    """Enough opportunities that those won until the end sell exactly this many machines."""
    rng = parameters.generator("opportunities", block)
    months = parameters.month_starts
    count = max(12, round(machines / 1.42 / WIN_RATE * 1.1))
    weights = intent**1.5 * customers.size[:, None] ** 0.6
    weights = np.where(months[:-1] + 15 >= customers.since[:, None], weights, 0)
    customer, month = np.divmod(drawn(rng, weights.ravel(), count), parameters.months)
    opened = months[month] + rng.random(count) * (months[month + 1] - months[month])
    opened = np.maximum(opened, customers.since[customer] + 1)
    discount = np.clip(rng.normal(5, 3, count), 0, 15)
    competitor = drawn(rng, (0.55, 0.18, 0.15, 0.12), count)
    wish = intent[customer, month]
    score = (
        2.2 * np.log(wish / (1 - wish))
        + 2.0 * (customers.morale[customer] - 0.65)
        - 3.0 * (customers.base_dissatisfaction[customer] - 0.3)
        + 0.12 * (discount - 5)
        - 1.2 * (competitor > 0)
    )
    luck = rng.logistic(size=count)
    quantity = np.minimum(rng.geometric(0.7, count), 6)
    duration = np.clip(rng.lognormal(np.log(70), 0.5, count), 10, 400)
    closes = opened + duration
    closed = closes < parameters.end_day
    wins, quantity, threshold = _just_enough(score + luck, quantity, closed, machines)
    probability = 1 / (1 + np.exp(-(score - threshold)))
    entered = _stages(rng, opened, duration, wins, probability)
    return Opportunities(
        customer=customer,
        model=draw_models(rng, count),
        quantity=quantity,
        discount=discount,
        competitor=competitor,
        opened=opened,
        entered=entered,
        closes=closes,
        probability=probability,
        wins=wins,
        activities=rng.poisson(duration / 20 * (0.5 + 1.5 * probability)),
    )


def _just_enough(
    score: Array, quantity: Array, closed: Array, machines: int
) -> tuple[Array, Array, float]:
    """Who wins: all above a threshold at which the closed ones sell that many machines."""
    order = np.argsort(-score, kind="stable")
    sold = np.cumsum(np.where(closed[order], quantity[order], 0))
    last = int(np.searchsorted(sold, machines))
    if last == len(order):
        short = machines - int(sold[-1]) if len(sold) else machines
        quantity = quantity.copy()
        if not closed.any():
            raise ValueError("no opportunity closes before the end; simulate more years")
        quantity[np.flatnonzero(closed)[0]] += short
        return np.ones(len(score), bool), quantity, float(score.min()) - 1
    quantity = quantity.copy()
    quantity[order[last]] -= int(sold[last]) - machines
    threshold = float(score[order[last]])
    return score >= threshold, quantity, threshold


def _stages(
    rng: np.random.Generator, opened: Array, duration: Array, wins: Array, probability: Array
) -> Array:
    """When each stage begins; the lost leave from any, the likelier ones from a later one."""
    count = len(opened)
    shares = np.cumsum(rng.dirichlet([2.0] * len(STAGES), count), axis=1)
    reached = np.where(
        wins, len(STAGES), 1 + rng.binomial(len(STAGES) - 1, 0.25 + 0.55 * probability)
    )
    stage = np.arange(len(STAGES))
    whole = np.take_along_axis(shares, reached[:, None] - 1, axis=1)
    begins = np.concatenate([np.zeros((count, 1)), shares[:, :-1]], axis=1) / whole
    return np.where(stage < reached[:, None], opened[:, None] + begins * duration[:, None], np.nan)


def amounts(opportunities: Opportunities) -> Array:
    """What each is worth after its discount, in yuan."""
    worth = (
        PRICES[opportunities.model] * opportunities.quantity * (1 - opportunities.discount / 100)
    )
    return np.asarray(np.round(worth, -2))


@dataclass(frozen=True)
class Sales:
    """The machines sold, a value each: by which opportunity, to whom, when delivered.

    `returned` is the day on which it came back, NEVER for most; the dissatisfied and those who pay
    badly return more, and the latter say more rarely why (`explained`).
    """

    opportunity: Array
    buyer: Array
    model: Array
    delivered: Array
    returned: Array
    explained: Array


def draw_sales(
    parameters: Parameters, block: int, customers: Customers, opportunities: Opportunities
) -> Sales:
    """The machines of the won opportunities; some are delivered after the end."""
    rng = parameters.generator("sales", block)
    won = np.flatnonzero(opportunities.wins & (opportunities.closes < parameters.end_day))
    each = np.repeat(won, opportunities.quantity[won])
    delivered = np.floor(opportunities.closes[each] + 20 + rng.random(len(each)) * 60)
    buyer = opportunities.customer[each]
    morale, anger = customers.morale[buyer], customers.base_dissatisfaction[buyer]
    chance = 1 / (1 + np.exp(-(-3.6 + 4 * (anger - 0.3) + 3 * (0.65 - morale))))
    day = np.floor(delivered + rng.uniform(20, 150, len(each)))
    back = (rng.random(len(each)) < chance) & (day < parameters.end_day)
    return Sales(
        opportunity=each,
        buyer=buyer,
        model=opportunities.model[each],
        delivered=delivered,
        returned=np.where(back, day, NEVER),
        explained=rng.random(len(each)) > 0.2 + 0.6 * (1 - morale),
    )
