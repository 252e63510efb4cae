"""Rows in, rows out: who the crane maker's sources say that a customer is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from tests.crane_rows import BACK, OWNERS, at, in_order

RunSql = Callable[..., list[dict[str, Any]]]
Rows = list[dict[str, Any]]


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
    rows = source_sql(
        "crane_office", "identity_evidence", machine_owners=OWNERS, machine_returns=[BACK]
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
