"""Binds the project's SQL files to the declared columns, without reading a row."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tagline.catalog import Catalog
from tagline.definitions.types import DataType
from tagline.engines import Engine, Relation
from tagline.errors import Fault, QueryRefused

_REFUSED_NAME = re.compile(r'(?:column|name) "?(\w+)"?', re.IGNORECASE)


def bind_sql(catalog: Catalog, engine: Engine) -> list[Fault]:
    """A fault for each SQL file of the business that the engine refuses.

    Reading the definitions finds unknown tables and results that are missing; only the engine
    finds a column or a function that is not there.
    """
    found = []
    for name, source in catalog.sources.items():
        raw = {table: Relation((), shape.columns) for table, shape in source.tables.items()}
        for table in source.feeds:
            path = f"sql/sources/{name}/{table}.sql"
            written = (catalog.root / path).read_text("utf-8")
            sql = catalog.source_sql(name, table)
            found += _faults(engine, path, sql, raw, written)
    for file in catalog.derived.values():
        read = {name: _canonical(catalog, name) for name in file.tables}
        text = (catalog.root / file.name).read_text("utf-8")
        found += _faults(engine, file.name, text, read, text)
    return found


def _canonical(catalog: Catalog, table: str) -> Relation:
    columns = {name: column.type for name, column in catalog.tables[table].columns.items()}
    if catalog.tables[table].customer is not None:
        columns.setdefault("customer_id", DataType.TEXT)
    return Relation((), columns)


def _faults(
    engine: Engine, path: str, sql: str, relations: Mapping[str, Relation], written: str
) -> list[Fault]:
    """What the engine refuses of `sql`, at the line of the file as it is written."""
    try:
        engine.fetch(f"SELECT * FROM (\n{sql.strip().rstrip(';')}\n) LIMIT 0", relations)
    except QueryRefused as error:
        said = error.reason.partition("Candidate functions:")[0]  # it may list dozens
        reason = " ".join(said.split())
        return [Fault(path, _line(written, reason), f"not valid SQL: {reason}")]
    return []


def _line(text: str, reason: str) -> int:
    """The first line that holds the name that the engine refuses; 1 where it names none."""
    named = _REFUSED_NAME.search(reason)
    if named:
        for number, line in enumerate(text.splitlines(), start=1):
            if re.search(rf"\b{re.escape(named[1])}\b", line, re.IGNORECASE):
                return number
    return 1
