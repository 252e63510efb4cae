"""Rows in, rows out: the derived tables of repairs, open opportunities, sites and dealers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

RunSql = Callable[..., list[dict[str, Any]]]


def day(number: int, month: int = 3) -> datetime:
    return datetime(2025, month, number, tzinfo=UTC)


def ticket(ticket_id: str, at: datetime, machine: str = "m", **given: Any) -> dict[str, Any]:
    kept = {"kind": "repair", "status": "closed", "site": "S1", **given}
    return {"ticket_id": ticket_id, "machine_id": machine, "opened_at": at, **kept}


def machine(machine_id: str, customer: str | None, **given: Any) -> dict[str, Any]:
    kept = {"since_at": day(1, 1), "product_id": "TC50", "is_returned": False, **given}
    return {"machine_id": machine_id, "customer_id": customer, **kept}


def opportunity(key: str, customer: str | None = "a", **given: Any) -> dict[str, Any]:
    kept = {"stage": "lead", "is_open": True, "is_deleted": False, "product_id": "TC50", **given}
    return {"opportunity_id": key, "customer_id": customer, "since_at": day(1), **kept}


def test_gaps_are_days_between_repairs_of_one_machine(derived_sql: RunSql) -> None:
    tickets = [
        ticket("b", day(3)),
        ticket("a", day(1)),
        ticket("x", day(2), "other"),
        ticket("maintained", day(2), kind="maintenance"),
        ticket("mistaken", day(2), status="cancelled"),
    ]
    found = {
        row["ticket_id"]: row["gap_days"]
        for row in derived_sql("repair_gaps", service_tickets=tickets)
    }
    assert found == {"a": None, "b": 2.0, "x": None}


def view(key: str, model: str | None) -> dict[str, Any]:
    kept = {"interaction_id": key, "kind": "machine_view", "product_id": model}
    return {**kept, "customer_id": "a"}


def events(derived_sql: RunSql, **rows: Any) -> list[tuple[Any, ...]]:
    names = ("interactions", "service_tickets", "payments", "surveys", "opportunities", "machines")
    found = derived_sql("opportunity_events", **({name: [] for name in names} | rows))
    shown = ("opportunity_id", "event_id", "kind", "is_same_model", "points")
    return sorted(tuple(row[name] for name in shown) for row in found)


def test_an_open_opportunity_has_what_its_customer_did_in_every_system(derived_sql: RunSql) -> None:
    found = events(
        derived_sql,
        opportunities=[opportunity("o")],
        interactions=[
            view("1", "TC50"),
            view("2", "CC80"),
            {**view("3", None), "kind": "delivered"},
            {**view("4", "TC50"), "customer_id": "b"},
        ],
        service_tickets=[
            ticket("t", day(1), customer_id="a", kind="inquiry"),
            ticket("r", day(1), customer_id="a", kind="repair"),
        ],
        payments=[
            {"payment_id": "p", "customer_id": "a", "status": "booked", "days_late": 12},
            {"payment_id": "q", "customer_id": "a", "status": "reversed", "days_late": 90},
        ],
        surveys=[{"survey_id": "s", "customer_id": "a", "score": 70.0}],
        machines=[machine("m", "a"), machine("back", "a", is_returned=True), machine("n", "b")],
    )
    assert found == [
        ("o", "interaction 1", "machine_view", True, None),
        ("o", "interaction 2", "machine_view", False, None),
        ("o", "machine m", "machine", True, None),
        ("o", "payment p", "payment", False, 12.0),
        ("o", "survey s", "survey", False, 70.0),
        ("o", "ticket t", "inquiry", False, None),
    ]


def test_closed_and_deleted_opportunities_have_no_events_but_are_some(derived_sql: RunSql) -> None:
    closed: dict[str, Any] = {"is_open": False, "closed_at": day(9)}
    found = events(
        derived_sql,
        opportunities=[
            opportunity("o"),
            opportunity("won", stage="won", product_id="CC80", **closed),
            opportunity("gone", stage="lost", is_deleted=True, **closed),
            opportunity("mistaken", is_deleted=True),
            opportunity("nobody", None),
            opportunity("other", "b"),
        ],
    )
    assert found == [("o", "opportunity won", "won", False, None)]


def test_a_month_on_a_site_counts_other_customers_of_that_month(derived_sql: RunSql) -> None:
    machines = [machine("m", "a"), machine("m2", "a"), machine("n", "b"), machine("none", None)]
    tickets = [
        ticket("1", day(5)),
        ticket("2", day(7), "m2", kind="maintenance"),
        ticket("3", day(9), "n"),
        ticket("4", day(9), "none"),
        ticket("5", day(9), "n", site="S2"),
        ticket("6", day(9, month=4), "n"),
        ticket("7", day(30), status="cancelled"),
    ]
    found = derived_sql("site_months", service_tickets=tickets, machines=machines)
    rows = {
        (row["customer_id"], row["site"], row["month"]): (row["last_at"], row["other_customers"])
        for row in found
    }
    march, april = date(2025, 3, 1), date(2025, 4, 1)
    assert rows == {
        ("a", "S1", march): (day(7), 1),
        ("b", "S1", march): (day(9), 1),
        ("b", "S2", march): (day(9), 0),
        ("b", "S1", april): (day(9, month=4), 0),
    }


def test_a_dealer_has_its_customers_and_the_share_that_they_won(derived_sql: RunSql) -> None:
    customers = [
        {"customer_id": "a", "dealer": "D1", "is_active": True},
        {"customer_id": "b", "dealer": "D1", "is_active": None},
        {"customer_id": "merged", "dealer": "D1", "is_active": False},
        {"customer_id": "c", "dealer": "D2", "is_active": True},
        {"customer_id": "alone", "dealer": None, "is_active": True},
    ]
    closed: dict[str, Any] = {"is_open": False, "closed_at": day(9)}
    opportunities = [
        opportunity("1", "a", stage="won", **closed),
        opportunity("2", "b", stage="lost", **closed),
        opportunity("3", "b", stage="lost", is_deleted=True, **closed),
        opportunity("4", "a"),
    ]
    found = derived_sql("dealer_customers", customers=customers, opportunities=opportunities)
    rows = {row["customer_id"]: (row["customer_count"], row["won_share"]) for row in found}
    assert rows == {"a": (2, 0.5), "b": (2, 0.5), "c": (1, None)}
