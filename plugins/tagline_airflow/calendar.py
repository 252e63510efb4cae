"""When a business's DAGs run: its time zone, its first day and, for closed data, its last."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from airflow.sdk import CronDataIntervalTimetable

from tagline.definitions.business import BusinessDefinition
from tagline.settings import Settings

_PREVIOUS = re.compile(r"\bprevious\s*\(", re.IGNORECASE)


@dataclass(frozen=True)
class BusinessCalendar:
    """The schedule arguments of a DAG: `DAG(..., **calendar.daily())`.

    `in_order` says that a tag or a policy reads the release before, so that days run one after the
    other; `resolves` that rules say which keys are one customer.
    """

    business: str
    timezone: str
    starts_on: date
    ends_on: date | None
    in_order: bool = False
    resolves: bool = False

    def daily(self) -> dict[str, Any]:
        """A run at each midnight, for the day that has ended; past days only by a backfill."""
        return self._schedule("0 0 * * *")

    def weekly(self) -> dict[str, Any]:
        """A run at midnight before each Monday, for the week that has ended."""
        return self._schedule("0 0 * * 1")

    def _schedule(self, cron: str) -> dict[str, Any]:
        return {
            "schedule": CronDataIntervalTimetable(cron, timezone=self.timezone),
            "start_date": self._midnight(self.starts_on),
            # After the end of a closed data set nothing is scheduled; by hand it may still be run.
            "end_date": self._midnight(self.ends_on) if self.ends_on else None,
            "catchup": False,
            "max_active_runs": 1,
        }

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time.min, ZoneInfo(self.timezone))


def business_calendar() -> BusinessCalendar:
    """The calendar of this deployment's business, read without the rest of the catalog."""
    settings = Settings()
    path = settings.definitions / "businesses" / f"{settings.business}.yaml"
    definition = BusinessDefinition.model_validate(yaml.safe_load(path.read_text()))
    return BusinessCalendar(
        settings.business,
        definition.timezone,
        definition.starts_on,
        definition.ends_on,
        bool(definition.policies) or names_previous(settings.definitions),
        definition.identity == "resolved",
    )


def names_previous(definitions: Path) -> bool:
    """Whether the text of a tag's file names `previous(...)`.

    Loading the catalog would take longer than a DAG file may. A mention in a comment, or in a tag
    of another business, costs no more than days that wait for each other.
    """
    files = (definitions / "tags").rglob("*.yaml")
    return any(_PREVIOUS.search(path.read_text("utf-8")) for path in files)
