"""The same day through the production shape and through the embedded servers.

`python -m benchmarks.production` starts the services of docker-compose.yml without containers
(this needs docker-compose and redis-server), lets the grocer's day 2017-12-01 run through them
on empty state, and does the same with the servers of `make up`. The table gives seconds until
everything is ready, seconds of the run and of processor time in it (which other work on the
machine changes least), and memory: the sum of the proportional set sizes of all processes, at
rest after the start and at its peak.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table
from tests.composed import ADMIN, composed, missing_program

from tagline.servers.airflow_api import FINISHED, AirflowApi
from tagline.servers.stack import DAGS, running
from tagline.servers.supervise import Supervisor
from tagline.settings import Settings

DAY = "2017-12-01"
SHAPES = {"PostgreSQL, Redis, Celery, FAB": "production", "embedded, LocalExecutor": "embedded"}


@dataclass(frozen=True)
class Measured:
    """One shape's figures: seconds and megabytes."""

    start: float
    run: float
    processor: float
    processes: int
    rest: float
    peak: float


class Memory(threading.Thread):
    """Looks once a second at the memory of the processes that `find` names."""

    def __init__(self, find: Callable[[], list[psutil.Process]]) -> None:
        super().__init__(daemon=True)
        self.find = find
        self.peak = 0.0
        self.ended = threading.Event()

    def run(self) -> None:
        """Keep the highest sum until told to end."""
        while not self.ended.wait(1):
            self.peak = max(self.peak, megabytes(self.find()))


def family(processes: list[psutil.Process]) -> list[psutil.Process]:
    """These processes with their descendants: those of PostgreSQL have sessions of their own."""
    found = {process.pid: process for process in processes}
    for process in processes:
        with suppress(psutil.Error):
            found |= {child.pid: child for child in process.children(recursive=True)}
    return list(found.values())


def megabytes(processes: list[psutil.Process]) -> float:
    """The sum of the proportional set sizes: what is shared counts once."""
    total = 0
    for process in processes:
        with suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total / 1e6


def processor_seconds(processes: list[psutil.Process]) -> float:
    """The processor time of these processes, and of what they started that has ended."""
    total = 0.0
    for process in processes:
        with suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


@contextmanager
def production(home: Path) -> Iterator[tuple[Supervisor, AirflowApi, list[psutil.Process]]]:
    """The services of docker-compose.yml."""
    with composed(home) as stack:
        passwords = home / "passwords.json"
        passwords.write_text(json.dumps(dict([ADMIN])))
        airflow = AirflowApi(stack.url, passwords)
        stack.supervisor.wait_until(airflow.healthy, "the start of Airflow")
        stack.supervisor.wait_until(lambda: airflow.has_dags(DAGS), "reading the DAGs")
        stack.supervisor.wait_until(lambda: stack.healthy("worker"), "the start of the worker")
        yield stack.supervisor, airflow, []


@contextmanager
def embedded(home: Path) -> Iterator[tuple[Supervisor, AirflowApi, list[psutil.Process]]]:
    """The servers of `make up`; PostgreSQL is no child of theirs."""
    with running(Settings(home=home, business="grocer"), print) as stack:
        postmaster = int((home / "pg" / "postmaster.pid").read_text().split()[0])
        yield stack.supervisor, stack.airflow, [psutil.Process(postmaster)]


def measure(shape: str) -> Measured:
    """Start a shape on empty state, run the day, and stop it."""
    home = Path(tempfile.mkdtemp(prefix="tl", dir="/tmp"))  # a socket path must be short
    open_shape = {"production": production, "embedded": embedded}[shape]
    began = time.perf_counter()
    try:
        with open_shape(home) as (supervisor, airflow, others):
            start = time.perf_counter() - began

            def processes() -> list[psutil.Process]:
                return family([*supervisor.processes(), *others])

            time.sleep(15)
            rest, count = megabytes(processes()), len(processes())
            memory = Memory(processes)
            memory.start()
            used = processor_seconds(processes())
            began = time.perf_counter()
            airflow.unpause("customer_tags")
            run_id = airflow.trigger("customer_tags", {"as_of": DAY})
            while (run := airflow.run("customer_tags", run_id))["state"] not in FINISHED:
                supervisor.watch()
                time.sleep(0.5)
            seconds = time.perf_counter() - began
            used = processor_seconds(processes()) - used
            memory.ended.set()
            memory.join()
            if run["state"] != "success":
                raise AssertionError(f"{shape}: the run ended as {run['state']}")
            return Measured(start, seconds, used, count, rest, memory.peak)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def main() -> None:
    """Measure both shapes, one after the other, and print the table."""
    missing = missing_program()
    if missing is not None:
        raise SystemExit(missing)
    table = Table(title=f"The grocer's {DAY}, all history loaded", title_justify="left")
    for column in (
        "shape",
        "ready after s",
        "run s",
        "CPU s",
        "processes",
        "at rest MB",
        "peak MB",
    ):
        table.add_column(column, justify="left" if column == "shape" else "right")
    for name, shape in SHAPES.items():
        made = measure(shape)
        table.add_row(
            name,
            f"{made.start:.0f}",
            f"{made.run:.0f}",
            f"{made.processor:.0f}",
            str(made.processes),
            f"{made.rest:,.0f}",
            f"{made.peak:,.0f}",
        )
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
