"""Rows in, rows out: calls, tickets and parts of the crane maker's service desk."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

RunSql = Callable[..., list[dict[str, Any]]]
Row = dict[str, Any]


def at(day: int, hour: float = 0.0) -> datetime:
    return datetime(2025, 5, day, tzinfo=UTC) + timedelta(hours=hour)


CALL: Row = {
    "call_id": "400-1",
    "called_at": at(1, 9),
    "caller_phone": "138-1234-5678",
    "company_said": " 青岛新科 ",
    "serial_no": "qy 1234",
    "topic": "报修",
    "call_text": "ＱＹ２５　主泵异响！！急",
}
ORDER: Row = {
    "order_no": "WO-1",
    "call_id": "400-1",
    "serial_no": "QY1234",
    "kind": "维修",
    "status": "closed",
    "opened_at": at(1, 12),
    "arrived_at": at(2, 12),
    "closed_at": at(3, 12),
    "under_warranty": True,
    "labour_hours": 8.0,
    "site": "S0001",
    "work_text": "更换主泵，试车正常",
    "updated_at": at(3, 12),
}
COMPLAINT: Row = {
    "complaint_no": "TS-1",
    "call_id": None,
    "serial_no": "QY1234",
    "severity": 2,
    "complaint_text": "服务人员态度差",
    "opened_at": at(4),
    "resolved_at": None,
    "updated_at": at(4),
}


def tickets(source_sql: RunSql, **raw: Any) -> list[Row]:
    """The versions of all tickets, in order."""
    found = source_sql("crane_service_desk", "service_tickets", **raw)
    return sorted(found, key=lambda row: (row["ticket_id"], row["valid_at"]))


def test_an_order_is_open_when_opened_attended_when_somebody_came_and_closed_at_last(
    source_sql: RunSql,
) -> None:
    parts = [
        {"order_no": "WO-1", "part_no": "A", "part_name": "a", "quantity": 3, "unit_price": 0.1},
        {"order_no": "WO-1", "part_no": "B", "part_name": "b", "quantity": 1, "unit_price": 5.0},
    ]
    found = tickets(source_sql, calls=[CALL], work_orders=[ORDER], parts_used=parts)
    assert [row["valid_at"] for row in found] == [at(1, 12), at(2, 12), at(3, 12)]
    assert [row["status"] for row in found] == ["open", "open", "closed"]
    assert [row["arrived_at"] for row in found] == [None, at(2, 12), at(2, 12)]
    assert [row["closed_at"] for row in found] == [None, None, at(3, 12)]
    assert [row["labour_hours"] for row in found] == [None, None, 8.0]
    assert [row["part_cost"] for row in found] == [None, None, 5.3]
    assert [row["work_text"] for row in found] == [None, None, "更换主泵,试车正常"]
    assert {row["ticket_id"] for row in found} == {"order:WO-1"}
    assert {row["customer_key"] for row in found} == {"phone:+8613812345678"}
    assert {row["machine_id"] for row in found} == {"QY1234"}
    assert {row["kind"] for row in found} == {"repair"}
    assert {row["is_under_warranty"] for row in found} == {True}


def test_texts_are_written_one_way_and_stay_as_they_were_sent(source_sql: RunSql) -> None:
    found = tickets(source_sql, calls=[CALL], work_orders=[ORDER])[0]
    assert found["text"] == "QY25 主泵异响!急"
    assert found["text_sent"] == CALL["call_text"]


def test_an_order_closed_before_it_was_opened_is_closed_when_that_was_written_down(
    source_sql: RunSql,
) -> None:
    wrong = ORDER | {"closed_at": at(1)}
    found = tickets(source_sql, work_orders=[wrong])
    assert [row["is_closed_before_opened"] for row in found] == [False, False, True]
    assert (found[2]["closed_at"], found[2]["closed_sent_at"]) == (at(3, 12), at(1))
    sound = tickets(source_sql, work_orders=[ORDER])
    assert not any(row["is_closed_before_opened"] for row in sound)


def test_an_open_order_has_no_end_and_a_vanished_one_no_rows(source_sql: RunSql) -> None:
    going_on = ORDER | {"status": "open", "arrived_at": None, "closed_at": None}
    assert [row["status"] for row in tickets(source_sql, work_orders=[going_on])] == ["open"]
    assert tickets(source_sql, work_orders=[]) == []


def test_a_complaint_is_open_until_it_is_resolved(source_sql: RunSql) -> None:
    (still,) = tickets(source_sql, complaints=[COMPLAINT])
    assert (still["kind"], still["status"], still["severity"]) == ("complaint", "open", 2)
    resolved = COMPLAINT | {"resolved_at": at(9), "updated_at": at(9), "call_id": "400-1"}
    found = tickets(source_sql, complaints=[resolved], calls=[CALL], work_orders=[ORDER])[:2]
    assert [(row["status"], row["valid_at"]) for row in found] == [
        ("open", at(4)),
        ("closed", at(9)),
    ]
    assert {row["customer_key"] for row in found} == {"phone:+8613812345678"}


def test_a_call_is_a_ticket_of_its_own_where_none_followed_on_it(source_sql: RunSql) -> None:
    question = CALL | {"call_id": "400-2", "topic": "咨询", "serial_no": None}
    complaint = CALL | {"call_id": "400-3", "topic": "投诉"}
    calls = [CALL, question, complaint]
    found = tickets(source_sql, calls=calls, work_orders=[ORDER])
    assert {row["ticket_id"] for row in found} == {"order:WO-1", "call:400-2"}
    asked = found[0]
    assert (asked["kind"], asked["status"], asked["valid_at"]) == ("inquiry", "closed", at(1, 9))
    waiting = tickets(source_sql, calls=[CALL])
    assert [(row["kind"], row["status"]) for row in waiting] == [("repair", "open")]


def test_an_unknown_kind_is_shown_as_it_is_for_the_quarantine(source_sql: RunSql) -> None:
    assert tickets(source_sql, work_orders=[ORDER | {"kind": "拆机"}])[0]["kind"] == "拆机"


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("13812345678", "phone:+8613812345678"),
        ("+86 138 1234 5678", "phone:+8613812345678"),
        ("138-1234-5678", "phone:+8613812345678"),
        ("12345", None),
        (None, None),
    ],
)
def test_a_telephone_number_is_one_key_however_it_is_written(
    source_sql: RunSql, written: str | None, key: str | None
) -> None:
    calls = [CALL | {"caller_phone": written}]
    (found,) = source_sql("crane_service_desk", "service_calls", calls=calls)
    assert found["customer_key"] == key
    assert (found["serial_said"], found["serial_sent"]) == ("QY1234", "qy 1234")
    assert (found["topic"], found["company_said"]) == ("repair", "青岛新科")


def test_parts_are_booked_when_their_order_is_closed(source_sql: RunSql) -> None:
    part = {"order_no": "WO-1", "part_no": "A", "part_name": "a", "quantity": 3, "unit_price": 0.1}
    (found,) = source_sql(
        "crane_service_desk",
        "parts_used",
        parts_used=[part, part | {"order_no": "WO-2"}],
        work_orders=[ORDER],
    )
    assert (found["ticket_id"], found["amount"]) == ("order:WO-1", 0.3)
    assert (found["used_at"], found["machine_id"]) == (at(3, 12), "QY1234")


def test_who_calls_has_the_telephone_and_asks_about_the_machine_of_the_order(
    source_sql: RunSql,
) -> None:
    said = CALL | {"call_id": "400-2", "called_at": at(8), "serial_no": "qy 5678"}
    astray = CALL | {"call_id": "400-3", "caller_phone": "0516-8"}
    found = source_sql(
        "crane_service_desk",
        "identity_evidence",
        calls=[said, CALL, astray],
        work_orders=[ORDER],
    )
    assert {row["customer_key"] for row in found} == {"phone:+8613812345678"}
    assert {(row["kind"], row["value"], row["valid_at"]) for row in found} == {
        ("phone", "+8613812345678", CALL["called_at"]),
        ("machine_asked_about", ORDER["serial_no"], max(CALL["called_at"], ORDER["opened_at"])),
        ("machine_asked_about", "QY5678", at(8)),
    }
    assert all(row["is_held"] for row in found)


MACHINES = [{"machine_id": "QY1234"}, {"machine_id": "QY1299"}, {"machine_id": "QY5678"}]


@pytest.mark.parametrize(
    ("said", "ticket", "machine", "check"),
    [
        ("QY1234", None, "QY1234", "known"),
        ("QY1234", "QY1234", "QY1234", "known"),
        ("QY1264", "QY1234", "QY1234", "by_ticket"),
        ("QY1299", "QY1234", "QY1234", "by_ticket"),
        ("QY5679", None, "QY5678", "one_digit"),
        ("QY1239", None, None, "unknown"),  # of QY1234 and QY1299
        ("QY56789", None, None, "unknown"),
        (None, "QY1234", "QY1234", "missing"),
        (None, None, None, "missing"),
    ],
)
def test_a_wrong_digit_is_put_right_where_one_machine_is_meant(
    derived_sql: RunSql, said: str | None, ticket: str | None, machine: str | None, check: str
) -> None:
    followed = [{"ticket_id": "order:WO-1", "call_id": "400-1", "machine_id": ticket}]
    (found,) = derived_sql(
        "service_call_machines",
        machines=MACHINES,
        service_calls=[{"call_id": "400-1", "called_at": at(1), "serial_said": said}],
        service_tickets=followed if ticket else [],
    )
    assert (found["machine_id"], found["serial_check"]) == (machine, check)
    assert found["serial_said"] == said
