"""The same deliveries give the same values, in whatever order they come and days are computed."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow
import pyarrow.parquet
import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.conftest import drop_databases
from tests.system.children import children, start_run
from tests.system.small_grocer import LOADED_AT, SmallGrocer, small_grocer

from tagline.clean import clean
from tagline.compute import feature_table
from tagline.deployment import Deployment, open_deployment
from tagline.extract import extract
from tagline.pipeline import run_day
from tagline.serve.exports import export

pytestmark = pytest.mark.slow
DAYS = [datetime(2017, 5, day, tzinfo=UTC) for day in (1, 2, 3)]
AS_OF = datetime(2017, 4, 1, tzinfo=UTC)
STEPS = 4  # deliveries, the last of which makes all good
COLUMNS = (
    "household_id, store_id, basket_id, product_id, quantity, sales_value, retail_disc, "
    "coupon_disc, coupon_match_disc, week, transaction_timestamp"
)
Values = dict[str, tuple[Any, ...]]


@dataclass
class Shops:
    """Opens deployments of the small grocer, each with databases and a folder of its own."""

    grocer: SmallGrocer
    folder: Path
    server: str
    stack: ExitStack
    made: list[str] = field(default_factory=list)

    def open(self, **source: Any) -> Deployment:
        name = f"repeated_{len(self.made)}"
        self.made.append(name)
        wanted = self.grocer.open(name, self.folder / name / "home", self.server, **source)
        self.stack.callback(drop_databases, wanted)
        return self.stack.enter_context(open_deployment(wanted))


@pytest.fixture(scope="module")
def shops(postgres_url: str) -> Iterator[Shops]:
    folder = Path(tempfile.mkdtemp(prefix="tlr", dir="/tmp"))  # a socket path must be short
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        grocer = small_grocer(folder / "shop")
        _count_lines_once(grocer)
        yield Shops(grocer, folder, postgres_url, stack)


def _count_lines_once(grocer: SmallGrocer) -> None:
    """Let orders be summed over lines that may come in several files, as only this SQL can know."""
    orders = grocer.definitions / "sql" / "sources" / "complete_journey" / "orders.sql"
    text = orders.read_text("utf-8")
    assert "FROM transactions\n" in text
    orders.write_text(text.replace("FROM transactions\n", _ONCE), "utf-8")


_ONCE = "FROM (SELECT DISTINCT * FROM transactions) AS lines\n"


# Days in any order


def exported(deployment: Deployment, path: Path) -> dict[datetime, list[dict[str, Any]]]:
    """The released rows of each day."""
    found = {}
    for as_of in DAYS:
        export(deployment, str(path), as_of)
        found[as_of] = pyarrow.parquet.read_table(path).to_pylist()
    return found


def test_days_in_random_order_in_parallel_or_alone_equal_days_in_sequence(
    shops: Shops, tmp_path: Path
) -> None:
    sequence, parallel, alone = (shops.open() for _ in range(3))
    for number, as_of in enumerate(DAYS):
        run_day(sequence, as_of, f"in-order-{number}", lambda: LOADED_AT)
    wanted = exported(sequence, tmp_path / "sequence.parquet")
    assert all(len(rows) > 150 for rows in wanted.values())
    assert wanted[DAYS[0]] != wanted[DAYS[-1]]

    run_day(alone, DAYS[2], "alone", lambda: LOADED_AT)
    export(alone, str(tmp_path / "alone.parquet"), DAYS[2])
    rows = pyarrow.parquet.read_table(tmp_path / "alone.parquet").to_pylist()
    assert rows == wanted[DAYS[2]]

    context, order = children(), random.Random(2).sample(DAYS, len(DAYS))
    assert order != DAYS
    for pair in (order[:1], order[1:]):
        started = [
            start_run(context, parallel.settings, as_of, f"run-{as_of:%m%d}") for as_of in pair
        ]
        for run in started:
            code, said = run.end()
            assert code == 0, said
    assert exported(parallel, tmp_path / "parallel.parquet") == wanted


# Deliveries in any order


def apart(found: Values, wanted: Values) -> list[tuple[str, Any, Any]]:
    """The customers with other values than wanted."""
    return [
        (key, found.get(key), wanted.get(key))
        for key in sorted(found.keys() | wanted.keys())
        if found.get(key) != wanted.get(key)
    ]


@dataclass
class Deliveries:
    """A folder of deliveries and a deployment that reads it; its clock moves on by loads."""

    deployment: Deployment
    folder: Path
    clock: datetime = LOADED_AT
    loads: int = 0

    def deliver(self, parts: Sequence[pyarrow.Table]) -> None:
        """Put these files in the place of all others."""
        for old in self.folder.glob("transactions*.parquet"):
            old.unlink()
        for number, rows in enumerate(parts):
            path = self.folder / f"transactions-{self.loads}-{number}.parquet"
            pyarrow.parquet.write_table(rows, path)

    def load(self) -> datetime:
        """Extract and clean; when it was known."""
        self.loads += 1
        self.clock += timedelta(days=1)
        run = f"load-{self.loads}"
        self.deployment.registry.start_run(run, AS_OF, self.clock)
        extract(self.deployment, run, AS_OF, self.clock)
        clean(self.deployment, run, AS_OF, self.clock)
        return self.clock

    def values(self, known_at: datetime | None = None) -> Values:
        """All tags of each customer."""
        tags = list(self.deployment.catalog.tags)
        rows = feature_table(self.deployment, AS_OF, tags, known_at).to_pylist()
        return {row["customer_id"]: tuple(row[tag] for tag in tags) for row in rows}


@pytest.fixture(scope="module")
def truth(shops: Shops) -> pyarrow.Table:
    """What the till really sold to forty households in three months."""
    with duckdb.connect() as memory:
        return memory.sql(
            f"SELECT {COLUMNS} FROM '{shops.grocer.data / 'transactions.parquet'}' "
            f"WHERE transaction_timestamp < TIMESTAMP '2017-04-02' AND household_id % 5 = 0"
        ).to_arrow_table()


@pytest.fixture(scope="module")
def opened(shops: Shops) -> Callable[[], Deliveries]:
    def opened() -> Deliveries:
        folder = Path(tempfile.mkdtemp(dir=shops.folder))
        shutil.copy(shops.grocer.data / "demographics.parquet", folder)
        path = shops.grocer.definitions / "sources" / "complete_journey.yaml"
        tables = yaml.safe_load(path.read_text("utf-8"))["tables"]
        tables = {name: tables[name] for name in ("transactions", "demographics")}
        tables["transactions"]["path"] = "transactions*.parquet"
        return Deliveries(shops.open(location=str(folder), tables=tables), folder)

    return opened


@pytest.fixture(scope="module")
def wanted(opened: Callable[[], Deliveries], truth: pyarrow.Table) -> Values:
    """The values of the whole truth, delivered once in one file."""
    whole = opened()
    whole.deliver([truth])
    whole.load()
    return whole.values()


def visible(truth: pyarrow.Table, step: int, seed: int) -> pyarrow.Table:
    """What is delivered of the truth by a step: late lines, wrong ones, and some of nobody.

    Each household has a history of its own; the last step has the truth.
    """
    chance = f"hash(household_id, basket_id, product_id, {seed})"
    wrong = (
        f"CASE WHEN kind = 1 AND {step} < good_from THEN sales_value + 1 ELSE sales_value END "
        "AS sales_value"
    )
    with duckdb.connect() as memory:
        memory.register("truth", truth)
        return memory.sql(
            f"WITH drawn AS (SELECT *, {chance} % 11 AS kind, "
            f"({chance} // 100) % {STEPS} AS good_from FROM truth) "
            f"SELECT {COLUMNS.replace('sales_value', wrong)} FROM drawn "
            f"WHERE kind <> 0 OR {step} >= good_from UNION ALL "
            f"SELECT {COLUMNS.replace(' product_id', ' product_id + 10000000')} FROM drawn "
            f"WHERE kind = 2 AND {step} < good_from"
        ).to_arrow_table()


def split(rows: pyarrow.Table, chance: random.Random) -> list[pyarrow.Table]:
    """The rows in random order in one to three files, some of them in several."""
    count = chance.choice((1, 2, 3))
    files: list[list[int]] = [[] for _ in range(count)]
    for number in chance.sample(range(rows.num_rows), rows.num_rows):
        for file in chance.sample(files, chance.choice((1, 1, 1, min(2, count)))):
            file.append(number)
    return [rows.take(file) for file in files]


@settings(
    max_examples=2,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(seed=st.integers(0, 10**6))
def test_deliveries_in_any_order_twice_or_split_give_the_same_and_known_at_each_of_them(
    opened: Callable[[], Deliveries], truth: pyarrow.Table, wanted: Values, seed: int
) -> None:
    chance, shop = random.Random(seed), opened()
    known: list[tuple[datetime, Values]] = []
    for step in range(STEPS):
        shop.deliver(split(visible(truth, step, seed), chance))
        known.append((shop.load(), shop.values()))
    assert apart(shop.values(), wanted) == []
    assert len(apart(known[0][1], wanted)) > 10
    shop.deliver(split(truth, chance))
    shop.load()
    assert apart(shop.values(), wanted) == []
    for at, values in known:
        assert apart(shop.values(known_at=at), values) == []
        assert apart(shop.values(known_at=at + timedelta(hours=23)), values) == []
