"""Rows in, rows out: the SQL of the crane maker's sources on rows written by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

RunSql = Callable[..., list[dict[str, Any]]]
Rows = list[dict[str, Any]]
SHANGHAI = ZoneInfo("Asia/Shanghai")


def at(month: int, day: int, hour: int = 0, second: int = 0) -> datetime:
    """An instant of 2025 by Shanghai's clock."""
    return datetime(2025, month, day, hour, 0, second, tzinfo=SHANGHAI).astimezone(UTC)


def in_order(rows: Iterable[dict[str, Any]], *columns: str) -> list[tuple[Any, ...]]:
    """The versions by valid_at, these columns of each."""
    return [
        tuple(row[column] for column in columns)
        for row in sorted(rows, key=lambda row: row["valid_at"])
    ]


def account(**given: Any) -> dict[str, Any]:
    return {
        "account_no": "K-1",
        "company_name": "徐州恒达建设工程有限公司",
        "tax_number": "91320100x",
        "phone": "138-0000-1111",
        "province": "江苏",
        "city": "徐州",
        "industry": "建筑",
        "dealer_code": "D001",
        "sales_rep": "REP1",
        "created_at": at(1, 5, 9),
        "updated_at": at(1, 5, 9),
        "is_deleted": False,
        **given,
    }


def test_an_account_is_a_customer_until_it_is_deleted(source_sql: RunSql) -> None:
    deleted = account(account_no="K-2", updated_at=at(3, 1, 10), is_deleted=True)
    rows = source_sql("crane_office", "customers", accounts=[account(), deleted])
    kept = [row for row in rows if row["customer_id"] == "K-1"]
    assert in_order(kept, "valid_at", "since_at", "is_active", "manager", "dealer") == [
        (at(1, 5, 9), at(1, 5, 9), True, "REP1", "D001")
    ]
    gone = [row for row in rows if row["customer_id"] == "K-2"]
    assert in_order(gone, "valid_at", "is_active") == [(at(1, 5, 9), True), (at(3, 1, 10), False)]


def evidence(rows: Rows, kind: str) -> dict[tuple[str, str], list[tuple[datetime, bool]]]:
    """When each key holds a value of the kind, and when no longer."""
    found: dict[tuple[str, str], list[tuple[datetime, bool]]] = {}
    for row in sorted(rows, key=lambda row: row["valid_at"]):
        if row["kind"] == kind:
            place = found.setdefault((row["customer_key"], row["value"]), [])
            place.append((row["valid_at"], row["is_held"]))
    return found


def test_a_telephone_goes_with_the_person_who_changes_company(source_sql: RunSql) -> None:
    before = {"contact_id": 7, "account_no": "K-1", "mobile": "139 0000 2222", "is_deleted": False}
    before |= {"created_at": at(1, 6), "updated_at": at(1, 6)}
    after = before | {"account_no": "K-2", "updated_at": at(4, 1), "mobile": "+8613900002222"}
    accounts = [account(), account(account_no="K-2", phone=None)]
    read = {"contacts": [after], "contact_changes": [before, after], "accounts": accounts}
    rows = source_sql("crane_office", "identity_evidence", **read)
    assert evidence(rows, "phone") == {
        ("crm:K-1", "+8613800001111"): [(at(1, 5, 9), True)],
        ("crm:K-1", "+8613900002222"): [(at(1, 6), True), (at(4, 1), False)],
        ("crm:K-2", "+8613900002222"): [(at(4, 1), True)],
        ("phone:+8613900002222", "+8613900002222"): [(at(1, 6), True)],
    }
    assert {row["system"] for row in rows} == {"crm"}


def test_a_telephone_of_account_and_contact_is_one_line_of_evidence(source_sql: RunSql) -> None:
    contact = {"contact_id": 7, "account_no": "K-1", "mobile": "13800001111", "is_deleted": False}
    contact |= {"created_at": at(1, 6), "updated_at": at(1, 6)}
    read = {"contacts": [contact], "accounts": [account()]}
    rows = source_sql("crane_office", "identity_evidence", **read)
    assert evidence(rows, "phone") == {
        ("crm:K-1", "+8613800001111"): [(at(1, 5, 9), True)],
        ("phone:+8613800001111", "+8613800001111"): [(at(1, 6), True)],
    }


def test_an_account_leads_until_it_is_deleted(source_sql: RunSql) -> None:
    deleted = account(account_no="K-2", updated_at=at(3, 1, 10), is_deleted=True)
    rows = source_sql("crane_office", "identity_evidence", accounts=[account(), deleted])
    assert evidence(rows, "account") == {
        ("crm:K-1", "K-1"): [(at(1, 5, 9), True)],
        ("crm:K-2", "K-2"): [(at(1, 5, 9), True), (at(3, 1, 10), False)],
    }


def test_a_corrected_tax_number_replaces_the_one_that_was_read_first(source_sql: RunSql) -> None:
    corrected = account(tax_number="91320100y", updated_at=at(2, 1))
    read = {"accounts": [corrected], "account_changes": [account(), corrected]}
    rows = source_sql("crane_office", "identity_evidence", **read)
    assert evidence(rows, "tax_number") == {
        ("crm:K-1", "91320100X"): [(at(1, 5, 9), True), (at(2, 1), False)],
        ("crm:K-1", "91320100Y"): [(at(2, 1), True)],
    }
    rows = source_sql("crane_office", "identity_evidence", accounts=[corrected])
    assert evidence(rows, "tax_number") == {("crm:K-1", "91320100Y"): [(at(1, 5, 9), True)]}


@pytest.mark.parametrize(
    "spelt",
    [
        "徐州恒达建设工程有限公司",
        "恒达（徐州）建设工程有限公司",
        "徐州恒达建工",
        "徐州 恒达建设工程有限公司 ",
        "徐州恒达建设工程有限责任公司",
        "徐州市恒达建设工程有限公司",
    ],
)
def test_six_spellings_of_a_company_are_one_value(source_sql: RunSql, spelt: str) -> None:
    rows = source_sql("crane_office", "identity_evidence", accounts=[account(company_name=spelt)])
    assert evidence(rows, "company") == {("crm:K-1", "徐州恒达建工|江苏"): [(at(1, 5, 9), True)]}
    answer = {"answer_id": 1, "company": spelt + "　", "province": "江苏"}
    answer |= {"answered_on": "2025/11/20", "score": 7, "scale": 10}
    (row,) = source_sql("crane_survey", "identity_evidence", answers=[answer])
    assert (row["customer_key"], row["value"]) == (
        f"survey:{spelt.strip()}|江苏",
        "徐州恒达建工|江苏",
    )


def test_a_machine_speaks_for_an_account_while_it_holds_it(source_sql: RunSql) -> None:
    owners = [
        {"serial_no": "S1", "account_no": "K-1", "owned_from": date(2025, 1, 10), "how": "new"},
        {
            "serial_no": "S1",
            "account_no": "K-2",
            "owned_from": date(2025, 3, 1),
            "how": "second_hand",
        },
    ]
    back = {
        "return_no": "T",
        "serial_no": "S1",
        "account_no": "K-2",
        "returned_on": date(2025, 6, 1),
    }
    rows = source_sql(
        "crane_office", "identity_evidence", machine_owners=owners, machine_returns=[back]
    )
    assert evidence(rows, "machine") == {
        ("crm:K-1", "S1"): [(at(1, 10), True), (at(3, 1), False)],
        ("crm:K-2", "S1"): [(at(3, 1), True), (at(6, 1), False)],
    }


def test_a_merge_of_accounts_holds_until_it_is_reversed(source_sql: RunSql) -> None:
    merge = {"merge_id": 1, "surviving_account_no": "K-1", "merged_account_no": "K-2"}
    merge |= {"merged_at": at(2, 1), "reversed_at": at(4, 1)}
    rows = source_sql("crane_office", "identity_evidence", account_merges=[merge])
    assert evidence(rows, "merged_into") == {
        ("crm:K-2", "crm:K-1"): [(at(2, 1), True), (at(4, 1), False)]
    }


def test_a_debtor_is_known_by_what_was_delivered_to_it(source_sql: RunSql) -> None:
    note = {"delivery_note": "L", "serial_no": "S1", "debtor_no": "2001", "tax_number": "913x"}
    note |= {"contract_no": "HT-1", "delivered_on": "20250110"}
    rows = source_sql("crane_office", "identity_evidence", deliveries=[note])
    assert {(row["customer_key"], row["kind"], row["value"], row["system"]) for row in rows} == {
        ("mes:2001", "contract", "HT-1", "mes"),
        ("mes:2001", "tax_number", "913X", "mes"),
    }


def test_a_contact_keeps_the_versions_that_were_read(source_sql: RunSql) -> None:
    before = {"contact_id": 7, "account_no": "K-1", "full_name": "王伟", "mobile": "139-0000-2222"}
    before |= {"role": "采购", "may_be_called": True, "is_deleted": False, "updated_at": at(1, 6)}
    after = before | {"account_no": "K-2", "updated_at": at(4, 1)}
    read = {"contacts": [after], "contact_changes": [before, after]}
    rows = source_sql("crane_office", "contacts", **read)
    assert in_order(rows, "valid_at", "customer_key", "phone") == [
        (at(1, 6), "crm:K-1", "+8613900002222"),
        (at(4, 1), "crm:K-2", "+8613900002222"),
    ]


MODEL = {
    "model_code": "TC25",
    "kind": "truck",
    "tonnes": 25,
    "list_price_cny": 880_000.0,
    "replacement_years": 8,
    "maintenance_hours": 250,
}
MACHINE = {
    "serial_no": "S1",
    "model_code": "TC25",
    "built_on": "20250102",
    "plant": "P1",
    "standard_cost": 600_000.0,
    "warranty_months": 24,
}
NOTE = {
    "delivery_note": "L1",
    "serial_no": "S1",
    "debtor_no": "2001",
    "contract_no": "HT-1",
    "delivered_on": "20250110",
}


def test_a_machine_has_a_version_for_each_owner_and_none_after_its_return(
    source_sql: RunSql,
) -> None:
    owners = [
        {"serial_no": "S1", "account_no": "K-1", "owned_from": date(2025, 1, 10), "how": "new"},
        {
            "serial_no": "S1",
            "account_no": "K-2",
            "owned_from": date(2025, 3, 1),
            "how": "second_hand",
        },
    ]
    back = {
        "return_no": "T",
        "serial_no": "S1",
        "account_no": "K-2",
        "returned_on": date(2025, 6, 1),
    }
    rows = source_sql(
        "crane_office",
        "machines",
        machines=[MACHINE, MACHINE | {"serial_no": "S2"}],  # the second is not delivered yet
        models=[MODEL],
        deliveries=[NOTE],
        machine_owners=owners,
        machine_returns=[back],
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


def opportunity(**given: Any) -> dict[str, Any]:
    return {
        "opportunity_no": "OP-1",
        "account_no": "K-1",
        "model_code": "TC25",
        "quantity": 2,
        "amount_cny": 1_700_000.0,
        "discount_pct": 3.5,
        "competitor": "XC",
        "stage": "quoted",
        "win_pct": 50,
        "expected_close_on": date(2025, 5, 1),
        "sales_rep": "REP1",
        "created_at": at(1, 1),
        "updated_at": at(3, 1),
        "is_deleted": False,
        **given,
    }


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
    again = payment(payment_no="ZF-1R", created_at=at(3, 8), updated_at=at(3, 8))
    rows = source_sql(
        "crane_office", "receivables", instalments=[instalment()], payments=[wrong, again], **MONEY
    )
    assert in_order(rows, "valid_at", "is_open") == [
        (at(2, 10, 12), True),
        (at(2, 26, 10), False),
        (at(3, 5), True),
        (at(3, 8), False),
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


def seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def test_a_message_is_sent_delivered_and_answered(source_sql: RunSql) -> None:
    sent = at(1, 10, 10)
    message = {
        "message_id": 5,
        "msisdn": "8613800001111",
        "campaign": "M001",
        "sent_ts": seconds(sent),
        "delivered_ts": seconds(sent + timedelta(seconds=9)),
        "replied_ts": seconds(sent + timedelta(hours=3)),
        "reply": "TD",
        "status": "opted_out",
    }
    failed = {"message_id": 6, "msisdn": "8613800002222", "campaign": "M001", "status": "failed"}
    rows = source_sql(
        "crane_sms", "interactions", messages=[message, failed | {"sent_ts": seconds(sent)}]
    )
    shown = {
        row["interaction_id"]: (row["happened_at"], row["kind"], row["customer_key"], row["topic"])
        for row in rows
    }
    one, other = "phone:+8613800001111", "phone:+8613800002222"
    assert shown == {
        "sms-5-sent": (sent, "sent", one, None),
        "sms-5-delivered": (sent + timedelta(seconds=9), "delivered", one, None),
        "sms-5-replied": (sent + timedelta(hours=3), "opted_out", one, "TD"),
        "sms-6-sent": (sent, "sent", other, None),
        "sms-6-failed": (sent + timedelta(days=1), "failed", other, None),
    }


def test_scores_out_of_ten_and_out_of_a_hundred_are_points_of_a_hundred(
    source_sql: RunSql,
) -> None:
    answer = {"company": "徐州 恒达建工 ", "province": "江苏", "answered_on": "2023/11/20"}
    rows = source_sql(
        "crane_survey",
        "surveys",
        answers=[
            answer | {"answer_id": 1, "score": 7, "scale": 10},
            answer | {"answer_id": 2, "score": 70, "scale": 100},
        ],
    )
    assert {row["score"] for row in rows} == {70.0}
    assert {row["customer_key"] for row in rows} == {"survey:徐州 恒达建工|江苏"}
    day = datetime(2023, 11, 20, tzinfo=SHANGHAI)
    assert {(row["answered_at"], row["valid_until"]) for row in rows} == {
        (day, day.replace(year=2024))
    }


def test_an_event_of_the_app_is_about_a_model_or_a_topic(source_sql: RunSql) -> None:
    event = {"event_id": "e1", "user_id": "u1", "happened_at": at(5, 5, 5)}
    rows = source_sql(
        "crane_app",
        "interactions",
        events=[
            event | {"kind": "machine_view", "subject": "TC25"},
            event
            | {"event_id": "e2", "kind": "course_bought", "subject": "安全", "amount_cny": 99.0},
        ],
    )
    shown = {
        row["interaction_id"]: (row["product_id"], row["topic"], row["amount"]) for row in rows
    }
    assert shown == {"app-e1": ("TC25", None, None), "app-e2": (None, "安全", 99.0)}
    assert {(row["customer_key"], row["channel"]) for row in rows} == {("app:u1", "app")}


def test_a_telephone_of_a_user_and_of_an_answer_is_evidence(source_sql: RunSql) -> None:
    user = {"user_id": "u1", "phone": "13800001111", "registered_at": at(5, 1)}
    (row,) = source_sql("crane_app", "identity_evidence", users=[user])
    assert (row["kind"], row["value"], row["valid_at"]) == ("phone", "+8613800001111", at(5, 1))
    answer = {
        "answer_id": 1,
        "company": "徐州恒达建工",
        "province": "江苏",
        "score": 7,
        "scale": 10,
    }
    answers = [
        answer | {"answered_on": "2025/11/20", "respondent_phone": "138 0000 1111"},
        answer | {"answered_on": "2025/11/12", "respondent_phone": "138 0000 1111"},
    ]
    rows = source_sql("crane_survey", "identity_evidence", answers=answers)
    assert evidence(rows, "phone_given") == {
        ("survey:徐州恒达建工|江苏", "+8613800001111"): [(at(11, 12), True), (at(11, 20), True)]
    }
