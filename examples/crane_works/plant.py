"""Production and delivery in the MES, and who owns which crane in the CRM."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from examples.crane_works import names
from examples.crane_works.accounts import Accounts, Rows
from examples.crane_works.contracts import KEPT_DAYS, SOLD
from examples.crane_works.customers import Customers
from examples.crane_works.faults import spoilt
from examples.crane_works.fleet import MODEL_CODES, MODELS, NEVER, PRICES, Fleet
from examples.crane_works.parameters import Array, Parameters
from examples.crane_works.sales import Sales
from examples.crane_works.systems import DELIVERIES, MACHINES, OWNERSHIP, RETURNS
from examples.crane_works.systems import MODELS as MODEL_TABLE
from examples.crane_works.tables import chosen, numbered, where
from examples.crane_works.truth import TRUE_FAULTS, TRUE_IDENTITIES, TRUE_MACHINES, TRUE_OWNERS

WARRANTY_MONTHS = 24
RETURN_REASONS = ("质量问题", "项目取消", "型号不符", "资金困难")


def model_rows() -> Rows:
    """The catalogue."""
    columns = {
        "model_code": MODEL_CODES,
        "kind": [model.kind for model in MODELS],
        "tonnes": [model.tonnes for model in MODELS],
        "list_price_cny": PRICES,
        "replacement_years": [model.replacement_years for model in MODELS],
        "maintenance_hours": [model.maintenance_hours for model in MODELS],
    }
    yield MODEL_TABLE, MODEL_TABLE.rows(np.zeros(len(MODELS)), columns)


def contract_of(block: int, fleet: Fleet, sales: Sales, first_day: float) -> pa.Array:
    """The contract of each machine, null for those in the archive."""
    installed = int(fleet.installed.sum())
    number = fleet.numbers.copy()
    number[installed:] = SOLD + block * 100_000 + sales.opportunity
    archived = fleet.installed & (fleet.delivered <= first_day - KEPT_DAYS)
    return where(archived, None, numbered("HT-", number, 8))


def plant_rows(
    parameters: Parameters,
    block: int,
    customers: Customers,
    accounts: Accounts,
    fleet: Fleet,
    sales: Sales,
) -> Rows:
    """Machines, deliveries, owners and returns."""
    rng = parameters.generator("plant rows", block)
    count, serial = len(fleet), fleet.serials
    cost = PRICES[fleet.model] * rng.uniform(0.68, 0.8, count)
    columns = {
        "serial_no": serial,
        "model_code": chosen(MODEL_CODES, fleet.model),
        "built_on": fleet.built,
        "plant": chosen(("P1", "P2"), rng.integers(0, 2, count)),
        "standard_cost": cost,
        "warranty_months": np.full(count, WARRANTY_MONTHS),
    }
    yield MACHINES, MACHINES.rows(fleet.built + 0.7, columns)
    debtor = debtor_no(customers.numbers[fleet.buyer])
    right = names.tax_number(customers.numbers, customers.province).take(pa.array(fleet.buyer))
    style = customers.numbers[fleet.buyer] % 2 * 4  # the register's spelling, or the long form
    contract = contract_of(block, fleet, sales, parameters.first_day)
    columns = {
        "delivery_note": numbered("LS", fleet.numbers, 8),
        "serial_no": serial,
        "debtor_no": debtor,
        "debtor_name": names.spelt(
            style,
            customers.city[fleet.buyer],
            customers.brand[fleet.buyer],
            customers.industry[fleet.buyer],
        ),
        "tax_number": where(rng.random(count) < 0.02, None, right),
        "contract_no": contract,
        "delivered_on": fleet.delivered,
    }
    yield DELIVERIES, DELIVERIES.rows(fleet.delivered + 0.6, columns)
    yield from _debtors(customers)
    yield from _owner_rows(parameters, rng, customers, accounts, fleet, serial)
    at = int(fleet.installed.sum()) + np.flatnonzero(sales.returned < NEVER)
    back = sales.returned[sales.returned < NEVER]
    reason = chosen(RETURN_REASONS, rng.integers(0, len(RETURN_REASONS), len(at)))
    columns = {
        "return_no": numbered("TH-", fleet.numbers[at], 8),
        "serial_no": serial.take(pa.array(at)),
        "account_no": accounts.account(customers, fleet.buyer[at], back, rng.random(len(at))),
        "contract_no": contract.take(pa.array(at)),
        "returned_on": back,
        "reason": where(sales.explained[sales.returned < NEVER], reason, None),
    }
    yield RETURNS, RETURNS.rows(back + 0.6, columns)


def debtor_no(number: Array) -> pa.Array:
    """The MES's number of a customer."""
    return numbered("2", np.asarray(number, np.int64) * 3_571_429 % 9_999_973, 7)


def _debtors(customers: Customers) -> Rows:
    columns = {
        "system": "mes",
        "source_key": debtor_no(customers.numbers),
        "customer": customers.ids,
        "held_from": customers.since,
        "held_until": np.full(len(customers), np.nan),
    }
    yield TRUE_IDENTITIES, TRUE_IDENTITIES.rows(np.zeros(len(customers)), columns)


def _owner_rows(
    parameters: Parameters,
    rng: np.random.Generator,
    customers: Customers,
    accounts: Accounts,
    fleet: Fleet,
    serial: pa.Array,
) -> Rows:
    """Who owns a machine from when: by delivery, by resale (a fifth of them never told)."""
    resold = np.flatnonzero(fleet.resold < NEVER)
    told = resold[rng.random(len(resold)) >= parameters.dirt.unrecorded_resales]
    everyone = np.arange(len(fleet))
    parts = (
        (everyone, fleet.buyer, fleet.delivered, "new", everyone),
        (resold, fleet.second_owner, fleet.resold, "second_hand", told),
    )
    for machine, owner, day, how, known in parts:
        columns = {
            "serial_no": serial.take(pa.array(machine)),
            "customer": customers.ids.take(pa.array(owner[machine])),
            "owned_from": day[machine],
        }
        yield TRUE_OWNERS, TRUE_OWNERS.rows(np.zeros(len(machine)), columns)
        since = day[known]
        columns = {
            "serial_no": serial.take(pa.array(known)),
            "account_no": accounts.account(customers, owner[known], since, rng.random(len(known))),
            "owned_from": since,
            "how": how,
        }
        lag = 0.6 if how == "new" else rng.uniform(1, 60, len(known))
        yield OWNERSHIP, OWNERSHIP.rows(since + lag, columns)
    silent = np.isin(everyone, resold) & ~np.isin(everyone, told)
    truth = customers.ids.take(pa.array(fleet.second_owner))
    day = np.where(silent, fleet.resold, 0)
    yield TRUE_FAULTS, spoilt(OWNERSHIP, "unrecorded_resale", silent, serial, truth, day)


def machine_truth_rows(fleet: Fleet, failures: Array, expected: Array) -> Rows:
    """What tells good machines from bad ones."""
    columns = {
        "serial_no": fleet.serials,
        "frailty": fleet.frailty,
        "failure_count": np.bincount(failures, minlength=len(fleet)),
        "failures_expected": expected.sum(axis=1),
        "scrapped_on": fleet.scrapped,
    }
    yield TRUE_MACHINES, TRUE_MACHINES.rows(np.zeros(len(fleet)), columns)
