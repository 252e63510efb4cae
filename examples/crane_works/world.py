"""The whole company: block after block of customers, then month after month of readings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from examples.crane_works.accounts import Rows, account_rows, draw_accounts
from examples.crane_works.app import app_rows
from examples.crane_works.contracts import draw_contracts, draw_instalments
from examples.crane_works.crm_money import contract_rows, exchange_rate_rows, money_rows
from examples.crane_works.crm_sales import opportunity_rows
from examples.crane_works.customers import Customers, draw_customers
from examples.crane_works.fleet import draw_fleet, draw_installed
from examples.crane_works.moods import draw_dissatisfaction, draw_intent
from examples.crane_works.outreach import message_rows, survey_rows
from examples.crane_works.parameters import Array, Parameters
from examples.crane_works.plant import machine_truth_rows, model_rows, plant_rows
from examples.crane_works.sales import draw_opportunities, draw_sales
from examples.crane_works.service import Desk, draw_sites, service_rows
from examples.crane_works.tables import Table, state
from examples.crane_works.telematics import Boxes, device_rows, draw_boxes, reading_rows
from examples.crane_works.truth import TRUE_CUSTOMERS, TRUE_MONTHS
from examples.crane_works.wear import draw_failures, draw_maintenance, expected_failures


@dataclass(frozen=True)
class Part:
    """Rows of one table, as they stand; all rows of one key are in one part.

    `label` tells the parts of a table apart.
    """

    table: Table
    label: str
    rows: pa.Table


@dataclass
class _Gathered:
    """The rows of one block, by table."""

    rows: dict[str, tuple[Table, list[pa.Table]]] = field(default_factory=dict)

    def add(self, made: Rows) -> None:
        for table, rows in made:
            self.rows.setdefault(table.path, (table, []))[1].append(rows)

    def parts(self, label: str, until: float) -> Iterator[Part]:
        for table, rows in self.rows.values():
            yield Part(table, label, state(table, pa.concat_tables(rows), until))


def simulate(parameters: Parameters, until: float | None = None) -> Iterator[Part]:
    """All tables of all systems and of the truth as they stand at `until`, in parts.

    `until` is a local day number, the end by default; what the systems learnt later is not in
    them. The truth is whole at any time. The same parameters give the same rows, in one order.
    One block is in memory, and for each machine a few hundred bytes.
    """
    until = parameters.end_day if until is None else until
    boxes: list[Boxes] = []
    for block in range(parameters.blocks):
        made = _Gathered()
        if block == 0:
            made.add(model_rows())
            made.add(exchange_rate_rows(parameters))
        boxes.append(_block(parameters, block, made))
        yield from made.parts(f"{block:05d}", until)
        del made
    for month in range(parameters.months):
        name = str(np.datetime64(parameters.start, "M") + month)
        for each in boxes:
            readings = _Gathered()
            readings.add(reading_rows(parameters, each, month))
            yield from readings.parts(name, until)


def _block(parameters: Parameters, block: int, made: _Gathered) -> Boxes:
    customers = draw_customers(parameters, block)
    accounts = draw_accounts(parameters, block, customers)
    installed = draw_installed(parameters, customers, block)
    intent = draw_intent(parameters, block, customers, installed)
    wanted = len(parameters.machines_of(block)) - len(installed.owner)
    opportunities = draw_opportunities(parameters, block, customers, intent, wanted)
    sales = draw_sales(parameters, block, customers, opportunities)
    fleet = draw_fleet(parameters, customers, block, installed, sales)
    expected = expected_failures(parameters, customers, fleet)
    failures = draw_failures(parameters, block, fleet, expected)
    maintenance = draw_maintenance(parameters, block, customers, fleet)
    mood = draw_dissatisfaction(parameters, block, customers, fleet, failures)
    contracts = draw_contracts(parameters, block, customers, fleet, opportunities)
    instalments = draw_instalments(parameters, block, customers, contracts)
    sites = draw_sites(parameters, block, customers)
    boxes = draw_boxes(parameters, block, fleet, customers.province, failures)
    working = np.zeros((len(customers), parameters.months))
    np.add.at(working, (fleet.owner, np.arange(parameters.months)), fleet.hours > 0)
    desk = Desk(parameters, block, customers, accounts, fleet, sites)
    made.add(_truth(parameters, customers, mood, intent))
    made.add(account_rows(parameters, block, customers, accounts))
    made.add(opportunity_rows(parameters, block, customers, accounts, opportunities))
    made.add(contract_rows(parameters, block, customers, accounts, contracts))
    made.add(money_rows(parameters, block, contracts, instalments))
    made.add(plant_rows(parameters, block, customers, accounts, fleet, sales))
    made.add(machine_truth_rows(fleet, failures.machine, expected))
    made.add(device_rows(parameters, fleet, boxes))
    made.add(service_rows(desk, failures, maintenance, mood, intent))
    made.add(message_rows(parameters, block, customers, accounts, mood, intent))
    made.add(survey_rows(parameters, block, customers, accounts, mood, working))
    made.add(app_rows(parameters, block, customers, accounts, intent, sites))
    return boxes


def _truth(parameters: Parameters, customers: Customers, mood: Array, intent: Array) -> Rows:
    count = len(customers)
    columns = {
        "customer": customers.ids,
        "since_on": customers.since,
        "morale": customers.morale,
        "growth": customers.growth,
        "discipline": customers.discipline,
        "base_dissatisfaction": customers.base_dissatisfaction,
    }
    yield TRUE_CUSTOMERS, TRUE_CUSTOMERS.rows(np.zeros(count), columns)
    months = parameters.months
    columns = {
        "customer": customers.ids.take(pa.array(np.repeat(np.arange(count), months))),
        "month": np.tile(parameters.month_starts[:-1], count),
        "activity": customers.activity.ravel(),
        "dissatisfaction": mood.ravel(),
        "intent": intent.ravel(),
    }
    yield TRUE_MONTHS, TRUE_MONTHS.rows(np.zeros(count * months), columns)
