"""Rows in, rows out: what is made of the readings of the crane maker's machines."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

RunSql = Callable[..., list[dict[str, Any]]]
Row = dict[str, Any]

DEVICES = [
    {"device_id": 1, "serial_no": "QY1", "fuel_unit": "L"},
    {"device_id": 2, "serial_no": "QY2", "fuel_unit": "gal"},
]


def at(day: int, hour: float = 22.5) -> datetime:
    """An instant of May 2025, in Shanghai's time; days may lie before and after the month."""
    return datetime(2025, 5, 1, tzinfo=UTC) + timedelta(days=day - 1, hours=hour - 8)


def reading(day: int, hours: float = 6.0, **given: Any) -> Row:
    """A machine's reading of a day of May, when its meter has gone on by six hours every day."""
    return {
        "reading_id": day,
        "device_id": 1,
        "measured_at": at(day),
        "received_at": at(day, 22.6),
        "work_hours": hours,
        "idle_hours": 1.5,
        "hour_meter": 1000.0 + 6 * day,
        "load_pct": 50.0 + 0.001 * day,
        "fuel": 60.0,
        "fuel_unit": "L",
        "region_code": "GD",
        "fault_codes": None,
        **given,
    }


def days(source_sql: RunSql, *readings: Row) -> dict[int, Row]:
    """The machine days by day of May."""
    made = source_sql("crane_telematics", "machine_days", readings=readings, devices=DEVICES)
    found = {(row["day"] - date(2025, 4, 30)).days: row for row in made}
    assert len(found) == len(made)
    return found


def test_a_reading_is_a_machines_day_of_the_business_known_when_it_came(
    source_sql: RunSql,
) -> None:
    found = days(source_sql, reading(1, fault_codes="H11,E07"), reading(2))
    assert found[1]["machine_id"] == "QY1"
    assert found[1]["ended_at"] == at(2, 0) - timedelta(seconds=1)
    assert found[1]["valid_at"] == at(1, 22.6)
    assert found[1]["fault_codes"] == ["H11", "E07"]
    assert [found[day]["fault_count"] for day in (1, 2)] == [2, 0]
    assert found[2]["fault_codes"] == []
    assert (found[2]["work_hours"], found[2]["hours_from"]) == (6.0, "as_sent")
    assert (found[2]["meter_hours"], found[2]["gap_days"]) == (6.0, 0)
    assert found[2]["load_share"] == pytest.approx(0.50002)


def test_a_swapped_device_goes_on_with_the_same_machine(source_sql: RunSql) -> None:
    devices = [*DEVICES, {"device_id": 3, "serial_no": "QY1", "fuel_unit": "L"}]
    made = source_sql(
        "crane_telematics",
        "machine_days",
        readings=[reading(1), reading(2, device_id=3)],
        devices=devices,
    )
    assert [(row["machine_id"], row["device_id"]) for row in made] == [("QY1", "1"), ("QY1", "3")]
    assert made[1]["meter_hours"] == 6.0


def test_a_meter_that_is_missing_is_not_that_of_a_day_before(source_sql: RunSql) -> None:
    found = days(
        source_sql,
        reading(1, hour_meter=100.0),
        reading(2, hour_meter=None),
        reading(3, hour_meter=112.0),
    )
    assert (found[3]["gap_days"], found[3]["meter_hours"]) == (0, None)
    assert (found[3]["work_hours"], found[3]["hours_issue"]) == (6.0, None)


def test_a_reading_of_an_unknown_device_names_no_machine(source_sql: RunSql) -> None:
    assert days(source_sql, reading(1, device_id=9))[1]["machine_id"] is None


def test_gallons_become_litres_and_what_was_sent_stays(source_sql: RunSql) -> None:
    sent = days(source_sql, reading(1, device_id=2, fuel=10.0, fuel_unit="gal"))[1]
    assert (sent["fuel_litres"], sent["fuel_sent"], sent["fuel_unit_sent"]) == (37.854, 10.0, "gal")
    assert not sent["is_fuel_unit_inferred"]


@pytest.mark.parametrize(("device", "litres"), [(1, 10.0), (2, 37.854), (9, None)])
def test_a_missing_unit_is_the_devices_and_flagged(
    source_sql: RunSql, device: int, litres: float | None
) -> None:
    found = days(source_sql, reading(1, device_id=device, fuel=10.0, fuel_unit=None))[1]
    assert found["fuel_litres"] == litres
    assert found["is_fuel_unit_inferred"] is (litres is not None)
    assert found["fuel_unit_sent"] is None


def test_minutes_are_told_from_hours_by_the_hour_meter(source_sql: RunSql) -> None:
    found = days(
        source_sql,
        reading(1),
        reading(2, 360.0, idle_hours=90.0),
        reading(3, 12.0, idle_hours=3.0, hour_meter=1012.2),  # twelve minutes
    )
    assert [found[day]["work_hours"] for day in (2, 3)] == [6.0, 0.2]
    assert [found[day]["idle_hours"] for day in (2, 3)] == [1.5, 0.05]
    assert [found[day]["work_hours_sent"] for day in (2, 3)] == [360.0, 12.0]
    assert {found[day]["hours_issue"] for day in (2, 3)} == {"minutes"}
    assert {found[day]["hours_from"] for day in (2, 3)} == {"minutes"}


def test_without_the_day_before_long_idle_time_tells_minutes_from_nonsense(
    source_sql: RunSql,
) -> None:
    minutes = days(source_sql, reading(5, 360.0, idle_hours=90.0))[5]
    nonsense = days(source_sql, reading(5, 360.0, idle_hours=1.5))[5]
    assert (minutes["hours_issue"], minutes["work_hours"]) == ("minutes", 6.0)
    assert (nonsense["hours_issue"], nonsense["work_hours"]) == ("impossible", None)


@pytest.mark.parametrize(("sent", "issue"), [(-7.0, "negative"), (65.0, "impossible")])
def test_impossible_hours_are_those_of_the_meter_or_none(
    source_sql: RunSql, sent: float, issue: str
) -> None:
    found = days(source_sql, reading(1), reading(2, sent))
    assert (found[2]["hours_issue"], found[2]["hours_from"]) == (issue, "hour_meter")
    assert (found[2]["work_hours"], found[2]["work_hours_sent"]) == (6.0, sent)
    alone = days(source_sql, reading(1), reading(4, sent))[4]
    assert (alone["work_hours"], alone["hours_from"]) == (None, None)
    assert alone["work_hours_sent"] == sent


def test_hours_that_the_meter_contradicts_are_kept_and_flagged(source_sql: RunSql) -> None:
    found = days(source_sql, reading(1), reading(2, 9.0))[2]
    assert (found["work_hours"], found["hours_issue"]) == (9.0, "disagrees_with_meter")


def test_a_reading_that_comes_again_counts_once_and_another_of_the_day_does_not_vanish(
    source_sql: RunSql,
) -> None:
    first = reading(1)
    again = first | {"reading_id": 100, "received_at": at(3, 9)}
    found = days(source_sql, first, again, reading(2))
    assert sorted(found) == [1, 2]
    assert found[1]["reading_id"] == "1"
    other = again | {"fuel": 61.0}
    made = source_sql("crane_telematics", "machine_days", readings=[first, other], devices=DEVICES)
    assert [row["reading_id"] for row in made] == ["1", "100"]


def test_a_repeated_reading_of_the_same_second_is_told_by_its_number(source_sql: RunSql) -> None:
    found = days(source_sql, reading(1, reading_id=8), reading(1, reading_id=7))
    assert found[1]["reading_id"] == "7"


def test_a_load_that_stays_the_same_to_the_last_digit_is_stuck(source_sql: RunSql) -> None:
    found = days(
        source_sql,
        reading(1, load_pct=100.0),
        reading(2, load_pct=0.0, work_hours=0.0, hour_meter=1006.0),
        reading(3, load_pct=100.0),
        reading(4, load_pct=61.5),
    )
    assert {day: row["is_load_stuck"] for day, row in found.items()} == {
        1: False,  # nothing was known of it yet
        2: False,
        3: True,
        4: False,
    }
    assert (found[3]["load_share"], found[3]["load_percent_sent"]) == (None, 100.0)


def test_a_clock_that_is_years_off_shows_in_the_delay_and_misleads_no_other_reading(
    source_sql: RunSql,
) -> None:
    wrong = reading(2) | {"measured_at": at(2) - timedelta(days=7300)}
    made = source_sql(
        "crane_telematics",
        "machine_days",
        readings=[reading(1), wrong, reading(3)],
        devices=DEVICES,
    )
    by_id = {row["reading_id"]: row for row in made}
    assert by_id["2"]["delay_hours"] == pytest.approx(7300 * 24 + 0.1)
    assert (by_id["3"]["gap_days"], by_id["3"]["meter_hours"]) == (1, 12.0)


def test_a_late_reading_is_judged_without_the_meter_and_opens_no_gap(source_sql: RunSql) -> None:
    late = reading(2) | {"received_at": at(5)}
    found = days(source_sql, reading(1), late, reading(3), reading(4), reading(6))
    assert (found[2]["gap_days"], found[2]["meter_hours"]) == (None, None)
    assert found[2]["delay_hours"] == pytest.approx(72)
    assert (found[3]["gap_days"], found[3]["meter_hours"]) == (1, 12.0)  # known then
    assert (found[6]["gap_days"], found[6]["meter_hours"]) == (1, 12.0)


def test_after_a_months_silence_no_gap_is_stated(source_sql: RunSql) -> None:
    found = days(source_sql, reading(1), reading(40))
    assert (found[40]["gap_days"], found[40]["meter_hours"]) == (None, None)


def test_hours_far_from_the_usual_ones_of_the_month_before_are_kept_and_flagged(
    source_sql: RunSql,
) -> None:
    april = [reading(day, 6.0 + 0.1 * (day % 5)) for day in range(-20, 1)]
    found = days(source_sql, *april, reading(1, 20.0), reading(2, 7.0), reading(3, 1.0))
    assert found[1]["usual_hours"] == pytest.approx(6.2)
    flagged = {day: found[day]["is_hours_outlier"] for day in (0, 1, 2, 3)}
    assert flagged == {0: False, 1: True, 2: False, 3: True}
    assert found[1]["work_hours"] == 20.0
    assert found[0]["usual_hours"] is None  # March is not known


def test_what_comes_later_changes_nothing_of_what_a_reading_was_judged_by(
    source_sql: RunSql,
) -> None:
    readings = [reading(day, load_pct=100.0 if day > 3 else 50.0 + day) for day in range(-40, 9)]
    readings[20] = readings[20] | {"received_at": at(-14)}
    whole = days(source_sql, *readings)
    part = days(source_sql, *(row for row in readings if row["received_at"] < at(2)))
    assert {day: whole[day] for day in part} == part
