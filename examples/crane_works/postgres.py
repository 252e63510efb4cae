"""Parts as tables of a PostgreSQL database: a schema per system."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pyarrow.csv
from examples.crane_works.systems import SYSTEMS
from examples.crane_works.tables import STORED, Table
from examples.crane_works.world import Part
from sqlalchemy import NullPool, create_engine, make_url

BATCH_ROWS = 100_000
_CURSORS = {"updated_at", "received_at", "happened_at", "called_at", "sent_ts"}  # read by interval


class SchemasExist(Exception):
    """The database has schemas of these names already."""


def write_database(url: str, parts: Iterable[Part], replace: bool = False) -> Counter[str]:
    """Write the parts of the systems in one transaction; rows by table.

    `url` is a SQLAlchemy URL of a PostgreSQL database, `postgres://` as well. Schemas that are
    there already are only dropped, with all that is in them, when `replace` says so; else
    SchemasExist.
    """
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg2"), poolclass=NullPool)
    raw: Any = engine.raw_connection()
    written: Counter[str] = Counter()
    try:
        with raw.cursor() as cursor:
            _make_schemas(cursor, replace)
            for table in SYSTEMS:
                declared = ", ".join(f"{n} {STORED[kind][1]}" for n, kind in table.columns.items())
                cursor.execute(f"create table {table.path} ({declared})")
            for part in parts:
                _copy(cursor, part)
                written[part.table.path] += part.rows.num_rows
            for table in SYSTEMS:
                _index(cursor, table)
        raw.commit()
    finally:
        raw.close()
        engine.dispose()
    return written


def _make_schemas(cursor: Any, replace: bool) -> None:
    systems = sorted({table.system for table in SYSTEMS})
    cursor.execute("select nspname from pg_namespace where nspname = any(%s)", (systems,))
    there = sorted(row[0] for row in cursor.fetchall())
    if there and not replace:
        raise SchemasExist(
            f"the database has the schemas {', '.join(there)} already. Use another database, or "
            "--replace to drop them with all that is in them."
        )
    for system in systems:
        cursor.execute(f"drop schema if exists {system} cascade")
        cursor.execute(f"create schema {system}")


def _copy(cursor: Any, part: Part) -> None:
    options = pyarrow.csv.WriteOptions(include_header=False)
    for batch in part.rows.to_batches(max_chunksize=BATCH_ROWS):
        sheet = io.BytesIO()
        pyarrow.csv.write_csv(batch, sheet, options)
        sheet.seek(0)
        cursor.copy_expert(f"copy {part.table.path} from stdin (format csv)", sheet)


def _index(cursor: Any, table: Table) -> None:
    if table.key:
        cursor.execute(f"alter table {table.path} add primary key ({', '.join(table.key)})")
    for column in table.columns:
        if column in _CURSORS:
            cursor.execute(f"create index on {table.path} ({column})")
