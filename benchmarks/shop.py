"""The benchmark shop: generated deliveries, a home of its own, and days run by `tagline run`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.deliveries import Sizes, deliver
from benchmarks.installation import Installation, server
from benchmarks.results import Row
from tagline.deployment import open_deployment

DEFINITIONS = Path(__file__).with_name("business")
BUSINESS = "shop"


@dataclass(frozen=True, kw_only=True)
class Shop(Installation):
    """An installation of the benchmark business."""

    business: str = BUSINESS
    definitions: Path = DEFINITIONS
    deliveries: Path
    sizes: Sizes


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
    with server(folder / home, BUSINESS) as url:
        yield Shop(
            home=folder / home,
            deliveries=deliveries,
            sizes=sizes,
            database_url=url,
            memory_limit=memory_limit,
            buckets=buckets,
            variables={"BENCHMARK_DELIVERIES": str(deliveries)},
        )


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
