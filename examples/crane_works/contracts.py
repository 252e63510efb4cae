"""Contracts with their instalments, and when each instalment is paid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from examples.crane_works.customers import Customers
from examples.crane_works.fleet import PRICES, Fleet
from examples.crane_works.names import drawn
from examples.crane_works.parameters import Array, Parameters
from examples.crane_works.sales import Opportunities, amounts
from examples.crane_works.tables import numbered

KEPT_DAYS = 4 * 365  # older contracts lie in an archive that no system reads
INSTALMENT_COUNTS = np.array([1, 12, 24, 36])
CURRENCIES = ("CNY", "USD", "EUR")
CNY_PER = np.array([1.0, 7.1, 7.8])  # at the start; see `exchange_rates`
SOLD = 50_000_000  # added to the number of a contract that was signed after the start


@dataclass(frozen=True)
class Contracts:
    """One block's contracts; each array has a value per contract.

    `opportunity` is -1 for those signed before the start. `amount` is in the contract's currency.
    """

    numbers: Array
    customer: Array
    opportunity: Array
    signed: Array
    quantity: Array
    amount: Array
    currency: Array
    instalments: Array

    @property
    def keys(self) -> pa.Array:
        """HT-00000012"""
        return numbered("HT-", self.numbers, 8)

    def __len__(self) -> int:
        return len(self.customer)


def draw_contracts(
    parameters: Parameters,
    block: int,
    customers: Customers,
    fleet: Fleet,
    opportunities: Opportunities,
) -> Contracts:
    """One for each machine delivered in the four years before the start, one for each sale."""
    rng = parameters.generator("contracts", block)
    recent = np.flatnonzero(fleet.installed & (fleet.delivered > parameters.first_day - KEPT_DAYS))
    won = np.flatnonzero(opportunities.wins & (opportunities.closes < parameters.end_day))
    customer = np.concatenate([fleet.buyer[recent], opportunities.customer[won]])
    worth = np.concatenate([PRICES[fleet.model[recent]] * 0.95, amounts(opportunities)[won]])
    count = len(customer)
    currency = np.where(customers.exports[customer], 1 + drawn(rng, (0.7, 0.3), count), 0)
    return Contracts(
        numbers=np.concatenate([fleet.numbers[recent], SOLD + block * 100_000 + won]),
        customer=customer,
        opportunity=np.concatenate([np.full(len(recent), -1), won]),
        signed=np.floor(np.concatenate([fleet.delivered[recent] - 45, opportunities.closes[won]])),
        quantity=np.concatenate([np.ones(len(recent), np.int64), opportunities.quantity[won]]),
        amount=np.round(worth / CNY_PER[currency], -2),
        currency=currency,
        instalments=INSTALMENT_COUNTS[drawn(rng, (0.15, 0.35, 0.3, 0.2), count)],
    )


@dataclass(frozen=True)
class Instalments:
    """What is due of each contract, a value each; the first is paid down.

    `paid` is the day on which the (first part of the) money comes, after the end for many.
    `second_part` is the day of the second half, NaN where all is paid at once.
    """

    contract: Array
    number: Array
    due: Array
    amount: Array
    paid: Array
    second_part: Array

    @property
    def settled(self) -> Array:
        """The day on which nothing is owed any more."""
        return np.where(np.isnan(self.second_part), self.paid, self.second_part)


def draw_instalments(
    parameters: Parameters, block: int, customers: Customers, contracts: Contracts
) -> Instalments:
    """Monthly instalments; who has a bad payment morale pays late more often, and later."""
    rng = parameters.generator("instalments", block)
    contract = np.repeat(np.arange(len(contracts)), contracts.instalments)
    first = np.cumsum(contracts.instalments) - contracts.instalments
    number = np.arange(len(contract)) - first[contract]
    count = len(contract)
    total, parts = contracts.amount[contract], contracts.instalments[contract]
    down = np.where(parts == 1, total, np.round(total * 0.2, 2))
    rest = np.round((total - down) / np.maximum(parts - 1, 1), 2)
    due = np.floor(contracts.signed[contract] + 10 + 30.44 * number)
    morale = customers.morale[contracts.customer[contract]]
    late = rng.random(count) < 1 / (1 + np.exp(-(2.2 - 5.0 * morale)))
    delay = np.where(
        late,
        rng.lognormal(np.log(4 + 45 * (1 - morale)), 0.8),
        -6 * rng.random(count) ** 2,
    )
    stuck = rng.random(count) < 0.12 * (1 - morale) ** 2
    delay = np.where(stuck, np.abs(delay) + rng.lognormal(np.log(150), 0.6, count), delay)
    paid = np.floor(np.maximum(due + delay, contracts.signed[contract]))
    halves = (delay > 3) & (rng.random(count) < 0.06)
    later = np.floor(paid + rng.uniform(10, 40, count))
    return Instalments(
        contract=contract,
        number=number + 1,
        due=due,
        amount=np.where(number == 0, down, rest),
        paid=paid,
        second_part=np.where(halves, later, np.nan),
    )
