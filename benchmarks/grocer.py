"""The grocer's full year of real transactions: its stages, and a day's statistics by hand.

The reference of the ratio is references/grocer.sql over the same files.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.results import Line, Results, Row, this_machine, today, versions
from tagline.compile import compile_tags
from tagline.compute import changed_tables, relations
from tagline.deployment import Deployment, open_deployment
from tagline.settings import Settings

AS_OF = datetime(2018, 1, 1, tzinfo=UTC)
ROUNDS = 7
SLUGS = (
    "recency_days", "order_count_total", "order_count_30d", "order_count_90d", "order_count_365d",
    "order_amount_30d", "order_amount_90d", "order_amount_365d", "order_amount_total",
    "order_amount_mean", "order_amount_max", "basket_lines_mean",
)  # fmt: skip


def grocer() -> Results:
    """Run the full year, then the day after a day, then the comparison."""
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "TAGLINE_HOME": home, "TAGLINE_BUSINESS": "grocer"}
        runs = {
            "first load, 364 days": run(environment, "2017-12-31"),
            "one more day": run(environment, "2018-01-01"),
            "the same day again": run(environment, "2018-01-01"),
        }
        rows = tuple(stage_row(name, report) for name, report in runs.items())
        for row in rows:
            print(f"{row['run']}: {row['process']} s, {row['peak MB']} MB", flush=True)
        settings = Settings(home=Path(home), business="grocer")
        with open_deployment(settings) as deployment:
            line, found = compared(deployment)
    made = Results(
        name="grocer",
        title="The grocer's year",
        description=(
            "Real data: 1.5 M lines of 2,469 households, all tags, in one `tagline run` each. "
            "Seconds of each stage and of the whole process."
        ),
        command="python -m benchmarks grocer",
        measured_on=today(),
        seed=None,
        sizes={"days": 365},
        machine=this_machine(),
        versions=versions(),
        lines=(line,),
        tables={"Seconds per stage, whole process, peak memory": rows, "Seconds": (found,)},
    )
    made.save()
    return made


def run(environment: dict[str, str], day: str) -> dict[str, Any]:
    """One `tagline run` in a process of its own; its report and its wall seconds."""
    started = time.perf_counter()
    done = subprocess.run(
        [str(Path(sys.executable).with_name("tagline")), "run", "--as-of", day, "--json"],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    report: dict[str, Any] = json.loads(done.stdout)
    report["wall"] = time.perf_counter() - started
    return report


def stage_row(name: str, report: dict[str, Any]) -> Row:
    """Seconds of each stage and of the whole process, and its peak memory."""
    seconds = {stage: round(taken, 1) for stage, taken in report["seconds"].items()}
    return {
        "run": name,
        **seconds,
        "process": round(report["wall"], 1),
        "peak MB": report["peak_mb"],
    }


def compared(deployment: Deployment) -> tuple[Line, Row]:
    """Compiled against hand-written, in turn; both must give the same values."""
    changed = changed_tables(deployment)
    compiled = compile_tags(deployment.catalog, AS_OF, SLUGS, changed=changed)
    found = relations(deployment, compiled, AS_OF)
    reference = (Path(__file__).parent / "references" / "grocer.sql").read_text("utf-8")
    orders = {"orders": found["orders"]}
    ours, theirs = [], []
    for _ in range(ROUNDS + 1):
        started = time.perf_counter()
        made = deployment.engine.fetch(compiled.sql, found).to_pylist()
        ours.append(time.perf_counter() - started)
        started = time.perf_counter()
        wanted = deployment.engine.fetch(reference, orders).to_pylist()
        theirs.append(time.perf_counter() - started)
    compare(made, wanted)
    ratios = [a / b for a, b in zip(ours[1:], theirs[1:], strict=True)]  # the first warms up
    line = Line(
        key="grocer_statistics",
        what=f"{len(SLUGS)} order statistics of the grocer's {len(made):,} customers, compiled",
        measured=round(statistics.median(ratios), 2),
        unit="×",
        reference="hand-written SQL, one scan",
    )
    row: Row = {
        "compiled": round(statistics.median(ours[1:]), 3),
        "hand-written": round(statistics.median(theirs[1:]), 3),
        "ratio": line.measured,
        "from": round(min(ratios), 2),
        "to": round(max(ratios), 2),
        "values equal": len(made) * len(SLUGS),
    }
    print(f"ratio {line.measured}", flush=True)
    return line, row


def compare(made: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    """Raise unless both results hold the same values."""
    reference = {row["customer_id"]: row for row in wanted}
    if reference.keys() != {row["customer_id"] for row in made}:
        raise AssertionError("the compiled and the hand-written query differ in customers")
    for row in made:
        for slug in SLUGS:
            other = reference[row["customer_id"]][slug]
            if not math.isclose(float(row[slug]), float(other), rel_tol=1e-9, abs_tol=1e-9):
                raise AssertionError(f"{row['customer_id']} {slug}: {row[slug]} and {other}")
