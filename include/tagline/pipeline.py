"""A day from the sources to a release: the stages in order, in one process."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from tagline.catalog import Catalog
from tagline.deployment import Deployment
from tagline.errors import NoData, TaglineError
from tagline.logs import logged_stage
from tagline.outages import explained

STAGES = ("extract", "clean", "check", "compute", "score", "audit", "gate", "release")
RESOLVE = "resolve"  # after clean, where keys of several systems are one customer by rules
Clock = Callable[[], datetime]


@dataclass(frozen=True)
class RunReport:
    """What a daily run did; `quarantined` counts rows per table and reason."""

    as_of: str
    run: str
    status: str  # released, held or no_data
    release: int | None
    live: int | None
    customers: int
    tags: int
    quarantined: dict[str, dict[str, int]]
    gate: dict[str, Any]
    seconds: dict[str, float]
    peak_mb: int

    def as_json(self) -> dict[str, Any]:
        """The report as one JSON document."""
        return asdict(self)


def stages(catalog: Catalog) -> tuple[str, ...]:
    """The stages of a business's day, in order."""
    if catalog.identity is None:
        return STAGES
    after = STAGES.index("clean") + 1
    return (*STAGES[:after], RESOLVE, *STAGES[after:])


def run_stage(
    deployment: Deployment, stage: str, run_id: str, as_of: datetime, at: datetime
) -> Any:
    """One whole stage of a run; returns its report, which is also saved in the registry."""
    if stage not in (*STAGES, RESOLVE):
        raise ValueError(f"{stage!r} is no stage")

    def call() -> Any:
        with explained(deployment.settings):
            return _stages()[stage](deployment, run_id, as_of, at)

    return logged_stage(stage, run_id, as_of, call)


def run_day(deployment: Deployment, as_of: datetime, run_id: str, clock: Clock) -> RunReport:
    """All stages for one as_of; raises NoData when a required table does not reach it.

    Any other TaglineError marks the run as failed and is raised again; what was live stays so.
    """
    registry = deployment.registry
    with explained(deployment.settings):
        registry.start_run(run_id, as_of, clock())
    seconds: dict[str, float] = {}
    try:
        for stage in stages(deployment.catalog):
            started = time.perf_counter()
            run_stage(deployment, stage, run_id, as_of, clock())
            seconds[stage] = round(time.perf_counter() - started, 3)
    except NoData as error:
        registry.finish_run(run_id, "no_data", clock(), str(error))
        raise
    except TaglineError as error:
        with suppress(SQLAlchemyError):  # a lost database; the reason is told all the same
            registry.finish_run(run_id, "failed", clock(), str(error))
        raise
    return report(deployment, run_id, seconds)


def report(deployment: Deployment, run_id: str, seconds: dict[str, float]) -> RunReport:
    """The report of a finished run, from what its stages saved."""
    registry = deployment.registry
    run = registry.run(run_id)
    released, gate = registry.stage(run_id, "release"), registry.stage(run_id, "gate")
    cleaned = registry.stage(run_id, "clean")
    live = registry.live()
    return RunReport(
        as_of=run.as_of.isoformat(),
        run=run_id,
        status=run.status,
        release=released["release"],
        live=live.id if live else None,
        customers=released["customers"],
        tags=released["tags"],
        quarantined={
            table: made["quarantined"]
            for table, made in cleaned["tables"].items()
            if made["quarantined"]
        },
        gate={"verdict": gate["verdict"], "reasons": gate["reasons"]},
        seconds=seconds or dict(run.seconds),
        peak_mb=peak_mb(),
    )


def peak_mb() -> int:
    """The most memory that this process has held, in megabytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak / (1024 * 1024 if sys.platform == "darwin" else 1024))


def _stages() -> dict[str, Callable[[Deployment, str, datetime, datetime], Any]]:
    """The stages' functions; imported here, since some bring heavy libraries."""
    from tagline.audit import audit
    from tagline.clean import clean
    from tagline.compute import compute
    from tagline.extract import extract, require_data
    from tagline.gate import gate
    from tagline.identity.resolve import resolve
    from tagline.quality import check
    from tagline.release import release
    from tagline.training.score import score

    def extract_and_require(
        deployment: Deployment, run_id: str, as_of: datetime, at: datetime
    ) -> Any:
        made = extract(deployment, run_id, as_of, at)
        require_data(deployment, run_id, as_of)
        return made

    def released(deployment: Deployment, run_id: str, _as_of: datetime, at: datetime) -> Any:
        return release(deployment, run_id, at)

    return {
        "extract": extract_and_require,
        "clean": clean,
        RESOLVE: resolve,
        "check": check,
        "compute": compute,
        "score": score,
        "audit": audit,
        "gate": gate,
        "release": released,
    }
