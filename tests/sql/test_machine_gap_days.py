"""Rows in, rows out: the days for which a machine's hours have to be estimated."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

RunSql = Callable[..., list[dict[str, Any]]]
Row = dict[str, Any]


def known(day: int, hours: float | None = 6.0, **given: Any) -> Row:
    return {
        "machine_id": "QY1",
        "day": date(2025, 5, day),
        "ended_at": datetime(2025, 5, day, 15, 59, 59, tzinfo=UTC),
        "work_hours": hours,
        "meter_hours": hours,
        "gap_days": 0,
        "usual_hours": 5.0,
        **given,
    }


def gaps(derived_sql: RunSql, *days: Row) -> dict[int, tuple[float, str, int]]:
    found = derived_sql("machine_gap_days", machine_days=days)
    return {row["day"].day: (row["work_hours"], row["method"], row["gap_days"]) for row in found}


def test_what_the_meter_went_on_in_a_gap_is_put_on_its_days_in_equal_parts(
    derived_sql: RunSql,
) -> None:
    after = known(4, 6.0, gap_days=2, meter_hours=17.0)
    found = derived_sql("machine_gap_days", machine_days=[known(1), after])
    assert sorted((row["day"].day, row["work_hours"]) for row in found) == [(2, 5.5), (3, 5.5)]
    assert {row["method"] for row in found} == {"hour_meter"}
    assert {row["ended_at"].day for row in found} == {2, 3}
    assert all(row["ended_at"].date() == row["day"] for row in found)


def test_a_late_reading_takes_its_day_out_of_the_gap_and_its_hours_from_the_rest(
    derived_sql: RunSql,
) -> None:
    late = known(3, 9.0, gap_days=None, meter_hours=None)
    after = known(4, 6.0, gap_days=2, meter_hours=17.0)
    assert gaps(derived_sql, known(1), after, late) == {2: (2.0, "hour_meter", 1)}
    both = known(2, 2.0, gap_days=None, meter_hours=None)
    assert gaps(derived_sql, known(1), after, late, both) == {}


def test_without_the_meter_a_usual_day_stands_in(derived_sql: RunSql) -> None:
    after = known(3, 6.0, gap_days=1, meter_hours=None)
    assert gaps(derived_sql, known(1), after) == {2: (5.0, "usual_day", 1)}
    assert gaps(derived_sql, known(1), after | {"usual_hours": None}) == {}


def test_a_day_whose_reading_has_no_possible_hours_is_a_gap_of_its_own(
    derived_sql: RunSql,
) -> None:
    assert gaps(derived_sql, known(1), known(2, None)) == {2: (5.0, "usual_day", 1)}


@pytest.mark.parametrize(("metered", "hours"), [(100.0, 24.0), (3.0, 0.0)])
def test_an_estimate_is_a_possible_day(derived_sql: RunSql, metered: float, hours: float) -> None:
    after = known(3, 6.0, gap_days=1, meter_hours=metered)
    assert gaps(derived_sql, known(1), after) == {2: (hours, "hour_meter", 1)}


def test_more_than_two_weeks_of_silence_are_not_filled(derived_sql: RunSql) -> None:
    long = known(17, 6.0, gap_days=15, meter_hours=90.0)
    assert gaps(derived_sql, known(1), long) == {}
    assert len(gaps(derived_sql, known(1), known(16, 6.0, gap_days=14, meter_hours=90.0))) == 14


def test_a_day_in_two_gaps_is_estimated_once(derived_sql: RunSql) -> None:
    first = known(4, 6.0, gap_days=1, meter_hours=10.0)
    second = known(5, 6.0, gap_days=2, meter_hours=20.0)  # it did not know of the fourth
    assert gaps(derived_sql, known(2), first, second) == {3: (4.0, "hour_meter", 1)}


def test_machines_do_not_fill_each_others_days(derived_sql: RunSql) -> None:
    other = known(2, machine_id="QY2")
    after = known(3, 6.0, gap_days=1, meter_hours=10.0)
    assert gaps(derived_sql, known(1), other, after) == {2: (4.0, "hour_meter", 1)}
