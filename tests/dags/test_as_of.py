"""Which as_of a DAG run has: asked for, from its interval, or the last midnight."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from types import SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

ZONE = ZoneInfo("Asia/Shanghai")
NOON = datetime(2026, 3, 10, 4, tzinfo=UTC)  # 12:00 in Shanghai
INTERVAL_END = datetime(2026, 3, 1, tzinfo=ZONE)


class Days:
    """The part of a catalog that knows business days."""

    def midnight(self, day: date) -> datetime:
        """The instant at which a day begins."""
        return datetime.combine(day, time.min, ZONE).astimezone(UTC)

    def day(self, as_of: datetime) -> date:
        """The day of an instant."""
        return as_of.astimezone(ZONE).date()


@pytest.mark.parametrize(
    ("run_type", "asked", "interval_end", "expected"),
    [
        ("manual", "2026-02-01", INTERVAL_END, datetime(2026, 2, 1, tzinfo=ZONE)),
        ("manual", None, INTERVAL_END, INTERVAL_END),
        ("manual", None, None, datetime(2026, 3, 10, tzinfo=ZONE)),
        ("scheduled", None, INTERVAL_END, INTERVAL_END),
        ("backfill", "2026-02-01", INTERVAL_END, INTERVAL_END),
    ],
)
@pytest.mark.slow  # importing Airflow takes two seconds
@pytest.mark.filterwarnings("default::DeprecationWarning")
def test_a_run_is_as_of_what_was_asked_its_interval_or_last_midnight(
    run_type: str, asked: str | None, interval_end: datetime | None, expected: datetime
) -> None:
    from tagline_airflow.operators import as_of_run

    dag_run = SimpleNamespace(run_type=run_type, data_interval_end=interval_end, run_after=NOON)
    context = cast(Any, {"params": {"as_of": asked}, "dag_run": dag_run})
    assert as_of_run(context, cast(Any, Days())) == expected
