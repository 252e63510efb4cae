"""Rows in, rows out: when a machine was maintained and what its meter counted since."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

RunSql = Callable[..., list[dict[str, Any]]]
START = datetime(2025, 3, 1, tzinfo=UTC)
MACHINE = {"machine_id": "m", "since_at": START, "maintenance_hours": 250, "is_returned": False}


def read(day: int, meter: float | None, machine: str = "m") -> dict[str, Any]:
    """A day's reading, in the evening."""
    at = START + timedelta(days=day)
    row = {"machine_id": machine, "day": at.date(), "ended_at": at + timedelta(hours=15)}
    return row | {"hour_meter": meter, "fault_count": 0}


def ticket(name: str, day: int, kind: str = "maintenance", **given: Any) -> dict[str, Any]:
    at = START + timedelta(days=day, hours=2)  # in the morning
    row = {"ticket_id": name, "machine_id": "m", "kind": kind, "status": "closed", "opened_at": at}
    return row | given


def test_the_meter_counts_from_the_evening_before_the_last_maintenance(derived_sql: RunSql) -> None:
    days = [read(0, 1000.0), read(1, 1008.5), read(2, 1012.0), read(5, 1030.25)]
    tickets = [ticket("a", 0), ticket("b", 2), ticket("c", 4, "repair")]
    (row,) = derived_sql(
        "maintenance_state", machines=[MACHINE], machine_days=days, service_tickets=tickets
    )
    assert row["maintained_at"] == START + timedelta(days=2, hours=2)
    assert (row["hours_since"], row["hours_left"]) == (21.8, 228.3)


def test_a_machine_never_maintained_counts_from_its_first_reading(derived_sql: RunSql) -> None:
    days = [read(0, 4.0), read(1, None), read(90, 304.0)]
    other = ticket("a", 1, machine_id="another")
    (row,) = derived_sql(
        "maintenance_state", machines=[MACHINE], machine_days=days, service_tickets=[other]
    )
    assert row["maintained_at"] is None
    assert (row["hours_since"], row["hours_left"]) == (300.0, -50.0)


def test_a_maintenance_before_the_first_reading_counts_from_that(derived_sql: RunSql) -> None:
    given = {"machine_days": [read(3, 90.0), read(4, 97.0)], "service_tickets": [ticket("a", 1)]}
    (row,) = derived_sql("maintenance_state", machines=[MACHINE], **given)
    assert (row["hours_since"], row["hours_left"]) == (7.0, 243.0)


def test_a_machine_without_readings_has_no_hours(derived_sql: RunSql) -> None:
    (row,) = derived_sql(
        "maintenance_state", machines=[MACHINE], machine_days=[], service_tickets=[ticket("a", 3)]
    )
    assert row["maintained_at"] is not None
    assert (row["hours_since"], row["hours_left"]) == (None, None)
