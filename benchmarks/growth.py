"""Growth: time and peak memory of every stage, for each number of events, with and without a limit.

Each size is generated, loaded from nothing by one `tagline run`, measured from outside, and
removed. What was measured already is left alone, so that a broken-off call goes on where it was.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.deliveries import SEED, Sizes
from benchmarks.measured import Measured
from benchmarks.results import (
    Line,
    Results,
    Row,
    clock,
    load,
    merged,
    this_machine,
    today,
    versions,
)
from benchmarks.shop import Shop, removed, shop
from tagline.deployment import Deployment, open_deployment
from tagline.pipeline import STAGES
from tagline.release import activate, release, rollback

KEYS = ("events", "memory limit")
SECONDS, MEMORY, DECISIONS = "Seconds", "Peak memory, MB", "A decision on releases, seconds"
UNLIMITED = "none"
LIMITED = "2 GB"
_BYTES_PER_EVENT = 110  # deliveries, raw, clean and what is spilled, with room


def growth(
    work: Path,
    events: Sequence[int],
    limits: Sequence[str],
    buckets: int,
    *,
    again: bool = False,
    keep: bool = False,
) -> Results:
    """Measure each size under each limit, saving after each; the results with all known rows."""
    found = load("growth")
    for size in events:
        wanted = [limit for limit in limits if again or not _known(found, size, limit)]
        if not wanted:
            print(f"{size:,} events: measured already (--again measures anew)", flush=True)
            continue
        _require_room(work, size)
        with removed(work / f"growth-{size}", keep) as folder:
            for limit in wanted:
                found = _saved(found, size, limit, _measure(folder, size, limit, buckets))
    if found is None:
        raise SystemExit("nothing was measured")
    return found


def _known(found: Results | None, size: int, limit: str) -> bool:
    rows = found.tables.get(SECONDS, ()) if found else ()
    return any(row["events"] == size and row["memory limit"] == limit for row in rows)


def _measure(folder: Path, size: int, limit: str, buckets: int) -> dict[str, Row]:
    """The rows of one size and limit, by table."""
    home = "home-" + limit.replace(" ", "-")
    shutil.rmtree(folder / home, ignore_errors=True)  # of an attempt that was broken off
    limited = limit != UNLIMITED
    memory = limit.replace(" ", "") if limited else "80%"
    with shop(
        folder,
        Sizes(size),
        home=home,
        memory_limit=memory,
        buckets=buckets if limited else 1,
    ) as opened:
        print(f"{size:,} events, memory limit {limit}: {opened.buckets} buckets", flush=True)
        made, report = opened.run(opened.sizes.as_of)
        if report["status"] != "released":
            raise SystemExit(f"{size:,} events, limit {limit}: {report}")
        _say(made)
        decisions = _decide(opened)
    shutil.rmtree(folder / home)
    named: Row = {"events": size, "memory limit": limit}
    seconds: Row = {stage: round(made.stages[stage].seconds, 1) for stage in STAGES}
    memories: Row = {stage: round(made.stages[stage].peak_mb) for stage in STAGES}
    whole = round(sum(made.stages[stage].seconds for stage in STAGES), 1)
    return {
        SECONDS: {**named, **seconds, "all stages": whole, "processor": round(made.cpu, 1)},
        MEMORY: {**named, **memories, "buckets": opened.buckets},
        DECISIONS: {**named, "customers": report["customers"], **decisions},
    }


def _say(made: Measured) -> None:
    for name, stage in made.stages.items():
        print(
            f"  {name:<8} {stage.seconds:8.1f} s  {stage.cpu:8.1f} s processor  "
            f"{stage.peak_mb:8,.0f} MB",
            flush=True,
        )


def _decide(opened: Shop) -> Row:
    """Seconds of a rollback, and of releasing the same again: the registry's row and the lake's.

    What is rolled back is a second release of the day, of a copy of its candidate.
    """
    with open_deployment(opened.settings) as deployment:
        _release_again(deployment)
        live = deployment.registry.live()
        assert live is not None
        started = time.perf_counter()
        rollback(deployment, "measured", "benchmark", clock())
        between = time.perf_counter()
        activate(deployment, live.id, "measured", "benchmark", clock())
        ended = time.perf_counter()
    found: Row = {
        "rollback": round(between - started, 3),
        "release row": round(ended - between, 3),
    }
    print(f"  rollback {found['rollback']} s, release row {found['release row']} s", flush=True)
    return found


def _release_again(deployment: Deployment) -> None:
    """Release a copy of the live candidate for the same as_of, as a rerun of the day would."""
    registry = deployment.registry
    live = registry.live()
    assert live is not None and live.candidate is not None
    copy = Path(live.candidate).with_name("measured-again.parquet")
    shutil.copy(live.candidate, copy)
    stages = dict(registry.run(live.run_id).stages)
    stages["score"] = {**stages["score"], "path": str(copy)}
    run_id = f"{live.run_id}-again"
    registry.start_run(run_id, live.as_of, clock())
    for name in ("compute", "score", "audit", "gate"):
        registry.save_stage(run_id, name, stages[name], 0.0)
    made = release(deployment, run_id, clock())
    if made.status != "active":
        raise SystemExit(f"the second release is {made.status}: {made.reasons}")


def _require_room(work: Path, size: int) -> None:
    work.mkdir(parents=True, exist_ok=True)
    free, needed = shutil.disk_usage(work).free, size * _BYTES_PER_EVENT
    if free < needed:
        raise SystemExit(
            f"{size:,} events need about {needed / 1e9:.0f} GB, {free / 1e9:.0f} GB are free. "
            "Name another folder with --work, or fewer events."
        )


def _saved(found: Results | None, size: int, limit: str, rows: dict[str, Row]) -> Results:
    before = found.tables if found else {}
    tables = {name: merged(before.get(name, ()), row, KEYS) for name, row in rows.items()}
    made = Results(
        name="growth",
        title="Growth",
        description=(
            "All stages of one `tagline run` from nothing: the whole history of 730 days is "
            "extracted, cleaned, checked, computed and released, 20 tags. Peak memory is that of "
            "the run's process during the stage, without PostgreSQL. Without a limit the engine "
            "may use 80 % of the machine's memory."
        ),
        command="python -m benchmarks growth",
        measured_on=today(),
        seed=SEED,
        sizes={"days": Sizes(size).days, "tags": 20},
        machine=this_machine(),
        versions=versions(),
        lines=_lines(tables),
        tables=tables,
    )
    made.save()
    return made


def _lines(tables: dict[str, tuple[Row, ...]]) -> tuple[Line, ...]:
    """Four times the events under the limit, and the slowest decision of all."""
    lines = []
    for limit in (LIMITED, UNLIMITED):
        rows = {row["events"]: row for row in tables[SECONDS] if row["memory limit"] == limit}
        for size, row in rows.items():
            larger = rows.get(_number(size) * 4)
            if larger is not None:
                ratio = _number(larger["all stages"]) / _number(row["all stages"])
                lines.append(
                    Line(
                        key=f"growth_{size}_{limit.replace(' ', '').lower()}",
                        what=(
                            f"all stages, {_number(size) * 4 / 1e6:g} M events against "
                            f"{_number(size) / 1e6:g} M, memory limit {limit}"
                        ),
                        measured=round(ratio, 2),
                        unit="×",
                        target=4.4 if limit == LIMITED else None,
                        reference=f"{_number(size):,.0f} events",
                    )
                )
    for name in ("release row", "rollback"):
        slowest = max(tables[DECISIONS], key=lambda row: _number(row[name]))
        lines.append(
            Line(
                key=name.replace(" ", "_"),
                what=f"{name}, the slowest of all sizes ({slowest['customers']:,} customers)",
                measured=_number(slowest[name]),
                unit="s",
                target=1.0,
            )
        )
    return tuple(lines)


def _number(cell: Any) -> float:
    assert isinstance(cell, int | float)
    return cell
