"""The crane maker's simulated systems as the canonical tables that its sources' SQL makes of them.

What a load leaves in the lake, without the lake: the systems are read as they stand at the end,
each version of a key ends where its next one begins, and rows that cleaning would quarantine stay.
Values of tags are computed of these rows by the compiler and the engine, as a run does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
from examples.crane_works.__main__ import main as simulate

from tagline.catalog import Catalog, load_catalog
from tagline.compile import compile_tags
from tagline.compile.previous import previous_table
from tagline.compute import column_types
from tagline.definitions import DataType, SqlSource
from tagline.engines import Engine, Relation, open_engine
from tagline.settings import PROJECT, Settings
from tagline.subjects import SUBJECTS

_BOOKKEEPING = ("valid_at", "loaded_at", "until_at", "recorded_at")
_BEGINNING = "TIMESTAMPTZ '1900-01-01 00:00:00+00'"


@dataclass(frozen=True)
class CraneWorld:
    """The stored tables of the business, and what is hidden from it."""

    catalog: Catalog
    engine: Engine
    folder: Path

    def tags(self, as_of: date, slugs: Iterable[str], subject: str = "customer") -> pd.DataFrame:
        """The values of tags of one subject at midnight of a day, by the subject's key.

        They are those of a first day: there is no release before.
        """
        at = self.catalog.midnight(as_of)
        compiled = compile_tags(self.catalog, at, list(slugs), subject=SUBJECTS[subject])
        found: dict[str, Relation] = {}
        for name, columns in compiled.tables.items():
            found[name] = self._relation(name, column_types(self.catalog, name, columns))
            if name in compiled.superseded:
                keys = (*self.catalog.tables[name].key, *_BOOKKEEPING)
                types = column_types(self.catalog, name, keys)
                found[f"{name}__superseded"] = self._relation(f"{name}__superseded", types)
        for name, kinds in compiled.previous.items():
            found[previous_table(SUBJECTS[name])] = Relation((), kinds)
        rows: pd.DataFrame = self.engine.fetch(compiled.sql, found).to_pandas()
        return rows.set_index(SUBJECTS[subject].key).sort_index()

    def truth(self, table: str) -> pd.DataFrame:
        """A table of what is hidden, such as `customers`."""
        return pd.read_parquet(self.folder / "hidden" / "truth" / table)

    def _relation(self, name: str, types: dict[str, DataType]) -> Relation:
        path = self.folder / "tables" / f"{name}.parquet"
        return Relation((str(path),) if path.exists() else (), types)


def crane_world(
    folder: Path, customers: int, machines: int, years: int = 3, without: Collection[str] = ()
) -> CraneWorld:
    """Simulate the systems into a folder and run the sources' SQL over them.

    The tables `without` stay empty, such as that of a machine's days, which takes most of the time.
    """
    size = ("--customers", customers, "--machines", machines, "--years", years)
    systems, hidden = folder / "systems", folder / "hidden"
    command = ["--parquet", systems, "--truth", hidden, *size]
    assert simulate([str(word) for word in command]) == 0
    return read_world(folder, without)


def read_world(folder: Path, without: Collection[str] = ()) -> CraneWorld:
    """The world of systems that lie in a folder already, beside what is hidden."""
    catalog = load_catalog(PROJECT / "include", "crane_works")
    (folder / "tables").mkdir()
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET threads = 1")
        for name, source in catalog.sources.items():
            assert isinstance(source, SqlSource)
            _show(connection, name, source, folder / "systems")
        made = {table for each in catalog.sources.values() for table in each.feeds}
        for table in sorted(made.difference(without)):
            _make(connection, catalog, table, folder / "tables")
    return CraneWorld(catalog, open_engine(Settings(threads=1)), folder)


def _show(
    connection: duckdb.DuckDBPyConnection, name: str, source: SqlSource, systems: Path
) -> None:
    """The raw tables of a source as views in a schema of its own."""
    connection.execute(f"CREATE SCHEMA {name}")
    for raw, definition in source.tables.items():
        files = f"'{systems / definition.table.replace('.', '/')}/*.parquet'"
        stored = dict(
            row[:2] for row in connection.execute(f"DESCRIBE FROM read_parquet({files})").fetchall()
        )
        shown = []
        for column, kind in definition.columns.items():
            value = f'"{column}"'
            if kind is DataType.TIMESTAMP and stored[column] == "TIMESTAMP":
                value = f"timezone('{source.timezone}', {value})"
            shown.append(f'CAST({value} AS {kind.sql}) AS "{column}"')
        connection.execute(
            f"CREATE VIEW {name}.{raw} AS SELECT {', '.join(shown)} FROM read_parquet({files})"
        )


def _make(
    connection: duckdb.DuckDBPyConnection, catalog: Catalog, table: str, folder: Path
) -> None:
    """A canonical table of all sources that feed it, and where its versions end."""
    connection.execute("CREATE SCHEMA IF NOT EXISTS made")
    columns = catalog.tables[table].columns
    declared = [f'"{name}" {column.type.sql}' for name, column in columns.items()]
    declared += ["valid_at TIMESTAMPTZ"]
    connection.execute(f"CREATE OR REPLACE TABLE made.rows ({', '.join(declared)})")
    for name, source in catalog.sources.items():
        if table in source.feeds:
            connection.execute(f"SET search_path = '{name}'")
            sql = catalog.source_sql(name, table)
            connection.execute(f"INSERT INTO made.rows BY NAME {sql}")
    keys = ", ".join(f'"{key}"' for key in catalog.tables[table].key)
    versions = (
        f"SELECT * REPLACE (coalesce(valid_at, {_BEGINNING}) AS valid_at), "
        f"{_BEGINNING} AS loaded_at FROM made.rows "
        f"QUALIFY row_number() OVER (PARTITION BY {keys}, valid_at) = 1"
    )
    ended = (
        f"SELECT {keys}, valid_at, loaded_at, "
        f"lead(valid_at) OVER (PARTITION BY {keys} ORDER BY valid_at) AS until_at, "
        f"{_BEGINNING} AS recorded_at FROM ({versions}) QUALIFY until_at IS NOT NULL"
    )
    for name, sql in ((table, versions), (f"{table}__superseded", ended)):
        connection.execute(f"COPY ({sql}) TO '{folder / name}.parquet'")


def customer_of(world: CraneWorld, as_of: date) -> pd.Series[Any]:
    """The true customer of each account of the CRM on a day, by account number."""
    known = world.truth("identities")
    known = known[known["system"] == "crm"]
    day = pd.Timestamp(as_of)
    held = (known["held_from"].isna() | (known["held_from"] <= day)) & (
        known["held_until"].isna() | (known["held_until"] > day)
    )
    return known[held].set_index("source_key")["customer"]
