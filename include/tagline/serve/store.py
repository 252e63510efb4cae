"""The profile store: a row per customer of the last live releases, in PostgreSQL."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import Connection, Engine

from tagline.database import ValueReader, open_database
from tagline.definitions.types import DataType
from tagline.engines import Engine as SqlEngine
from tagline.engines import identifier, literal
from tagline.registry.schema import Release
from tagline.serve.released import file_columns, files_of, keys_of, relation_of
from tagline.settings import Settings
from tagline.subjects import CUSTOMER, Subject

KEPT = 3  # releases
_LOCK = 7_203_118_403  # of the transaction-scoped advisory lock around changes
_TABLES = (
    "create table if not exists profiles ("
    " release_id bigint not null, customer_id text not null, row json not null,"
    " primary key (release_id, customer_id)) partition by list (release_id)",
    "create table if not exists stored_releases ("
    " release_id bigint primary key, columns json not null, stored_at timestamptz not null)",
)


@contextmanager
def open_profile_store(settings: Settings) -> Iterator[ProfileStore]:
    """The profile store of a deployment, with its tables."""
    engine = open_database(settings, "profiles")
    reader = ValueReader(engine.url)
    try:
        yield ProfileStore(engine, reader)
    finally:
        reader.close()
        engine.dispose()


class ProfileStore:
    """Rows of the last live releases, a partition per release, the columns' names told once.

    A release is seen with all of its rows or not at all; one that is not here is read from its
    files.
    """

    def __init__(self, engine: Engine, reader: ValueReader) -> None:
        self.engine = engine
        self._reader = reader
        self._columns: dict[int, tuple[str, ...]] = {}
        if reader.value("select to_regclass('stored_releases')") is None:
            with self._change() as connection:
                for table in _TABLES:
                    connection.execute(text(table))

    def row(self, release_id: int, customer_id: str) -> dict[str, Any] | None:
        """A customer's row, or None where the customer or the whole release is not here."""
        names = self._names(release_id)
        if not names:
            return None
        partition = f"profiles_{release_id:d}"  # planned in half the time of the whole table
        try:
            values = self._reader.value(
                f"select row from {partition} where release_id = %s and customer_id = %s",
                release_id,
                customer_id,
            )
        except self.engine.dialect.loaded_dbapi.ProgrammingError:
            del self._columns[release_id]  # the release was dropped since its names were read
            return None
        return None if values is None else dict(zip(names, values, strict=True))

    def ids_from(self, release_id: int, prefix: str, limit: int) -> list[str]:
        """The first customers of a release whose id begins with `prefix`, in order of ids.

        It walks the primary key from `prefix` on; a release that is not here has none.
        """
        statement = text(
            "select customer_id from profiles where release_id = :release"
            " and customer_id >= :prefix order by customer_id limit :limit"
        )
        values = {"release": release_id, "prefix": prefix, "limit": limit}
        with self.engine.connect() as connection:
            found = connection.execute(statement, values).scalars()
            return [each for each in found if each.startswith(prefix)]

    def stored(self) -> tuple[int, ...]:
        """The ids of the releases that are here, the latest stored first."""
        with self.engine.connect() as connection:
            rows = connection.execute(
                text("select release_id from stored_releases order by stored_at desc, 1 desc")
            )
            return tuple(row.release_id for row in rows)

    def _names(self, release_id: int) -> tuple[str, ...]:
        if release_id not in self._columns:
            found = self._reader.value(
                "select columns from stored_releases where release_id = %s", release_id
            )
            if found is None:  # not here yet, or no longer
                return ()
            self._columns[release_id] = tuple(found)
        return self._columns[release_id]

    def load(self, engine: SqlEngine, release: Release, at: datetime) -> None:
        """Copy a release's rows in and drop all but the latest few, in one transaction."""
        if release.id in self.stored():
            return
        with TemporaryDirectory(prefix="tagline-profiles-") as folder:
            path = str(Path(folder) / "rows.parquet")
            engine.write(rows_sql(release), {"tags": relation_of(release)}, path)
            with self._change() as connection:
                if release.id not in self.stored():
                    self._copy(connection, release, path, at)
                self._drop_old(connection)

    def _copy(self, connection: Connection, release: Release, path: str, at: datetime) -> None:
        release_id, table = release.id, f"profiles_{release.id}"
        connection.exec_driver_sql(
            f"create table {table} (like profiles including defaults,"
            f" check (release_id = {release_id}))"
        )
        cursor = connection.connection.cursor()
        cursor.copy_expert(
            f"copy {table} (release_id, customer_id, row) from stdin with (format csv, freeze)",
            _CsvRows(path),
        )
        connection.exec_driver_sql(f"alter table {table} add primary key (release_id, customer_id)")
        connection.exec_driver_sql(
            f"alter table profiles attach partition {table} for values in ({release_id})"
        )
        connection.execute(
            text("insert into stored_releases values (:id, :columns, :at)"),
            {"id": release_id, "columns": json.dumps(_value_columns(release)), "at": at},
        )

    def _drop_old(self, connection: Connection) -> None:
        old = connection.execute(
            text(
                "delete from stored_releases where release_id not in (select release_id from"
                " stored_releases order by stored_at desc, release_id desc limit :kept)"
                " returning release_id"
            ),
            {"kept": KEPT},
        )
        for row in old.all():
            connection.exec_driver_sql(f"drop table profiles_{row.release_id}")

    @contextmanager
    def _change(self) -> Iterator[Connection]:
        with self.engine.begin() as connection:
            connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            yield connection


def rows_sql(release: Release, condition: str = "true", subject: Subject = CUSTOMER) -> str:
    """SQL of release_id, the key and the row: a JSON array in the order of its columns."""
    columns, key = file_columns(files_of(release, subject)[0]), subject.key
    names = _value_columns(release, subject)
    values = ", ".join(_json_value(name, columns[name]) for name in names)
    return (
        f"SELECT {release.id}::BIGINT AS release_id, {key}, "
        f"json_array({values})::VARCHAR AS row FROM tags WHERE {condition} ORDER BY {key}"
    )


def row_in_files(
    engine: SqlEngine, release: Release, key: str, subject: Subject = CUSTOMER
) -> dict[str, Any] | None:
    """A customer's row as the store would give it, or another subject's, from the files."""
    sql = rows_sql(release, f"{subject.key} = {literal(key)}", subject)
    found = engine.fetch(sql, {"tags": relation_of(release, subject)})
    if found.num_rows == 0:
        return None
    values = json.loads(found.column("row")[0].as_py())
    return dict(zip(_value_columns(release, subject), values, strict=True))


def _value_columns(release: Release, subject: Subject = CUSTOMER) -> tuple[str, ...]:
    columns = file_columns(files_of(release, subject)[0])
    return tuple(name for name in columns if name not in keys_of(subject))


def _json_value(name: str, type_: DataType) -> str:
    column = identifier(name)
    if type_ is DataType.NUMBER:
        return f"CASE WHEN isfinite({column}) THEN {column} END"
    if type_ is DataType.TIMESTAMP:
        return f"strftime({column} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%f+00:00')"
    return column


class _CsvRows:
    """A Parquet file read as CSV text, a batch at a time."""

    def __init__(self, path: str) -> None:
        import pyarrow.parquet as parquet

        self._batches = parquet.ParquetFile(path).iter_batches(batch_size=20_000)
        self._text = io.BytesIO()

    def read(self, size: int = -1) -> bytes:
        """The next bytes, none at the end."""
        part = self._text.read(size)
        while not part:
            batch = next(self._batches, None)
            if batch is None:
                return b""
            self._text = io.BytesIO(_csv(batch))
            part = self._text.read(size)
        return part


def _csv(batch: Any) -> bytes:
    from pyarrow import csv

    buffer = io.BytesIO()
    csv.write_csv(batch, buffer, csv.WriteOptions(include_header=False))
    return buffer.getvalue()
