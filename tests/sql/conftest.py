"""Runs the project's SQL files on a few rows written by hand, with DuckDB alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

INCLUDE = Path(__file__).resolve().parents[2] / "include"
SQL_TYPES = {
    "boolean": "BOOLEAN",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "text": "VARCHAR",
    "date": "DATE",
    "timestamp": "TIMESTAMPTZ",
    "list of text": "VARCHAR[]",
}

Row = Mapping[str, Any]
Rows = Sequence[Row]
RunSql = Callable[..., list[dict[str, Any]]]


@cache
def _definition(kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((INCLUDE / kind / f"{name}.yaml").read_text("utf-8"))
    return found


def _columns(kind: str, name: str, table: str | None = None) -> dict[str, str]:
    definition = _definition(kind, name)
    if table is not None:
        return dict(definition["tables"][table]["columns"])
    return {column: shape["type"] for column, shape in definition["columns"].items()}


def _fill(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, str], rows: Rows
) -> None:
    declared = ", ".join(f'"{name}" {SQL_TYPES[kind]}' for name, kind in columns.items())
    connection.execute(f'CREATE TABLE "{table}" ({declared})')
    for row in rows:
        assert set(row) <= set(columns), f"{table} has no column {set(row) - set(columns)}"
        marks = ", ".join("?" for _ in columns)
        connection.execute(
            f'INSERT INTO "{table}" VALUES ({marks})', [row.get(name) for name in columns]
        )


def _result(
    connection: duckdb.DuckDBPyConnection, path: Path, canonical: str
) -> list[dict[str, Any]]:
    found = connection.execute(path.read_text("utf-8"))
    names = [column[0] for column in found.description or ()]
    definition = _definition("tables", canonical)
    assert set(names) - {"valid_at"} <= set(definition["columns"])
    for column, shape in definition[
        "columns"
    ].items():  # a source may not know those that may be null
        assert shape.get("nullable", True) or column in names, column
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def _connect() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    return connection


@pytest.fixture
def source_sql() -> RunSql:
    """Call with source, canonical table and raw rows by raw table; returns the canonical rows."""

    def run(source: str, canonical: str, **raw: Rows) -> list[dict[str, Any]]:
        definition = _definition("sources", source)
        with _connect() as connection:
            for table in definition["tables"]:
                _fill(connection, table, _columns("sources", source, table), raw.get(table, ()))
            path = INCLUDE / "sql" / "sources" / source / f"{canonical}.sql"
            return _result(connection, path, canonical)

    return run


@pytest.fixture
def derived_sql() -> RunSql:
    """Call with a derived table and rows by canonical table; returns the derived rows."""

    def run(derived: str, **rows: Rows) -> list[dict[str, Any]]:
        with _connect() as connection:
            for table, given in rows.items():  # a reader names the customer of each row, too
                _fill(connection, table, _columns("tables", table) | {"customer_id": "text"}, given)
            return _result(connection, INCLUDE / "sql" / "derived" / f"{derived}.sql", derived)

    return run


@pytest.fixture
def label_sql() -> RunSql:
    """Call with label query, as_of and rows by canonical table; returns the labels."""

    def run(label: str, as_of: datetime, **rows: Rows) -> list[dict[str, Any]]:
        text = (INCLUDE / "sql" / "labels" / f"{label}.sql").read_text("utf-8")
        with _connect() as connection:
            for table, given in rows.items():  # as_of is found as if it were a column
                columns = _columns("tables", table)
                columns |= {"customer_id": "text", "as_of": "timestamp"}
                _fill(connection, table, columns, [{**row, "as_of": as_of} for row in given])
            found = connection.execute(text)
            names = [column[0] for column in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    return run
