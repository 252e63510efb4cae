"""A day after 400 generated days against a day after 800: what windows and stages cost."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from benchmarks.deliveries import SEED, Sizes
from benchmarks.results import Line, Results, Row, clock, this_machine, today, versions
from benchmarks.shop import Shop, shop
from tagline.compile import compile_tags
from tagline.compute import changed_tables, relations
from tagline.definitions import StatisticTag
from tagline.deployment import Deployment, open_deployment
from tagline.pipeline import STAGES, run_stage

_LOADED_AT_ONCE = ("extract", "clean")


def days(
    work: Path,
    per_day: int,
    *,
    counts: Sequence[int] = (400, 800),
    step: int = 10,
    measured: int = 3,
) -> Results:
    """Load history `step` days at a time; after each count measure some days that follow."""
    least, most = min(counts), max(counts)
    sizes = Sizes(per_day * (most + measured), most + measured)
    rows: list[Row] = []
    with shop(work / f"days-{per_day}-{most}", sizes) as opened:
        reached = _reached(opened)
        for count in (least, most):
            if reached > count:
                raise SystemExit(
                    f"{opened.home} has {reached} days, more than the {count} to measure after; "
                    "remove the folder."
                )
            reached = _load(opened, reached, count, step)
            rows.append(_measure(opened, count, measured))
            reached = count + measured
            print(rows[-1], flush=True)
    return _results(opened, rows, per_day, step, measured)


def _reached(opened: Shop) -> int:
    """How many days are loaded."""
    with open_deployment(opened.settings) as deployment:
        from tagline.loads import loads_of

        with deployment.registry.session() as session:
            ends = [load.end_at for load in loads_of(session, "deliveries", "orders")]
    newest = max((end for end in ends if end), default=opened.sizes.start_of(0))
    return (newest - opened.sizes.start_of(0)).days


def _load(opened: Shop, first: int, last: int, step: int) -> int:
    """Extract and clean the days from `first` up to `last`, some at a time."""
    with open_deployment(opened.settings) as deployment:
        for number in [*range(first + step, last, step), last]:
            as_of = opened.sizes.start_of(number)
            run_id = f"load-{number}-{uuid4().hex[:6]}"
            deployment.registry.start_run(run_id, as_of, clock())
            for stage in _LOADED_AT_ONCE:
                run_stage(deployment, stage, run_id, as_of, clock())
            deployment.registry.finish_run(run_id, "failed", clock(), "only loaded")
            if number % 100 < step:
                print(f"{number} of {last} days loaded", flush=True)
    return last


def _measure(opened: Shop, count: int, number: int) -> Row:
    """Seconds of the stages of the days after `count`, medians, and of computing tags alone."""
    seconds: dict[str, list[float]] = {stage: [] for stage in STAGES}
    for day in range(count + 1, count + number + 1):
        made, report = opened.run(opened.sizes.start_of(day))
        if report["status"] != "released":
            raise SystemExit(f"day {day}: {report}")
        for stage, found in made.stages.items():
            seconds[stage].append(found.seconds)
    row: Row = {"days": count, "orders": opened.sizes.orders_before(count)}
    row |= {stage: round(statistics.median(found), 2) for stage, found in seconds.items()}
    with open_deployment(opened.settings) as deployment:
        windowed, whole = _tags(deployment)
        row["windowed tags"] = _seconds(opened, deployment, count + number, windowed)
        row["tags of all history"] = _seconds(opened, deployment, count + number, whole)
        row["files"] = len(deployment.lake.relation("clean.orders", {}).files)
    return row


def _tags(deployment: Deployment) -> tuple[list[str], list[str]]:
    """The statistics with a window, and those without."""
    found = {
        slug: tag.definition
        for slug, tag in deployment.catalog.tags.items()
        if isinstance(tag.definition, StatisticTag)
    }
    windowed = [slug for slug, definition in found.items() if definition.window]
    return windowed, [slug for slug in found if slug not in windowed]


def _seconds(opened: Shop, deployment: Deployment, day: int, slugs: Sequence[str]) -> float:
    """The median of five computations of these tags, after one that warms up."""
    as_of, target = opened.sizes.start_of(day), opened.home / "measured.parquet"
    changed = changed_tables(deployment)
    taken = []
    for _ in range(6):
        started = time.perf_counter()
        compiled = compile_tags(deployment.catalog, as_of, slugs, changed=changed)
        found = relations(deployment, compiled, as_of)
        deployment.engine.write(compiled.sql, found, str(target))
        taken.append(time.perf_counter() - started)
        target.unlink()
    return round(statistics.median(taken[1:]), 3)


def _results(opened: Shop, rows: Sequence[Row], per_day: int, step: int, measured: int) -> Results:
    few, many = rows[0], rows[-1]

    def ratio(column: str) -> float | None:
        below, above = few[column], many[column]
        assert isinstance(below, int | float) and isinstance(above, int | float)
        return round(above / below, 2) if below else None

    ratios: Row = {"days": f"{many['days']} / {few['days']}"}
    ratios |= {column: ratio(column) for column in few if column != "days"}
    after = f"a day after {many['days']} days against a day after {few['days']}"
    made = Results(
        name="days",
        title="Days",
        description=(
            f"A shop with {per_day:,} orders a day, delivered {step} days at a time; then "
            f"{measured} further days by `tagline run`, whose median seconds are shown by stage. "
            "Tags with a window (30 to 365 days) and tags of all history are also computed "
            "alone, as the median of five."
        ),
        command=f"python -m benchmarks days --per-day {per_day}",
        measured_on=today(),
        seed=SEED,
        sizes={"orders a day": per_day, "customers": opened.sizes.customers, "tags": 20},
        machine=this_machine(),
        versions=versions(),
        lines=(
            Line(
                key="days_windowed",
                what=f"statistics with windows, {after}",
                measured=ratio("windowed tags"),
                unit="×",
                target=1.3,
                reference=f"{few['days']} days",
            ),
            Line(
                key="days_whole",
                what=f"statistics of all history, {after}",
                measured=ratio("tags of all history"),
                unit="×",
                reference=f"{few['days']} days",
            ),
        ),
        tables={"Seconds": (*rows, ratios)},
    )
    made.save()
    return made
