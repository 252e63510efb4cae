"""Rows in, rows out: contracts, instalments, payments and promises of the crane maker."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
from tests.crane_rows import MACHINE, NOTE, at, in_order, opportunity

RunSql = Callable[..., list[dict[str, Any]]]
Rows = list[dict[str, Any]]


RATES = [
    {"currency": "CNY", "month": date(2025, 1, 1), "cny": 1.0},
    {"currency": "USD", "month": date(2025, 1, 1), "cny": 7.0},
    {"currency": "USD", "month": date(2025, 3, 1), "cny": 7.5},
]


def contract(**given: Any) -> dict[str, Any]:
    return {
        "contract_no": "HT-1",
        "account_no": "K-1",
        "opportunity_no": "OP-1",
        "signed_on": date(2025, 2, 10),
        "quantity": 2,
        "amount": 1_000.0,
        "currency": "USD",
        "instalment_count": 3,
        "created_at": at(2, 10, 12),
        "updated_at": at(2, 10, 12),
        "is_deleted": False,
        **given,
    }


def test_a_contract_is_an_order_in_yuan_at_the_newest_rate_of_then(source_sql: RunSql) -> None:
    rows = source_sql(
        "crane_office",
        "orders",
        contracts=[
            contract(),
            contract(contract_no="HT-2", signed_on=date(2025, 3, 1)),
            contract(contract_no="HT-3", signed_on=date(2024, 12, 1)),
            contract(contract_no="HT-4", currency="CNY"),
            contract(contract_no="HT-5", currency="JPY"),
        ],
        exchange_rates=RATES,
    )
    assert {row["order_id"]: (row["amount"], row["exchange_rate"]) for row in rows} == {
        "HT-1": (7_000.0, 7.0),
        "HT-2": (7_500.0, 7.5),
        "HT-3": (7_000.0, 7.0),
        "HT-4": (1_000.0, 1.0),
        "HT-5": (None, None),
    }
    first = next(row for row in rows if row["order_id"] == "HT-1")
    assert (first["ordered_at"], first["valid_at"]) == (at(2, 10), at(2, 10, 12))
    assert (first["booked_amount"], first["booked_currency"]) == (1_000.0, "USD")


def test_a_corrected_contract_has_the_versions_that_were_read(source_sql: RunSql) -> None:
    typed = contract(amount=10_000.0)
    corrected = contract(updated_at=at(2, 20))
    rows = source_sql(
        "crane_office",
        "orders",
        contracts=[corrected],
        contract_changes=[typed, corrected],
        exchange_rates=RATES,
    )
    assert in_order(rows, "valid_at", "booked_amount", "status") == [
        (at(2, 10, 12), 10_000.0, "placed"),
        (at(2, 20), 1_000.0, "placed"),
    ]
    rows = source_sql(
        "crane_office", "orders", contracts=[corrected], contract_changes=[corrected],
        exchange_rates=RATES,
    )  # fmt: skip
    assert in_order(rows, "valid_at", "booked_amount") == [(at(2, 10, 12), 1_000.0)]


def test_a_deleted_contract_is_cancelled_from_then_on(source_sql: RunSql) -> None:
    deleted = contract(updated_at=at(3, 3), is_deleted=True)
    rows = source_sql("crane_office", "orders", contracts=[deleted], exchange_rates=RATES)
    assert in_order(rows, "valid_at", "status") == [
        (at(2, 10, 12), "placed"),
        (at(3, 3), "cancelled"),
    ]


def test_a_contract_without_an_opportunity_sells_what_was_delivered_for_it(
    source_sql: RunSql,
) -> None:
    read = {
        "contracts": [contract(opportunity_no=None), contract(contract_no="HT-2")],
        "opportunities": [opportunity(model_code="CC80")],
        "deliveries": [NOTE],
        "machines": [MACHINE],
        "exchange_rates": RATES,
    }
    rows = source_sql("crane_office", "order_lines", **read)
    assert {row["order_id"]: row["product_id"] for row in rows} == {"HT-1": "TC25", "HT-2": "CC80"}
    assert {(row["quantity"], row["amount"], row["status"]) for row in rows} == {
        (2, 7_000.0, "placed")
    }


def instalment(**given: Any) -> dict[str, Any]:
    return {
        "contract_no": "HT-1",
        "instalment_no": 1,
        "due_on": date(2025, 2, 20),
        "amount": 100.0,
        "updated_at": at(2, 10, 12),
        **given,
    }


def payment(**given: Any) -> dict[str, Any]:
    return {
        "payment_no": "ZF-1",
        "contract_no": "HT-1",
        "instalment_no": 1,
        "paid_on": date(2025, 2, 25),
        "amount": 100.0,
        "created_at": at(2, 26, 10),
        "updated_at": at(2, 26, 10),
        "is_deleted": False,
        **given,
    }


MONEY = {"contracts": [contract()], "exchange_rates": RATES}


def test_an_instalment_is_open_until_all_of_it_is_booked(source_sql: RunSql) -> None:
    halves = [
        payment(amount=49.98),
        payment(payment_no="ZF-2", amount=50.0, paid_on=date(2025, 3, 9), created_at=at(3, 10, 9)),
    ]
    rows = source_sql(
        "crane_office", "receivables", instalments=[instalment()], payments=halves, **MONEY
    )
    assert in_order(rows, "valid_at", "open_amount", "is_open", "settled_at") == [
        (at(2, 10, 12), 700.0, True, None),
        (at(2, 26, 10), 350.14, True, None),
        (at(3, 10, 9), 0.0, False, at(3, 9)),
    ]
    assert {row["due_at"] for row in rows} == {at(2, 21)}, "a day is over at its end"
    assert {(row["receivable_id"], row["amount"]) for row in rows} == {("HT-1/1", 700.0)}


def test_a_reversed_payment_opens_the_instalment_again(source_sql: RunSql) -> None:
    wrong = payment(is_deleted=True, updated_at=at(3, 5))
    again = payment(
        payment_no="ZF-1R", paid_on=date(2025, 3, 7), created_at=at(3, 8), updated_at=at(3, 8)
    )
    rows = source_sql(
        "crane_office", "receivables", instalments=[instalment()], payments=[wrong, again], **MONEY
    )
    assert in_order(rows, "valid_at", "is_open", "settled_at") == [
        (at(2, 10, 12), True, None),
        (at(2, 26, 10), False, at(2, 25)),
        (at(3, 5), True, None),
        (at(3, 8), False, at(3, 7)),
    ]


def test_a_strangers_payment_that_is_reversed_moves_no_day_of_settlement(
    source_sql: RunSql,
) -> None:
    stranger = payment(
        payment_no="ZF-9", paid_on=date(2025, 6, 1), created_at=at(6, 2), updated_at=at(6, 9),
        is_deleted=True,
    )  # fmt: skip
    rows = source_sql(
        "crane_office",
        "receivables",
        instalments=[instalment()],
        payments=[payment(), stranger],
        **MONEY,
    )
    assert in_order(rows, "valid_at", "is_open", "settled_at", "paid_amount") == [
        (at(2, 10, 12), True, None, 0.0),
        (at(2, 26, 10), False, at(2, 25), 700.0),
        (at(6, 2), False, at(2, 25), 1_400.0),
        (at(6, 9), False, at(2, 25), 700.0),
    ]


def test_a_part_that_came_last_settles_also_where_it_was_booked_first(source_sql: RunSql) -> None:
    halves = [
        payment(amount=50.0, paid_on=date(2025, 3, 5), created_at=at(3, 6)),
        payment(payment_no="ZF-2", amount=50.0, paid_on=date(2025, 3, 1), created_at=at(3, 10)),
    ]
    rows = source_sql(
        "crane_office", "receivables", instalments=[instalment()], payments=halves, **MONEY
    )
    assert in_order(rows, "settled_at")[-1] == (at(3, 5),)


def test_nothing_of_a_deleted_contract_is_open_from_then_on(source_sql: RunSql) -> None:
    deleted = contract(updated_at=at(3, 3), is_deleted=True)
    rows = source_sql(
        "crane_office",
        "receivables",
        contracts=[deleted],
        instalments=[instalment(), instalment(instalment_no=2, due_on=date(2025, 4, 20))],
        payments=[payment(), payment(payment_no="ZF-2", instalment_no=2, amount=40.0)],
        exchange_rates=RATES,
    )
    shown = ("receivable_id", "open_amount", "is_open", "settled_at", "paid_amount")
    now = [row for row in rows if row["valid_at"] == at(3, 3)]
    assert sorted(in_order(now, *shown)) == [
        ("HT-1/1", 0.0, False, at(2, 25), 700.0),
        ("HT-1/2", 0.0, False, None, 280.0),
    ]
    before = [row for row in rows if row["valid_at"] == at(2, 26, 10)]
    assert sorted(in_order(before, "receivable_id", "open_amount")) == [
        ("HT-1/1", 0.0),
        ("HT-1/2", 420.0),
    ]


def test_a_contract_that_is_taken_back_from_deletion_is_open_again(source_sql: RunSql) -> None:
    deleted, again = contract(updated_at=at(3, 3), is_deleted=True), contract(updated_at=at(3, 9))
    rows = source_sql(
        "crane_office",
        "receivables",
        contracts=[again],
        contract_changes=[contract(), deleted, again],
        instalments=[instalment()],
        exchange_rates=RATES,
    )
    assert in_order(rows, "valid_at", "is_open") == [
        (at(2, 10, 12), True),
        (at(3, 3), False),
        (at(3, 9), True),
    ]


def test_a_payment_on_an_instalment_that_does_not_exist_opens_none(source_sql: RunSql) -> None:
    read = {"instalments": [instalment()], "payments": [payment(instalment_no=9)]}
    rows = source_sql("crane_office", "receivables", **read, **MONEY)
    assert in_order(rows, "receivable_id", "is_open") == [("HT-1/1", True)]


def test_an_instalment_that_was_moved_is_due_later_from_then_on(source_sql: RunSql) -> None:
    moved = instalment(due_on=date(2025, 3, 20), updated_at=at(2, 13))
    rows = source_sql(
        "crane_office",
        "receivables",
        instalments=[moved],
        instalment_changes=[instalment(), moved],
        **MONEY,
    )
    assert in_order(rows, "valid_at", "due_at") == [
        (at(2, 10, 12), at(2, 21)),
        (at(2, 13), at(3, 21)),
    ]


def test_a_payment_is_known_from_its_booking_and_reversed_by_its_deletion(
    source_sql: RunSql,
) -> None:
    wrong = payment(is_deleted=True, updated_at=at(3, 5))
    rows = source_sql(
        "crane_office", "payments", instalments=[instalment()], payments=[wrong], **MONEY
    )
    shown = ("valid_at", "paid_at", "status", "amount", "days_late", "due_at", "customer_key")
    assert in_order(rows, *shown) == [
        (at(2, 26, 10), at(2, 25), "booked", 700.0, 5, at(2, 21), "crm:K-1"),
        (at(3, 5), at(2, 25), "reversed", 700.0, 5, at(2, 21), "crm:K-1"),
    ]


def test_a_day_that_was_moved_later_makes_no_earlier_payment_timely(source_sql: RunSql) -> None:
    moved = instalment(due_on=date(2025, 3, 20), updated_at=at(3, 1))
    rows = source_sql(
        "crane_office",
        "payments",
        instalments=[moved],
        instalment_changes=[instalment(), moved],
        payments=[
            payment(amount=50.0, is_deleted=True, updated_at=at(3, 5)),
            payment(payment_no="ZF-2", amount=50.0, created_at=at(3, 6)),
        ],
        **MONEY,
    )
    assert in_order(rows, "valid_at", "payment_id", "days_late", "due_at") == [
        (at(2, 26, 10), "ZF-1", 5, at(2, 21)),
        (at(3, 5), "ZF-1", -23, at(3, 21)),
        (at(3, 6), "ZF-2", -23, at(3, 21)),
    ]


def test_the_day_that_was_read_first_holds_for_all_payments_before_it(source_sql: RunSql) -> None:
    known_since = instalment(updated_at=at(6, 1))
    (row,) = source_sql(
        "crane_office", "payments", instalments=[known_since], payments=[payment()], **MONEY
    )
    assert (row["days_late"], row["due_at"]) == (5, at(2, 21))


def test_a_payment_on_a_contract_that_does_not_exist_names_no_customer(
    source_sql: RunSql,
) -> None:
    (row,) = source_sql("crane_office", "payments", payments=[payment(contract_no="HT-9")], **MONEY)
    assert (row["customer_key"], row["amount"], row["booked_amount"]) == (None, None, 100.0)


PROMISE = {
    "promise_id": "ZN-1",
    "contract_no": "HT-1",
    "instalment_no": 1,
    "promised_at": at(3, 3, 9),
    "promised_for": date(2025, 3, 10),
    "amount": 100.0,
}


@pytest.mark.parametrize(
    ("paid", "judged"),
    [
        ([], (at(3, 14), "broken")),
        ([payment(paid_on=date(2025, 3, 8), created_at=at(3, 10))], (at(3, 10), "kept")),
        ([payment(paid_on=date(2025, 3, 10), created_at=at(3, 12))], (at(3, 12), "kept")),
        ([payment(paid_on=date(2025, 3, 11), created_at=at(3, 12))], (at(3, 14), "broken")),
        ([payment(paid_on=date(2025, 3, 8), created_at=at(3, 20))], (at(3, 14), "broken")),
        ([payment(amount=50.0, created_at=at(3, 4))], (at(3, 14), "broken")),
        (
            [payment(created_at=at(3, 4), is_deleted=True, updated_at=at(3, 6))],
            (at(3, 14), "broken"),
        ),
        (
            [payment(created_at=at(3, 4), is_deleted=True, updated_at=at(4, 6))],
            (at(3, 4), "kept"),
        ),
        (
            [payment(created_at=at(2, 26), amount=60.0), payment(created_at=at(3, 5), amount=40.0)],
            (at(3, 5), "kept"),
        ),
    ],
)  # fmt: skip
def test_a_promise_is_kept_by_what_was_booked_in_time(
    source_sql: RunSql, paid: Rows, judged: tuple[datetime, str]
) -> None:
    rows = source_sql(
        "crane_office", "payment_promises", payment_promises=[PROMISE], payments=paid, **MONEY
    )
    assert in_order(rows, "valid_at", "status") == [(at(3, 3, 9), "open"), judged]
    assert {row["promised_for"] for row in rows} == {at(3, 11)}
