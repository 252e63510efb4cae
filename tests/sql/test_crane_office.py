"""Rows in, rows out: machines, products and opportunities of the crane maker's office."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from tests.crane_rows import BACK, MACHINE, MODEL, NOTE, OWNERS, at, in_order, opportunity

RunSql = Callable[..., list[dict[str, Any]]]


def test_a_machine_has_a_version_for_each_owner_and_none_after_its_return(
    source_sql: RunSql,
) -> None:
    rows = source_sql(
        "crane_office",
        "machines",
        machines=[MACHINE, MACHINE | {"serial_no": "S2"}],  # the second is not delivered yet
        models=[MODEL],
        deliveries=[NOTE],
        machine_owners=OWNERS,
        machine_returns=[BACK],
    )
    assert in_order(rows, "valid_at", "machine_id", "owner", "acquired", "is_returned") == [
        (at(1, 10), "S1", "crm:K-1", "new", False),
        (at(3, 1), "S1", "crm:K-2", "second_hand", False),
        (at(6, 1), "S1", None, None, True),
    ]
    first = min(rows, key=lambda row: row["valid_at"])
    assert first["since_at"] == at(1, 10)
    assert first["warranty_until"] == at(1, 10).replace(year=2027)
    assert (first["built_on"], first["order_id"], first["category"], first["capacity"]) == (
        date(2025, 1, 2),
        "HT-1",
        "truck",
        25,
    )


def test_a_return_names_machine_customer_and_contract(source_sql: RunSql) -> None:
    back = {"return_no": "T", "serial_no": "S1", "account_no": "K-2", "contract_no": "HT-1"}
    (row,) = source_sql(
        "crane_office",
        "machine_returns",
        machine_returns=[back | {"returned_on": date(2025, 6, 1)}],
    )
    assert row == {
        "return_id": "T",
        "machine_id": "S1",
        "customer_key": "crm:K-2",
        "order_id": "HT-1",
        "returned_at": at(6, 1),
        "reason": None,
    }


def test_a_product_is_a_model_of_the_catalogue(source_sql: RunSql) -> None:
    (row,) = source_sql("crane_office", "products", models=[MODEL])
    assert (row["product_id"], row["category"], row["list_price"]) == ("TC25", "truck", 880_000.0)


STAGES = [
    {"opportunity_no": "OP-1", "stage": stage, "entered_at": when}
    for stage, when in (("lead", at(1, 1)), ("quoted", at(3, 1)), ("lost", at(4, 1)))
]


def test_an_opportunity_is_known_by_its_stages_and_nothing_of_its_end_before_it(
    source_sql: RunSql,
) -> None:
    closed = opportunity(stage="lost", win_pct=0, closed_at=at(4, 1), lost_reason="价格")
    rows = source_sql(
        "crane_office", "opportunities", opportunities=[closed], opportunity_stages=STAGES
    )
    shown = ("valid_at", "stage", "is_open", "win_share", "closed_at", "lost_reason", "is_deleted")
    assert in_order(rows, *shown) == [
        (at(1, 1), "lead", True, 0.1, None, None, False),
        (at(3, 1), "quoted", True, 0.5, None, None, False),
        (at(4, 1), "lost", False, 0.0, at(4, 1), "价格", False),
    ]
    before = in_order(rows, "since_at", "amount", "quantity", "discount_share", "owner")[:2]
    open_then = source_sql(
        "crane_office",
        "opportunities",
        opportunities=[opportunity()],
        opportunity_stages=STAGES[:2],
    )
    assert (
        in_order(open_then, "since_at", "amount", "quantity", "discount_share", "owner") == before
    )


def test_a_deleted_opportunity_is_a_version_of_the_day_of_deletion(source_sql: RunSql) -> None:
    deleted = opportunity(stage="lost", is_deleted=True, updated_at=at(4, 20), lost_reason="价格")
    rows = source_sql(
        "crane_office", "opportunities", opportunities=[deleted], opportunity_stages=STAGES
    )
    assert in_order(rows, "valid_at", "stage", "is_deleted")[2:] == [
        (at(4, 1), "lost", False),
        (at(4, 20), "lost", True),
    ]


def test_an_activity_keeps_its_opportunity(source_sql: RunSql) -> None:
    visit = {
        "activity_id": "A1",
        "opportunity_no": "OP-1",
        "kind": "visit",
        "happened_at": at(2, 2, 9),
    }
    (row,) = source_sql("crane_office", "opportunity_activities", activities=[visit])
    assert row == {
        "activity_id": "A1",
        "opportunity_id": "OP-1",
        "kind": "visit",
        "happened_at": at(2, 2, 9),
    }


def account(**given: Any) -> dict[str, Any]:
    return {
        "account_no": "K-1",
        "company_name": "江苏建工",
        "dealer_code": "D1",
        "sales_rep": "REP1",
        "created_at": at(1, 5),
        "updated_at": at(1, 5),
        "is_deleted": False,
        **given,
    }


def test_who_looks_after_a_customer_is_who_did_so_then(source_sql: RunSql) -> None:
    handed_over = account(sales_rep="REP2", updated_at=at(2, 1))
    moved = account(sales_rep="REP2", dealer_code="D2", updated_at=at(3, 1))
    deleted = moved | {"updated_at": at(4, 1), "is_deleted": True}
    rows = source_sql(
        "crane_office",
        "customers",
        accounts=[deleted],
        account_changes=[account(), handed_over, moved, deleted],
    )
    assert in_order(rows, "valid_at", "manager", "dealer", "is_active") == [
        (at(1, 5), "REP1", "D1", True),
        (at(2, 1), "REP2", "D1", True),
        (at(3, 1), "REP2", "D2", True),
        (at(4, 1), "REP2", "D2", False),
    ]
    assert {row["since_at"] for row in rows} == {at(1, 5)}


def test_an_account_that_was_read_late_holds_from_its_creation(source_sql: RunSql) -> None:
    late = account(sales_rep="REP2", updated_at=at(2, 1))
    rows = source_sql("crane_office", "customers", accounts=[late], account_changes=[late])
    assert in_order(rows, "valid_at", "manager") == [(at(1, 5), "REP2")]
