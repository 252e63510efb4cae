"""The CRM's contracts, instalments, payments and promises, with wrong bookings and their repair."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from examples.crane_works.accounts import Accounts, Rows
from examples.crane_works.contracts import CNY_PER, CURRENCIES, Contracts, Instalments
from examples.crane_works.crm_sales import opportunity_no
from examples.crane_works.customers import Customers
from examples.crane_works.faults import spoilt
from examples.crane_works.parameters import Array, Parameters
from examples.crane_works.systems import CONTRACTS, EXCHANGE_RATES, INSTALMENTS, PAYMENTS, PROMISES
from examples.crane_works.tables import chosen, joined, numbered, where
from examples.crane_works.truth import TRUE_FAULTS


def contract_rows(
    parameters: Parameters,
    block: int,
    customers: Customers,
    accounts: Accounts,
    contracts: Contracts,
) -> Rows:
    """Contracts; some amounts are in ten thousands for ever, some begin ten times too large."""
    rng, dirt = parameters.generator("contract rows", block), parameters.dirt
    count, key = len(contracts), contracts.keys
    ten_thousands = rng.random(count) < dirt.amount_in_ten_thousands
    typo = ~ten_thousands & (rng.random(count) < dirt.amount_typo)
    amount = np.where(ten_thousands, contracts.amount / 10_000, contracts.amount)
    signed = contracts.signed + 0.5
    bought = contracts.opportunity >= 0
    columns = {
        "contract_no": key,
        "account_no": accounts.account(
            customers, contracts.customer, contracts.signed, rng.random(count)
        ),
        "opportunity_no": where(
            bought, opportunity_no(block, np.maximum(contracts.opportunity, 0)), None
        ),
        "signed_on": contracts.signed,
        "quantity": contracts.quantity,
        "amount": np.where(typo, amount * 10, amount),
        "currency": chosen(CURRENCIES, contracts.currency),
        "instalment_count": contracts.instalments,
        "created_at": signed,
        "updated_at": signed,
        "is_deleted": False,
    }
    yield CONTRACTS, CONTRACTS.rows(signed, columns)
    settled = signed + rng.uniform(1, 14, count)
    columns |= {"amount": amount, "updated_at": settled}
    yield CONTRACTS, CONTRACTS.rows(np.where(typo, settled, np.inf), columns)
    for kind, which in (("amount_in_ten_thousands", ten_thousands), ("amount_typo", typo)):
        yield TRUE_FAULTS, spoilt(CONTRACTS, kind, which, key, contracts.amount, signed)


def money_rows(
    parameters: Parameters, block: int, contracts: Contracts, instalments: Instalments
) -> Rows:
    """Instalments, and what was promised and paid until the end."""
    rng, dirt = parameters.generator("money rows", block), parameters.dirt
    count, of = len(instalments.contract), instalments.contract
    key = contracts.keys.take(pa.array(of))
    signed = contracts.signed[of] + 0.5
    moved = (instalments.number > 1) & (rng.random(count) < dirt.rescheduled_instalments)
    before = instalments.due - rng.integers(5, 25, count)
    columns = {
        "contract_no": key,
        "instalment_no": instalments.number,
        "due_on": np.where(moved, before, instalments.due),
        "amount": instalments.amount,
        "updated_at": signed,
    }
    yield INSTALMENTS, INSTALMENTS.rows(signed, columns)
    agreed = np.minimum(before - 1.5, signed + 3)
    agreed = np.where(moved, np.maximum(agreed, signed + 0.1), np.inf)
    columns |= {"due_on": instalments.due, "updated_at": np.where(moved, agreed, signed)}
    yield INSTALMENTS, INSTALMENTS.rows(agreed, columns)
    yield from _payments(parameters, rng, contracts, instalments, key)
    late = instalments.settled - instalments.due
    promised = instalments.due + 10.4 + rng.random(count) * 4
    asked = np.flatnonzero((late > 15) & (promised < instalments.settled))
    at = promised[asked]
    yield (
        PROMISES,
        PROMISES.rows(
            at,
            {
                "promise_id": _number("ZN-", contracts, instalments, asked, ""),
                "contract_no": key.take(pa.array(asked)),
                "instalment_no": instalments.number[asked],
                "promised_at": at,
                "promised_for": at + rng.integers(5, 21, len(asked)),
                "amount": instalments.amount[asked],
            },
        ),
    )


def _payments(
    parameters: Parameters,
    rng: np.random.Generator,
    contracts: Contracts,
    instalments: Instalments,
    key: pa.Array,
) -> Rows:
    """Payments in one part or two; a misbooked one is reversed and booked again."""
    halves = ~np.isnan(instalments.second_part)
    parts = (
        (np.arange(len(halves)), instalments.paid, "-1"),
        (np.flatnonzero(halves), instalments.second_part, "-2"),
    )
    for at, days, suffix in parts:
        paid = days[at]
        booked = paid + 0.4 + rng.random(len(at)) * 2
        share = np.where(halves[at], 0.5, 1.0)
        number = _number("ZF-", contracts, instalments, at, suffix)
        wrong = rng.random(len(at)) < parameters.dirt.misbooked_payments
        owner = key.take(pa.array(at))
        stranger = key.take(pa.array(rng.integers(0, len(key), len(at))))
        columns = {
            "payment_no": number,
            "contract_no": where(wrong, stranger, owner),
            "instalment_no": instalments.number[at],
            "paid_on": paid,
            "amount": instalments.amount[at] * share,
            "created_at": booked,
            "updated_at": booked,
            "is_deleted": False,
        }
        yield PAYMENTS, PAYMENTS.rows(booked, columns)
        found = booked + rng.uniform(2, 20, len(at))
        undo = np.where(wrong, found, np.inf)
        yield PAYMENTS, PAYMENTS.rows(undo, columns | {"is_deleted": True, "updated_at": found})
        again = {
            "payment_no": joined(number, "R"),
            "contract_no": owner,
            "created_at": found,
            "updated_at": found,
        }
        yield PAYMENTS, PAYMENTS.rows(undo, columns | again)
        yield TRUE_FAULTS, spoilt(PAYMENTS, "misbooked", wrong, number, owner, paid)


def _number(
    prefix: str, contracts: Contracts, instalments: Instalments, at: Array, suffix: str
) -> pa.Array:
    contract = pc.utf8_slice_codeunits(contracts.keys, 3).take(pa.array(instalments.contract[at]))
    return joined(prefix, contract, "-", numbered("", instalments.number[at], 2), suffix)


def exchange_rate_rows(parameters: Parameters) -> Rows:
    """The yuan that a foreign unit is worth, for each month, a year before the start as well."""
    rng = parameters.generator("exchange rates")
    months = parameters.month_starts
    earlier = months[0] - 30.4375 * np.arange(48, 0, -1)
    starts = earlier.astype(np.int64).astype("datetime64[D]").astype("datetime64[M]")
    days = np.concatenate([np.unique(starts).astype("datetime64[D]").astype(float), months[:-1]])
    days = np.unique(days)
    for currency, worth in zip(CURRENCIES, CNY_PER, strict=True):
        drift = np.cumsum(rng.normal(0, 0.008, len(days))) * (worth != 1)
        columns = {"currency": currency, "month": days, "cny": worth * np.exp(drift)}
        yield EXCHANGE_RATES, EXCHANGE_RATES.rows(days, columns)
