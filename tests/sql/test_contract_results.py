"""Rows in, rows out: what a contract brought, and what its machines cost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

RunSql = Callable[..., list[dict[str, Any]]]
Row = dict[str, Any]
AT = datetime(2025, 3, 1, tzinfo=UTC)


def order(order_id: str, amount: float, **given: Any) -> Row:
    row = {"order_id": order_id, "customer_key": "crm:K-1", "ordered_at": AT, "status": "placed"}
    return row | {"amount": amount, "line_count": 1} | given


def line(order_id: str, quantity: int) -> Row:
    row = {"order_id": order_id, "product_id": "TC50", "line": "1", "customer_key": "crm:K-1"}
    return row | {"ordered_at": AT, "status": "placed", "quantity": quantity, "amount": 1.0}


def machine(machine_id: str, order_id: str | None, cost: float) -> Row:
    row: Row = {"machine_id": machine_id, "order_id": order_id, "standard_cost": cost}
    return row | {"owner": "crm:K-9", "since_at": AT, "is_returned": False}


def repair(ticket_id: str, machine_id: str | None, **given: Any) -> Row:
    row: Row = {"ticket_id": ticket_id, "machine_id": machine_id, "kind": "repair"}
    row |= {"status": "closed", "opened_at": AT}
    row |= {"is_under_warranty": True, "part_cost": 100.05, "labour_hours": 2.5}
    return row | given


def results(derived_sql: RunSql, **rows: Any) -> dict[str, Row]:
    empty: dict[str, list[Row]] = {
        name: []
        for name in ("orders", "order_lines", "machines", "service_tickets", "amount_checks")
    }
    found = derived_sql("contract_results", **(empty | rows))
    return {row["order_id"]: row for row in found}


def test_repairs_under_warranty_count_for_the_contract_that_sold_the_machine(
    derived_sql: RunSql,
) -> None:
    found = results(
        derived_sql,
        orders=[order("a", 1000.0), order("b", 500.0)],
        order_lines=[line("a", 2), line("b", 1)],
        machines=[machine("m1", "a", 300.1), machine("m2", "a", 300.2), machine("m3", "b", 350.0)],
        service_tickets=[
            repair("1", "m1"),
            repair("2", "m2", labour_hours=None),
            repair("3", "m2", is_under_warranty=False),
            repair("4", "m1", kind="maintenance"),
            repair("5", None),
        ],
    )
    assert found["a"]["machine_cost"] == 600.3
    assert (found["a"]["warranty_part_cost"], found["a"]["warranty_labour_hours"]) == (200.1, 2.5)
    assert (found["a"]["machine_count"], found["a"]["is_delivered"]) == (2, True)
    assert (found["b"]["warranty_part_cost"], found["b"]["warranty_labour_hours"]) == (0, 0)


def test_a_contract_is_delivered_when_all_its_machines_are(derived_sql: RunSql) -> None:
    found = results(
        derived_sql,
        orders=[order("a", 1000.0), order("b", 500.0), order("c", 1.0, status="cancelled")],
        order_lines=[line("a", 2), line("c", 1)],
        machines=[machine("m1", "a", 300.0), machine("m2", None, 9.0), machine("m3", "b", 5.0)],
    )
    assert {name: row["is_delivered"] for name, row in found.items()} == {"a": False, "b": False}


@pytest.mark.parametrize(
    ("booked", "checked", "amount"),
    [(100.0, 10.0, 71.0), (0.001, 10.0, 7_100_000.0), (100.0, None, 710.0), (100.0, 100.0, 710.0)],
)
def test_an_amount_out_by_a_power_of_ten_counts_as_its_instalments_say(
    derived_sql: RunSql, booked: float, checked: float | None, amount: float
) -> None:
    check = {"kind": "order", "record": "a", "booked_amount": booked, "checked_amount": checked}
    payment = check | {"kind": "payment", "checked_amount": 1.0}
    found = results(derived_sql, orders=[order("a", 710.0)], amount_checks=[check, payment])
    assert found["a"]["amount"] == amount
