"""Rows in, rows out: amounts that the books say twice and not alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

RunSql = Callable[..., list[dict[str, Any]]]
Row = dict[str, Any]


def checked(derived_sql: RunSql, **rows: Any) -> dict[str, tuple[str | None, float | None]]:
    empty: dict[str, list[Row]] = {
        name: [] for name in ("orders", "receivables", "payments", "opportunities", "products")
    }
    found = derived_sql("amount_checks", **(empty | rows))
    return {row["record"]: (row["issue"], row["checked_amount"]) for row in found}


def instalments(*amounts: float) -> list[Row]:
    return [
        {"receivable_id": f"HT-1/{number}", "order_id": "HT-1", "booked_amount": amount}
        for number, amount in enumerate(amounts, 1)
    ]


@pytest.mark.parametrize(
    ("booked", "issue", "right"),
    [
        (1000.0, None, 1000.0),
        (1000.1, None, 1000.1),
        (0.1, "ten_thousands", 1000.0),
        (10_000.0, "ten_times", 1000.0),
        (700.0, "differs", None),
    ],
)
def test_a_contract_is_worth_its_instalments(
    derived_sql: RunSql, booked: float, issue: str | None, right: float | None
) -> None:
    order = {"order_id": "HT-1", "status": "placed", "booked_amount": booked}
    found = checked(derived_sql, orders=[order], receivables=instalments(200.0, 400.0, 400.0))
    assert found == {"HT-1": (issue, right)}


def test_a_contract_without_instalments_has_nothing_to_be_checked_by(
    derived_sql: RunSql,
) -> None:
    order = {"order_id": "HT-2", "status": "placed", "booked_amount": 5.0}
    assert checked(derived_sql, orders=[order]) == {"HT-2": (None, 5.0)}
    assert checked(derived_sql, orders=[order | {"status": "cancelled"}]) == {}


def test_an_open_opportunity_is_worth_its_machines_less_the_discount(derived_sql: RunSql) -> None:
    offer = {
        "opportunity_id": "OP-1",
        "product_id": "QY25",
        "quantity": 2,
        "discount_share": 0.05,
        "is_open": True,
        "is_deleted": False,
        "amount": 19_000.0,
    }
    prices = [{"product_id": "QY25", "list_price": 1000.0}]
    wrong = checked(derived_sql, opportunities=[offer], products=prices)
    assert wrong == {"OP-1": ("ten_times", 1900.0)}
    right = checked(derived_sql, opportunities=[offer | {"amount": 1900.0}], products=prices)
    assert right == {"OP-1": (None, 1900.0)}


def payment(number: str, amount: float, instalment: int = 1, status: str = "booked") -> Row:
    return {
        "payment_id": number,
        "receivable_id": f"HT-1/{instalment}",
        "status": status,
        "booked_amount": amount,
    }


def test_a_payment_is_an_instalment_or_half_of_it(derived_sql: RunSql) -> None:
    found = checked(
        derived_sql,
        receivables=instalments(200.0, 400.0, 400.0),
        payments=[
            payment("whole", 200.0),
            payment("half", 200.0, 2),
            payment("odd", 130.0, 3),
            payment("nowhere", 200.0, 7),
            payment("reversed", 1.0, 3, "reversed"),
        ],
    )
    assert found == {
        "whole": (None, 200.0),
        "half": (None, 200.0),
        "odd": ("differs", None),
        "nowhere": ("no_instalment", None),
    }


def test_payments_of_an_instalment_are_not_more_than_it(derived_sql: RunSql) -> None:
    found = checked(
        derived_sql,
        receivables=instalments(200.0),
        payments=[payment("own", 200.0), payment("stranger's", 200.0)],
    )
    assert {issue for issue, _ in found.values()} == {"paid_twice"}
