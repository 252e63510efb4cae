"""Figures of a deployment for a monitoring system, as OpenMetrics text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from tagline.registry.schema import Release, Run

if TYPE_CHECKING:
    from prometheus_client.core import GaugeMetricFamily

    from tagline.registry import Registry

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
STATES = ("current", "withheld", "unavailable")
STATUSES = ("running", "released", "held", "no_data", "failed", "trained")


def metrics_text(registry: Registry, business: str, at: datetime) -> str:
    """The figures as they are at the instant `at`, each with the label `business`.

    All are gauges, read from the registry alone: the cost depends on neither customers nor rows.
    """
    from prometheus_client.core import CollectorRegistry
    from prometheus_client.openmetrics.exposition import generate_latest

    figures = CollectorRegistry(auto_describe=False)
    figures.register(_Figures(registry, business, at))
    made: bytes = generate_latest(figures)  # type: ignore[no-untyped-call]
    return made.decode()


class _Figures:
    """What prometheus_client asks for the figures."""

    def __init__(self, registry: Registry, business: str, at: datetime) -> None:
        self._registry, self._business, self._at = registry, business, at

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Every figure."""
        yield from self._of_live()
        yield from self._of_runs()

    def _gauge(
        self, name: str, says: str, values: Mapping[Any, float], *labels: str
    ) -> GaugeMetricFamily:
        from prometheus_client.core import GaugeMetricFamily

        made = GaugeMetricFamily(f"tagline_{name}", says, labels=("business", *labels))
        for key, value in values.items():
            made.add_metric((self._business, *key), value)
        return made

    def _of_live(self) -> Iterator[GaugeMetricFamily]:
        live = self._registry.live()
        if live is not None:
            age = (self._at - live.as_of).total_seconds()
            states = Counter(entry["state"] for entry in live.tags.values())
            yield self._gauge("live_release", "Id of the live release.", {(): live.id})
            yield self._gauge("live_age_seconds", "Time since the as_of of live.", {(): age})
            yield self._gauge("customers", "Customers in the live release.", {(): live.customers})
            yield self._gauge(
                "tags",
                "Tags of the live release by state.",
                {(state,): states[state] for state in STATES},
                "state",
            )
        held = {(): float(self._held())}
        yield self._gauge("held_releases", "Releases that wait for a person.", held)

    def _held(self) -> int:
        """Held releases whose day has no later one."""
        later = aliased(Release)
        again = select(later.id).where(later.as_of == Release.as_of, later.id > Release.id)
        with self._registry.session() as session:
            found = select(func.count()).select_from(Release).where(Release.status == "held")
            return session.scalar(found.where(~again.exists())) or 0

    def _of_runs(self) -> Iterator[GaugeMetricFamily]:
        with self._registry.session() as session:
            counted = select(Run.status, func.count()).group_by(Run.status)
            by_status: dict[str, int] = {row[0]: row[1] for row in session.execute(counted)}
            newest = session.scalars(
                select(Run).order_by(Run.started_at.desc(), Run.id).limit(1)
            ).first()
        runs = {(status,): float(by_status.get(status, 0)) for status in (*STATUSES, *by_status)}
        yield self._gauge("runs", "Runs by status, since the beginning.", runs, "status")
        if newest is None:
            return
        age = (self._at - newest.started_at).total_seconds()
        yield self._gauge("last_run_age_seconds", "Time since the newest run began.", {(): age})
        yield self._gauge(
            "last_run_status", "1 for the newest run's status.", {(newest.status,): 1}, "status"
        )
        yield self._gauge(
            "last_run_stage_seconds",
            "Seconds of each stage of the newest run.",
            {(stage,): float(seconds) for stage, seconds in sorted(newest.seconds.items())},
            "stage",
        )
        yield self._gauge(
            "last_run_quarantined_rows",
            "Rows that the newest run refused, by table and reason.",
            quarantined(newest.stages),
            "table",
            "reason",
        )


def quarantined(stages: Mapping[str, Any]) -> dict[tuple[str, ...], float]:
    """Rows that a run refused, per table and reason, from what its stages saved."""
    return {
        (table, reason): float(rows)
        for stage in ("extract", "clean")
        for table, made in sorted(stages.get(stage, {}).get("tables", {}).items())
        for reason, rows in sorted(made.get("quarantined", {}).items())
    }
