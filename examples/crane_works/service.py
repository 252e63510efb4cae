"""The service desk 400: calls, work orders with text, complaints and parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from examples.crane_works import names, service_words
from examples.crane_works.accounts import Accounts, Rows, spelling
from examples.crane_works.customers import Customers
from examples.crane_works.faults import spoilt
from examples.crane_works.fleet import MODEL_CODES, Fleet
from examples.crane_works.parameters import Array, Parameters, rows_and_columns
from examples.crane_works.plant import WARRANTY_MONTHS
from examples.crane_works.systems import CALLS, COMPLAINTS, PARTS, WORK_ORDERS
from examples.crane_works.tables import chosen, joined, numbered, where
from examples.crane_works.truth import TRUE_FAULTS
from examples.crane_works.wear import SYSTEMS, Failures, Maintenance

CALL_SHARE = 0.9  # of the breakdowns; the other orders are opened by a technician on site


@dataclass(frozen=True)
class Wanted:
    """Calls of one topic before they are numbered; `machine` is -1 where it is about none."""

    topic: str
    day: Array
    customer: Array
    machine: Array
    text: pa.Array


@dataclass(frozen=True)
class Desk:
    """All that the desk's rows are drawn from."""

    parameters: Parameters
    block: int
    customers: Customers
    accounts: Accounts
    fleet: Fleet
    sites: Array

    def model_of(self, machine: Array) -> pa.Array:
        """The models' codes."""
        return chosen(MODEL_CODES, self.fleet.model[machine])


def varied(words: Sequence[Sequence[Any]], group: Array, coin: Array) -> Array:
    """A place in the flattened words, drawn within each row's group by a coin of 0..1."""
    sizes = np.array([len(each) for each in words])
    first = np.cumsum(sizes) - sizes
    return np.asarray(first[group] + np.floor(coin * sizes[group]).astype(np.int64))


def flat(words: Sequence[Sequence[Any]]) -> list[Any]:
    """The words of all groups in a row."""
    return [word for group in words for word in group]


def service_rows(
    desk: Desk,
    failures: Failures,
    maintenance: Maintenance,
    dissatisfaction: Array,
    intent: Array,
) -> Rows:
    """Everything of the desk; calls are numbered by topic."""
    rng = desk.parameters.generator("service rows", desk.block)
    repairs = _repairs(rng, desk, failures)
    called = rng.random(len(failures.day)) < CALL_SHARE
    call_key = where(called, call_id(desk.block, 0, np.arange(len(called))), None)
    yield from _call_rows(rng, desk, 0, repairs, called)
    yield from _repair_orders(rng, desk, failures, call_key)
    yield from _maintenance_orders(rng, desk, maintenance)
    yield from _complaints(rng, desk, failures, call_key, dissatisfaction)
    yield from _call_rows(rng, desk, 2, _inquiries(rng, desk, intent), None)


def call_id(block: int, topic: int, number: Array) -> pa.Array:
    """400-…; the topic's digit keeps the numbers of topics apart."""
    digits = (block * 3 + topic) * 1_000_000 + np.asarray(number)
    return numbered("400-", digits, 10)


def _repairs(rng: np.random.Generator, desk: Desk, failures: Failures) -> Wanted:
    symptom = varied(service_words.SYMPTOMS, failures.system, rng.random(len(failures.day)))
    return Wanted(
        topic="报修",
        day=failures.day,
        customer=desk.fleet.owner_at(failures.machine, failures.day),
        machine=failures.machine,
        text=joined(
            desk.model_of(failures.machine),
            chosen(("吊车", "，", "机器"), rng.integers(0, 3, len(symptom))),
            chosen(flat(service_words.SYMPTOMS), symptom),
            chosen(
                ("，停机了，请尽快派人", "，麻烦来看一下", "。", "!!急"),
                rng.integers(0, 4, len(symptom)),
            ),
        ),
    )


def _inquiries(rng: np.random.Generator, desk: Desk, intent: Array) -> Wanted:
    """Questions about machines; who wants to buy asks more."""
    months = desk.parameters.month_starts
    here = months[:-1] >= desk.customers.since[:, None]
    counts = rng.poisson(np.where(here, 0.25 * intent**1.5, 0))
    customer, month = rows_and_columns(counts)
    day = months[month] + rng.random(len(month)) * 28
    count = len(day)
    model = chosen(MODEL_CODES, rng.integers(0, len(MODEL_CODES), count))
    before = [each.split("{}")[0] for each in service_words.INQUIRIES]
    after = [each.split("{}")[1] for each in service_words.INQUIRIES]
    which = rng.integers(0, len(before), count)
    text = joined(chosen(before, which), model, chosen(after, which))
    return Wanted("咨询", day, customer, np.full(count, -1), text)


def _call_rows(
    rng: np.random.Generator, desk: Desk, topic: int, wanted: Wanted, which: Array | None
) -> Rows:
    """Calls; the serial number is what the caller said: often nothing, sometimes a wrong digit."""
    dirt, count = desk.parameters.dirt, len(wanted.day)
    contact = desk.accounts.contact(wanted.customer, wanted.day, rng.random(count))
    said = spelling(rng, desk.customers, wanted.customer)
    silent = (wanted.machine < 0) | (rng.random(count) < dirt.serial_missing)
    typo = ~silent & (rng.random(count) < dirt.serial_typo)
    serial = desk.fleet.serials.take(pa.array(np.maximum(wanted.machine, 0)))
    key = call_id(desk.block, topic, np.arange(count))
    day = np.floor(wanted.day) + rng.uniform(7.5, 21.5, count) / 24
    at = day if which is None else np.where(which, day, np.inf)
    phone_style = names.drawn(rng, (0.9, 0.1), count)
    columns = {
        "call_id": key,
        "called_at": day,
        "caller_phone": names.phone_written(phone_style, desk.accounts.phone(contact)),
        "company_said": where(rng.random(count) < 0.4, None, said),
        "serial_no": where(
            silent, None, names.some_mistyped(serial, typo, rng.integers(6, 12, count))
        ),
        "topic": wanted.topic,
        "call_text": wanted.text,
    }
    yield CALLS, CALLS.rows(at, columns)
    seen = typo if which is None else typo & which
    yield TRUE_FAULTS, spoilt(CALLS, "serial_typo", seen, key, serial, day)


def _repair_orders(
    rng: np.random.Generator, desk: Desk, failures: Failures, call_key: pa.Array
) -> Rows:
    """A repair: opened after the call, closed when the machine works again."""
    count = len(failures.day)
    part = varied(service_words.PARTS, failures.system, rng.random(count))
    parts = flat(service_words.PARTS)
    replaced = rng.random(count) < 0.7
    name = chosen([each[1] for each in parts], part)
    system = chosen(SYSTEMS, failures.system)
    text = where(
        replaced,
        joined("更换", name, "，试车正常"),
        joined("检修", system, "，调整紧固后恢复正常"),
    )
    key = numbered("WO-R", desk.block * 1_000_000 + np.arange(count), 9)
    opened = np.floor(failures.day) + rng.uniform(21.6, 23.9, count) / 24
    closed = np.maximum(opened + 0.1, opened + failures.down_days - 0.5)
    yield from _order_rows(rng, desk, "维修", key, call_key, failures.machine, opened, closed, text)
    at = np.flatnonzero(replaced)
    yield (
        PARTS,
        PARTS.rows(
            closed[at],
            {
                "order_no": key.take(pa.array(at)),
                "part_no": chosen([each[0] for each in parts], part[at]),
                "part_name": name.take(pa.array(at)),
                "quantity": rng.integers(1, 3, len(at)),
                "unit_price": np.array([each[2] for each in parts], float)[part[at]],
            },
        ),
    )


def _maintenance_orders(rng: np.random.Generator, desk: Desk, maintenance: Maintenance) -> Rows:
    count = len(maintenance.day)
    key = numbered("WO-M", desk.block * 1_000_000 + np.arange(count), 9)
    opened = np.floor(maintenance.day) + rng.uniform(8, 12, count) / 24
    closed = opened + rng.uniform(1, 6, count) / 24
    nothing = pa.nulls(count, pa.string())
    yield from _order_rows(
        rng,
        desk,
        "保养",
        key,
        nothing,
        maintenance.machine,
        opened,
        closed,
        "定期保养，更换滤芯机油",
    )
    for number, name, price in service_words.MAINTENANCE_PARTS:
        columns = {
            "order_no": key,
            "part_no": number,
            "part_name": name,
            "quantity": np.ones(count),
            "unit_price": np.full(count, price),
        }
        yield PARTS, PARTS.rows(closed, columns)


def _order_rows(
    rng: np.random.Generator,
    desk: Desk,
    kind: str,
    key: pa.Array,
    call_key: pa.Array,
    machine: Array,
    opened: Array,
    closed: Array,
    text: pa.Array | str,
) -> Rows:
    """A version when opened, when somebody arrives, and when closed; some are opened twice."""
    count, dirt = len(opened), desk.parameters.dirt
    arrived = opened + rng.uniform(0.05, 0.6, count) * (closed - opened)
    wrong = rng.random(count) < dirt.closed_before_opened
    columns = {
        "order_no": key,
        "call_id": call_key,
        "serial_no": desk.fleet.serials.take(pa.array(machine)),
        "kind": kind,
        "status": "open",
        "opened_at": opened,
        "arrived_at": np.full(count, np.nan),
        "closed_at": np.full(count, np.nan),
        "under_warranty": opened < desk.fleet.delivered[machine] + WARRANTY_MONTHS * 30.44,
        "labour_hours": np.full(count, np.nan),
        "site": _site(desk, machine, opened),
        "work_text": None,
        "updated_at": opened,
    }
    yield WORK_ORDERS, WORK_ORDERS.rows(opened, columns)
    twice = rng.random(count) < dirt.cancelled_work_orders
    extra = columns | {"order_no": joined(key, "B")}
    for at, gone in ((opened + 0.01, False), (opened + 1, True)):
        yield WORK_ORDERS, WORK_ORDERS.rows(np.where(twice, at, np.inf), extra, gone)
    columns |= {"status": "in_progress", "arrived_at": arrived, "updated_at": arrived}
    yield WORK_ORDERS, WORK_ORDERS.rows(arrived, columns)
    columns |= {
        "status": "closed",
        "closed_at": np.where(wrong, opened - rng.uniform(0.1, 1, count), closed),
        "labour_hours": np.minimum((closed - arrived) * 8, 40),
        "work_text": text,
        "updated_at": closed,
    }
    yield WORK_ORDERS, WORK_ORDERS.rows(closed, columns)
    yield TRUE_FAULTS, spoilt(WORK_ORDERS, "closed_before_opened", wrong, key, None, closed)


def _site(desk: Desk, machine: Array, day: Array) -> pa.Array:
    """Where the machine works: one of its owner's three sites, another every four months."""
    owner = desk.fleet.owner_at(machine, day)
    turn = (desk.fleet.numbers[machine] + np.floor(day / 120).astype(np.int64)) % 3
    return numbered("S", desk.sites[owner, turn], 4)


def _complaints(
    rng: np.random.Generator,
    desk: Desk,
    failures: Failures,
    call_key: pa.Array,
    dissatisfaction: Array,
) -> Rows:
    """The dissatisfied complain after a breakdown; each complaint is resolved some days later."""
    owner = desk.fleet.owner_at(failures.machine, failures.day)
    month = np.searchsorted(desk.parameters.month_starts, failures.day, side="right") - 1
    anger = dissatisfaction[owner, month]
    complains = rng.random(len(anger)) < 1 / (1 + np.exp(-(-4.0 + 6.0 * anger)))
    at = np.flatnonzero(complains)
    count = len(at)
    opened = failures.day[at] + rng.uniform(1, 10, count)
    resolved = opened + rng.lognormal(np.log(8), 0.8, count)
    columns = {
        "complaint_no": numbered("TS", desk.block * 1_000_000 + at, 9),
        "call_id": call_key.take(pa.array(at)),
        "serial_no": desk.fleet.serials.take(pa.array(failures.machine[at])),
        "severity": 1 + (rng.random(count) < anger[at]) + (rng.random(count) < 0.2),
        "complaint_text": chosen(
            service_words.COMPLAINTS, rng.integers(0, len(service_words.COMPLAINTS), count)
        ),
        "opened_at": opened,
        "resolved_at": np.full(count, np.nan),
        "updated_at": opened,
    }
    yield COMPLAINTS, COMPLAINTS.rows(opened, columns)
    columns |= {"resolved_at": resolved, "updated_at": resolved}
    yield COMPLAINTS, COMPLAINTS.rows(resolved, columns)
    calls = Wanted(
        "投诉",
        opened,
        owner[at],
        failures.machine[at],
        pc.cast(columns["complaint_text"], pa.string()),
    )
    yield from _call_rows(rng, desk, 1, calls, None)


def draw_sites(parameters: Parameters, block: int, customers: Customers) -> Array:
    """Three building sites of each company, in its province; sites have several companies."""
    rng = parameters.generator("sites", block)
    return customers.province[:, None] * 60 + rng.integers(0, 60, (len(customers), 3))
