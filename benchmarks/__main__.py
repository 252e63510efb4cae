"""Seconds and peak memory per stage on the full year, and compiled SQL against hand-written.

Every figure comes from this run of this machine; the ratio's reference is benchmarks/reference.sql
over the same files. Nothing is asserted about time: tests compare values, this compares seconds.
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

from rich.console import Console
from rich.table import Table

from tagline.compile import compile_tags
from tagline.compute import changed_tables, relations
from tagline.deployment import Deployment, open_deployment
from tagline.release import rollback
from tagline.settings import Settings

AS_OF = datetime(2018, 1, 1, tzinfo=UTC)
ROUNDS = 7
SLUGS = (
    "recency_days", "order_count_total", "order_count_30d", "order_count_90d", "order_count_365d",
    "order_amount_30d", "order_amount_90d", "order_amount_365d", "order_amount_total",
    "order_amount_mean", "order_amount_max", "basket_lines_mean",
)  # fmt: skip


def main() -> None:
    """Run the full year, then the day after a day, then the comparison; print the tables."""
    console = Console(width=110)
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "TAGLINE_HOME": home, "TAGLINE_BUSINESS": "grocer"}
        runs = {
            "first load, 364 days": run(environment, "2017-12-31"),
            "one more day": run(environment, "2018-01-01"),
            "the same day again": run(environment, "2018-01-01"),
        }
        show_stages(console, runs)
        settings = Settings(home=Path(home), business="grocer")
        with open_deployment(settings) as deployment:
            show_ratio(console, deployment)
            show_rollback(console, deployment)


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


def show_stages(console: Console, runs: dict[str, dict[str, Any]]) -> None:
    """A row per run: seconds of each stage, of the whole process, and its peak memory."""
    stages = next(iter(runs.values()))["seconds"]
    table = Table(title="Seconds per stage, whole process, peak memory", title_justify="left")
    for column in ("run", *stages, "process", "peak MB"):
        table.add_column(column, justify="left" if column == "run" else "right")
    for name, report in runs.items():
        seconds = [f"{report['seconds'][stage]:.1f}" for stage in stages]
        table.add_row(name, *seconds, f"{report['wall']:.1f}", str(report["peak_mb"]))
    console.print(table)


def show_ratio(console: Console, deployment: Deployment) -> None:
    """Compiled against hand-written, in turn; both must give the same values."""
    changed = changed_tables(deployment)
    compiled = compile_tags(deployment.catalog, AS_OF, SLUGS, changed=changed)
    found = relations(deployment, compiled, AS_OF)
    reference = Path(__file__).with_name("reference.sql").read_text("utf-8")
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
    console.print(
        f"{len(SLUGS)} order statistics of {len(made):,} customers: compiled "
        f"{statistics.median(ours[1:]):.3f} s, hand-written {statistics.median(theirs[1:]):.3f} s, "
        f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}); "
        "all values equal"
    )


def show_rollback(console: Console, deployment: Deployment) -> None:
    """Seconds until the release before is live again, the lake's table of tags included."""
    started = time.perf_counter()
    live = rollback(deployment, "measured", "benchmark", datetime.now(UTC))
    seconds = time.perf_counter() - started
    console.print(f"rollback to release {live.id} of {live.customers:,} customers: {seconds:.3f} s")


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


if __name__ == "__main__":
    main()
