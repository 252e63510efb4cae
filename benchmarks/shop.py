"""The benchmark shop: generated deliveries, a home of its own, and days run by `tagline run`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.deliveries import Sizes, deliver
from benchmarks.measured import Measured, measured
from benchmarks.results import Row
from tagline.deployment import open_deployment
from tagline.settings import Settings

DEFINITIONS = Path(__file__).with_name("business")
BUSINESS = "shop"
PROJECT = DEFINITIONS.parents[1]
_SERVER = """
import sys
from pathlib import Path
from tagline.database import server_url
from tagline.settings import Settings
print(server_url(Settings(home=Path(sys.argv[1]), business=sys.argv[2])), flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class Shop:
    """A deployment of the benchmark business whose database server runs."""

    home: Path
    deliveries: Path
    sizes: Sizes
    database_url: str
    memory_limit: str = "4GB"
    buckets: int = 1

    @property
    def settings(self) -> Settings:
        """The settings that its processes read from the environment."""
        return Settings(
            business=BUSINESS,
            definitions=DEFINITIONS,
            home=self.home,
            database_url=self.database_url,
            memory_limit=self.memory_limit,
            customer_buckets=self.buckets,
        )

    @property
    def environment(self) -> dict[str, str]:
        """The variables that its processes need."""
        return {
            "BENCHMARK_DELIVERIES": str(self.deliveries),
            "PYTHONPATH": os.pathsep.join(
                map(str, (PROJECT, PROJECT / "include", PROJECT / "plugins"))
            ),
            "TAGLINE_BUSINESS": BUSINESS,
            "TAGLINE_CUSTOMER_BUCKETS": str(self.buckets),
            "TAGLINE_DATABASE_URL": self.database_url,
            "TAGLINE_DEFINITIONS": str(DEFINITIONS),
            "TAGLINE_HOME": str(self.home),
            "TAGLINE_LOG_FORMAT": "json",
            "TAGLINE_MEMORY_LIMIT": self.memory_limit,
        }

    def run(self, as_of: datetime) -> tuple[Measured, dict[str, Any]]:
        """One `tagline run` of all stages; what it took, and its report."""
        return self.call("run", "--as-of", f"{as_of:%Y-%m-%d}", "--json")

    def call(self, *words: str) -> tuple[Measured, dict[str, Any]]:
        """One command of the command line with its JSON answer."""
        program = Path(sys.executable).with_name("tagline")
        made = measured([program, "--verbose", *words], self.environment)
        answer: dict[str, Any] = json.loads(made.stdout)
        return made, answer


@contextmanager
def shop(
    folder: Path,
    sizes: Sizes,
    *,
    home: str = "home",
    memory_limit: str = "4GB",
    buckets: int = 1,
    say: Any = print,
) -> Iterator[Shop]:
    """A shop with its deliveries written and its server running; the home may be there already.

    Deliveries lie in `folder`/deliveries; each home has an embedded PostgreSQL of its own.
    """
    deliveries = folder / "deliveries"
    deliver(deliveries, sizes, say)
    os.environ["BENCHMARK_DELIVERIES"] = str(deliveries)  # read by the source's location
    (folder / home).mkdir(parents=True, exist_ok=True)
    with _server(folder / home) as url:
        yield Shop(folder / home, deliveries, sizes, url, memory_limit, buckets)


@contextmanager
def _server(home: Path) -> Iterator[str]:
    """The embedded PostgreSQL of a home, held by a process of its own that ends with the block."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "include")}
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVER, str(home), BUSINESS],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        if not url:
            raise RuntimeError(f"the embedded PostgreSQL of {home.name} did not start")
        yield url
    finally:
        process.stdin.close()
        process.wait(timeout=120)


def loaded(opened: Shop, *, until: int | None = None, and_before: bool = False) -> Row | None:
    """See that the deliveries up to a day (all) are released, by a run where they are not.

    With `and_before`, all days but the last are released first, so that the last is compared
    with a release before it; then the row has the seconds of that one day's stages, if it ran.
    """
    last = until or opened.sizes.days
    row: Row | None = None
    for number in (last - 1, last) if and_before else (last,):
        as_of = opened.sizes.start_of(number)
        with open_deployment(opened.settings) as deployment:
            there = deployment.registry.release_at(as_of)
        if there is not None:
            continue
        print(f"running {as_of:%Y-%m-%d} of {opened.sizes.events:,} orders", flush=True)
        made, report = opened.run(as_of)
        if report["status"] != "released":
            raise SystemExit(f"{opened.sizes.events:,} orders, {as_of:%Y-%m-%d}: {report}")
        print(f"released after {made.seconds:.0f} s", flush=True)
        row = {"day": f"{as_of:%Y-%m-%d}"}
        row |= {name: round(stage.seconds, 2) for name, stage in made.stages.items()}
    return row


def clean_files(opened: Shop) -> dict[str, tuple[str, ...]]:
    """The files of the clean tables."""
    with open_deployment(opened.settings) as deployment:
        names = list(deployment.catalog.tables)
        return {name: deployment.lake.relation(f"clean.{name}", {}).files for name in names}


@contextmanager
def removed(folder: Path, keep: bool = False) -> Iterator[Path]:
    """A folder that is removed when its block ends well; what a failure leaves can be resumed."""
    folder.mkdir(parents=True, exist_ok=True)
    yield folder
    if not keep:
        shutil.rmtree(folder)
