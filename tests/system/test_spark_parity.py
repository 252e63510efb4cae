"""Both shops on a Spark cluster, one master and two workers: no value differs from DuckDB's.

The cluster is started here from the pyspark package. The gift shop's real files are looked for
where tests/system/test_gift_shop.py does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.conftest import drop_databases
from tests.spark_cluster import QUICK, WORKERS, missing_for_spark, spark_cluster

from tagline.settings import PROJECT, Settings

if TYPE_CHECKING:
    from tagline.deployment import Deployment
    from tagline.engines.spark import SparkEngine

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(missing_for_spark() is not None, reason=str(missing_for_spark())),
]
NOW = datetime(2020, 1, 1, tzinfo=UTC)
GIFT_SHOP = Path(
    os.environ.get("TAGLINE_GIFT_SHOP_DATA", PROJECT.parent / "shared" / "data" / "online_retail")
)
with_gift_shop = pytest.mark.skipif(
    not GIFT_SHOP.is_dir(), reason="no online_retail*.parquet in ../shared/data/online_retail"
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the cluster's master."""
    from tagline.engines.spark import stop

    folder = tmp_path_factory.mktemp("cluster")
    java = "\n".join(f"spark.{side}.extraJavaOptions {QUICK}" for side in ("driver", "executor"))
    (folder / "spark-defaults.conf").write_text(java + "\n")
    with pytest.MonkeyPatch.context() as patch, spark_cluster(folder) as url:
        patch.setenv("SPARK_CONF_DIR", str(folder))
        yield url
        stop()


@pytest.fixture(scope="module")
def engine(cluster: str, tmp_path_factory: pytest.TempPathFactory) -> SparkEngine:
    """The engine on the cluster."""
    from tagline.engines.spark import SparkEngine

    return SparkEngine(cluster, "1GB", str(tmp_path_factory.mktemp("spark")))


@contextmanager
def opened(business: str, home: Path, server: str, **changes: Any) -> Iterator[Deployment]:
    """A deployment of a shop with databases of its own."""
    from tagline.deployment import open_deployment

    settings = Settings(business=business, home=home, database_url=server, **changes)
    with pytest.MonkeyPatch.context() as patch, open_deployment(settings) as deployment:
        patch.setenv("TAGLINE_GIFT_SHOP_DATA", str(GIFT_SHOP))
        yield deployment


@pytest.fixture(scope="module")
def shops(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Opens shops of the project by name, loaded up to a day, each in a folder of its own."""
    from tagline.clean import clean
    from tagline.extract import extract

    with ExitStack() as stack:

        def loaded(business: str, day: str) -> Deployment:
            home = tmp_path_factory.mktemp(business)
            deployment = stack.enter_context(opened(business, home, postgres_url))
            stack.callback(drop_databases, deployment.settings)
            as_of = midnight(deployment, day)
            deployment.registry.start_run("load", as_of, NOW)
            extract(deployment, "load", as_of, NOW)
            clean(deployment, "load", as_of, NOW)
            return deployment

        yield loaded


def midnight(deployment: Deployment, day: str) -> datetime:
    """The instant at which a day of the business begins."""
    local = datetime.fromisoformat(day).replace(tzinfo=deployment.catalog.zone)
    return local.astimezone(UTC)


def differing(first: str, second: str) -> tuple[int, list[str]]:
    """How many values two files of tags hold, and which differ, types included."""
    left, right = pq.read_table(first), pq.read_table(second)
    assert left.schema.names == right.schema.names
    assert [field.type for field in left.schema] == [field.type for field in right.schema]
    assert left.num_rows == right.num_rows > 0
    found = []
    for name in left.schema.names:
        pairs = zip(_exact(left.column(name)), _exact(right.column(name)), strict=True)
        found += [f"{name}: {a!r}, on Spark {b!r}" for a, b in pairs if a != b]
    return left.num_rows * left.num_columns, found


def _exact(column: pa.ChunkedArray) -> list[Any]:
    """Values that are equal only if they are the same; NaN is itself."""
    values: list[Any] = column.to_pylist()
    return [repr(value + 0.0) if isinstance(value, float) else value for value in values]


def all_tags(deployment: Deployment, engine: Any, day: str, path: Path) -> str:
    """All tags that need no model, as of a day, by an engine."""
    from tagline.compile import compile_tags
    from tagline.compute import changed_tables, relations

    as_of = midnight(deployment, day)
    compiled = compile_tags(deployment.catalog, as_of, changed=changed_tables(deployment))
    engine.write(compiled.sql, relations(deployment, compiled, as_of), str(path))
    return str(path)


@pytest.fixture(scope="module")
def grocer(shops: Any) -> Deployment:
    """The whole grocer, loaded up to the first of October."""
    loaded: Deployment = shops("grocer", "2017-10-01")
    return loaded


def test_all_values_of_the_grocer_are_the_same(
    grocer: Deployment, engine: SparkEngine, tmp_path: Path
) -> None:
    mine = all_tags(grocer, grocer.engine, "2017-06-15", tmp_path / "duckdb.parquet")
    theirs = all_tags(grocer, engine, "2017-06-15", tmp_path / "spark.parquet")
    values, found = differing(mine, theirs)
    assert (values > 150_000, found) == (True, [])


def test_a_day_that_the_cluster_computed_is_released_with_the_same_values(
    grocer: Deployment, cluster: str, postgres_url: str
) -> None:
    from tagline.pipeline import run_day
    from tagline.serve.released import files_of

    as_of, home = midnight(grocer, "2017-10-01"), grocer.settings.home_path
    changes = {"engine": cluster, "memory_limit": "1GB"}
    with opened("grocer", home, postgres_url, **changes) as on_cluster:
        assert on_cluster.tag_engine.name == "spark"
        released = []
        for name, deployment in (("duckdb", grocer), ("spark", on_cluster)):
            report = run_day(deployment, as_of, name, lambda: NOW)
            assert report.status == "released"
            release = deployment.registry.release_at(as_of)
            assert release is not None
            released.append(files_of(release)[0])
    assert released[0] != released[1]
    values, found = differing(released[0], released[1])
    assert (values > 150_000, found) == (True, [])


@with_gift_shop
def test_all_values_of_the_gift_shop_are_the_same(
    shops: Any, engine: SparkEngine, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAGLINE_GIFT_SHOP_DATA", str(GIFT_SHOP))
        shop = shops("gift_shop", "2011-11-01")
    assert shop.catalog.definition.timezone == "Europe/London"
    for day in ("2010-10-31", "2011-11-01"):  # clocks went back on the first
        mine = all_tags(shop, shop.engine, day, tmp_path / f"duckdb-{day}.parquet")
        theirs = all_tags(shop, engine, day, tmp_path / f"spark-{day}.parquet")
        values, found = differing(mine, theirs)
        assert (values > 150_000, found) == (True, [])


def test_the_work_is_done_by_both_workers(engine: SparkEngine) -> None:
    from pyspark.sql import SparkSession

    engine.fetch("SELECT 1 AS one", {})
    running = SparkSession._instantiatedSession
    assert running is not None
    hosts = running.sparkContext._jsc.sc().getExecutorMemoryStatus().size()
    assert hosts == WORKERS + 1  # the driver is one of them
