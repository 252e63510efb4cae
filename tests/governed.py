"""A simulated crane maker, brought into canonical tables by the project's own SQL in one DuckDB.

Not the pipeline: there are no lake and no loads, and sources are read as a whole. Casts, SQL and
row rules are those of the definitions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb
import pyarrow
import pyarrow.compute as pc
import yaml
from examples.crane_works import world
from examples.crane_works.parameters import Parameters
from examples.crane_works.tables import AT, GONE, Table, state

from tagline.casting import cast_sql
from tagline.definitions import TableDefinition
from tagline.definitions.types import DataType
from tagline.rules import reason_sql

INCLUDE = Path(__file__).resolve().parents[1] / "include"
ZONE = "Asia/Shanghai"
# Their first versions are wrong and put right later: all versions are kept, the key says whose.
KEYS = {
    "crm.contracts": "contract_no",
    "crm.opportunities": "opportunity_no",
    "crm.payments": "payment_no",
}


def _kept(table: Table, rows: pyarrow.Table, until: float) -> pyarrow.Table:
    """What stands in a table at the end, or all that ever stood in it."""
    if table.path not in KEYS:
        return state(table, rows, until)
    there = pc.and_(pc.less(rows[AT], until), pc.invert(rows[GONE]))
    return rows.filter(there).select(list(table.columns))


class Governed:
    """The systems and the truth as schemas; `make` adds canonical tables."""

    def __init__(self, parameters: Parameters, until: float | None = None) -> None:
        self.connection = duckdb.connect(config={"threads": 1})
        self.rows("SET TimeZone = 'UTC'")
        parts: dict[str, list[pyarrow.Table]] = {}
        with patch.object(world, "state", _kept):
            for part in world.simulate(parameters, until):
                parts.setdefault(part.table.path, []).append(part.rows)
        for path, tables in parts.items():
            self.rows(f"CREATE SCHEMA IF NOT EXISTS {path.split('.')[0]}")
            self.connection.register("arrived", pyarrow.concat_tables(tables))
            self.rows(f"CREATE TABLE {path} AS FROM arrived")
            self.connection.unregister("arrived")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(query).fetchall()

    def value(self, query: str) -> Any:
        return self.rows(query)[0][0]

    def make(self, source: str, *tables: str, newest: bool = True) -> None:
        """Canonical tables of a source as they hold, each row with the `reason` it is refused for.

        Of rows that were put right, the newest versions are read, or those of the beginning.
        """
        definition = yaml.safe_load((INCLUDE / "sources" / f"{source}.yaml").read_text("utf-8"))
        self.rows(f"DROP SCHEMA IF EXISTS {source} CASCADE")
        self.rows(f"CREATE SCHEMA {source}")
        for name, declared in definition["tables"].items():
            self._read(source, name, declared, newest)
        for table in tables:
            self._canonical(source, table, newest)

    def derive(self, table: str) -> None:
        """A derived table of the canonical ones, without the rows that are refused."""
        sql = (INCLUDE / "sql" / "derived" / f"{table}.sql").read_text("utf-8")
        self.rows("SET search_path = 'main'")
        self.rows(f"CREATE OR REPLACE TABLE {table} AS {sql}")

    def _types(self, relation: str) -> dict[str, str]:
        return {row[0]: row[1] for row in self.rows(f"DESCRIBE {relation}")}

    def _read(self, source: str, name: str, declared: dict[str, Any], newest: bool) -> None:
        path, found = declared["table"], self._types(declared["table"])
        casts = ", ".join(
            f"{cast_sql(column, found[column], DataType(kind), ZONE)} AS {column}"
            for column, kind in declared["columns"].items()
        )
        one = ""
        if key := KEYS.get(path):
            order = "DESC" if newest else "ASC"
            one = f"QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY updated_at {order}) = 1"
        self.rows(f"CREATE VIEW {source}.{name} AS SELECT {casts} FROM {path} {one}")

    def _canonical(self, source: str, name: str, newest: bool) -> None:
        text = (INCLUDE / "tables" / f"{name}.yaml").read_text("utf-8")
        table = TableDefinition.model_validate(yaml.safe_load(text))
        sql = (INCLUDE / "sql" / "sources" / source / f"{name}.sql").read_text("utf-8")
        self.rows(f"SET search_path = '{source}'")
        self.rows(f"CREATE OR REPLACE TABLE main.delivered AS {sql}")
        self.rows("SET search_path = 'main'")
        found = self._types("delivered")
        absent = "".join(
            f", CAST(NULL AS {column.type.sql}) AS {each}"
            for each, column in table.columns.items()
            if each not in found
        )
        found |= {each: table.columns[each].type.sql for each in table.columns.keys() - found}
        if "valid_at" not in found:
            absent += f", {table.event_at or 'NULL'} AS valid_at"
        reason = reason_sql(table, found, ZONE, "d.valid_at", None)
        self.rows(
            f"CREATE OR REPLACE TABLE judged_{name} AS SELECT d.*, {reason} AS reason "
            f"FROM (SELECT *{absent} FROM delivered) AS d"
        )
        self.rows(
            f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM judged_{name} WHERE reason IS NULL "
            f"QUALIFY row_number() OVER (PARTITION BY {', '.join(table.key)} "
            f"ORDER BY valid_at {'DESC' if newest else 'ASC'}) = 1"
        )
