"""Rows in, rows out: the derived table of the days between a customer's orders."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

RunSql = Callable[..., list[dict[str, Any]]]


def order(order_id: str, day: int, hour: int = 0, **given: Any) -> dict[str, Any]:
    return {
        "order_id": order_id,
        "customer_key": "7",
        "ordered_at": datetime(2017, 3, day, hour, tzinfo=UTC),
        "status": "placed",
        "amount": 1.0,
        **given,
    }


def gaps(rows: list[dict[str, Any]]) -> dict[str, tuple[int, float | None]]:
    return {row["order_id"]: (row["order_number"], row["gap_days"]) for row in rows}


def test_gaps_are_days_with_fractions_between_one_customers_orders(derived_sql: RunSql) -> None:
    orders = [order("b", 3, 12), order("a", 1), order("c", 7), order("x", 2, customer_key="8")]
    found = derived_sql("order_gaps", orders=orders)
    assert gaps(found) == {"a": (1, None), "b": (2, 2.5), "c": (3, 3.5), "x": (1, None)}
    (second,) = (row for row in found if row["order_id"] == "b")
    assert second["previous_ordered_at"] == datetime(2017, 3, 1, tzinfo=UTC)


def test_only_placed_orders_count(derived_sql: RunSql) -> None:
    orders = [order("a", 1), order("b", 2, status="cancelled"), order("c", 5, status="returned")]
    assert gaps(derived_sql("order_gaps", orders=orders)) == {"a": (1, None)}
    orders.append(order("d", 6))
    assert gaps(derived_sql("order_gaps", orders=orders)) == {"a": (1, None), "d": (2, 5.0)}


def test_orders_of_one_instant_follow_each_other_by_their_ids(derived_sql: RunSql) -> None:
    orders = [order("b", 4), order("c", 4), order("a", 1)]
    wanted = {"a": (1, None), "b": (2, 3.0), "c": (3, 0.0)}
    assert gaps(derived_sql("order_gaps", orders=orders)) == wanted
    assert gaps(derived_sql("order_gaps", orders=orders[::-1])) == wanted
