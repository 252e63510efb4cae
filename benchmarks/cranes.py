"""The crane maker at scale: the first load of its whole history, then a day, by `tagline run`."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from datetime import date, timedelta
from multiprocessing import get_context
from pathlib import Path

from examples.crane_works.parameters import Parameters

from benchmarks.crane_files import LOCATION, CraneFiles, write_definitions
from benchmarks.installation import PROJECT, Installation, server
from benchmarks.measured import Measured
from benchmarks.results import Results, Row, load, merged, this_machine, today, versions
from benchmarks.shop import removed
from tagline.deployment import open_deployment

BUSINESS = "crane_works"
FIRST, DAY = "first load", "the day after"
KEYS = ("customers", "run")
SECONDS, PROCESSOR, MEMORY = "Seconds", "Seconds of processor", "Peak memory, MB"


def cranes(work: Path, customers: int, machines: int, memory_limit: str, *, keep: bool) -> Results:
    """Simulate a company into files, load all days but the last, then run the last.

    What a broken-off call has released already is left alone.
    """
    parameters = Parameters(customers=customers, machines=machines)
    folder = work / f"cranes-{customers}"
    with removed(folder, keep):
        files = CraneFiles(folder / "deliveries", parameters)
        # in a process of its own, whose memory is free before the runs
        with ProcessPoolExecutor(1, get_context("spawn")) as other:
            readings = other.submit(files.write).result()
        print(f"{readings:,} readings are written", flush=True)
        write_definitions(PROJECT / "include", folder / "definitions")
        os.environ[LOCATION] = str(files.folder)  # read by this process, too
        home = folder / "home"
        home.mkdir(exist_ok=True)
        with server(home, BUSINESS) as url:
            opened = Installation(
                home=home,
                business=BUSINESS,
                definitions=folder / "definitions",
                database_url=url,
                memory_limit=memory_limit,
                variables={LOCATION: str(files.folder)},
            )
            _measure(opened, FIRST, files.last_day, parameters, readings)
            files.deliver_last_day()
            _measure(opened, DAY, files.last_day + timedelta(days=1), parameters, readings)
    found = load("cranes")
    assert found is not None
    return found


def _measure(
    opened: Installation, name: str, as_of: date, parameters: Parameters, readings: int
) -> None:
    """Run a day that is not released yet, and save what it took."""
    with open_deployment(opened.settings) as deployment:
        if deployment.registry.release_at(deployment.catalog.midnight(as_of)) is not None:
            print(f"{name}: {as_of} is released already", flush=True)
            return
    print(f"{name}: running {as_of}", flush=True)
    made, report = opened.run(as_of)
    if report["status"] != "released":
        raise SystemExit(f"{name}: {report}")
    for stage, took in made.stages.items():
        print(
            f"  {stage:<8} {took.seconds:8.1f} s  {took.cpu:8.1f} s processor  "
            f"{took.peak_mb:8,.0f} MB",
            flush=True,
        )
    _save(name, made, report["tags"], parameters, readings, opened.memory_limit)


def _save(
    name: str, made: Measured, tags: int, parameters: Parameters, readings: int, limit: str
) -> None:
    stages = made.stages.items()
    named: Row = {"customers": parameters.customers, "run": name}
    rows: dict[str, Row] = {
        SECONDS: {stage: round(took.seconds, 1) for stage, took in stages}
        | {"whole": round(made.seconds, 1)},
        PROCESSOR: {stage: round(took.cpu, 1) for stage, took in stages}
        | {"whole": round(made.cpu, 1)},
        MEMORY: {stage: round(took.peak_mb) for stage, took in stages}
        | {"whole": round(made.peak_mb)},
    }
    before = load("cranes")
    tables = {
        title: merged(before.tables.get(title, ()) if before else (), named | row, KEYS)
        for title, row in rows.items()
    }
    Results(
        name="cranes",
        title="The crane maker",
        description=(
            "The simulated maker of cranes, three years of its seven systems as Parquet files: "
            "one `tagline run` that loads all days but the last from nothing, and one of the "
            "next day. Peak memory is that of the run's process, without PostgreSQL; the engine "
            f"may use {limit}."
        ),
        command="python -m benchmarks cranes",
        measured_on=today(),
        seed=parameters.seed,
        sizes={
            "customers": parameters.customers,
            "machines": parameters.machines,
            "readings": readings,
            "tags": tags,
        },
        machine=this_machine(),
        versions=versions(),
        tables=tables,
    ).save()
