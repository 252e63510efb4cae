"""Rows in, rows out: messages, surveys and the app of the crane maker."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from tests.crane_rows import SHANGHAI, at

RunSql = Callable[..., list[dict[str, Any]]]


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
