"""A database as a source: any SQLAlchemy URL, streamed through a server-side cursor."""

from __future__ import annotations

import json
import os
import socket
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pyarrow
import pyarrow.parquet
from sqlalchemy import (
    URL,
    Connection,
    MetaData,
    NullPool,
    Table,
    create_engine,
    func,
    inspect,
    make_url,
    or_,
    select,
    types,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, NoSuchTableError

from tagline.definitions import SqlSource
from tagline.definitions.source import SqlTable
from tagline.errors import SourceChanged, SourceUnavailable, TaglineError, did_you_mean
from tagline.sources import Incoming, Interval, expand_variables
from tagline.sources.silence import unless_silent

BATCH_ROWS = 20_000
Result = TypeVar("Result")
_EXAMPLE = "postgresql://user:password@host:5432/database"
_DRIVERS = {"postgres": "postgresql+psycopg2", "postgresql": "postgresql+psycopg2"}


@dataclass(frozen=True)
class SqlReader:
    """Reads the tables of a `sql` source, each read in one transaction."""

    source: str
    definition: SqlSource

    def delivered(self, table: str, wanted: Interval) -> list[Interval]:
        """The whole interval: a database can always be asked."""
        return [wanted]

    def state(self, table: str) -> dict[str, str] | None:
        """None: a database does not say whether it has changed; see `late_by`."""
        return None

    @contextmanager
    def read(
        self, table: str, interval: Interval | None, as_of: datetime, scratch: Path
    ) -> Iterator[Incoming]:
        """The rows of an interval of the cursor column (and those without one), or all rows."""
        definition = self.definition.tables[table]
        scratch.mkdir(parents=True, exist_ok=True)
        path = scratch / f"{uuid.uuid4().hex}.parquet"
        try:
            watermark = self._unless_silent(
                lambda connection: self._stream(connection, table, definition, interval, path),
                lambda: path.stat().st_size if path.exists() else 0,
            )
            yield Incoming(
                source=self.source,
                table=table,
                definition=definition,
                timezone=self.definition.timezone,
                files=(str(path),),
                watermark_at=watermark,
            )
        finally:
            path.unlink(missing_ok=True)

    def _unless_silent(
        self, read: Callable[[Connection], Result], progress: Callable[[], object]
    ) -> Result:
        """What `read` makes of a connection; hangs up when the database falls silent."""
        opened: list[Connection] = []

        def connected() -> Result:
            with self._connection() as connection:
                opened.append(connection)
                return read(connection)

        return unless_silent(
            connected,
            self.definition.timeout,
            f"source {self.source}: {self._url().render_as_string(hide_password=True)}",
            lambda: (len(opened), progress()),
            lambda: _hang_up(opened),
        )

    def _stream(
        self,
        connection: Connection,
        name: str,
        definition: SqlTable,
        interval: Interval | None,
        path: Path,
    ) -> datetime | None:
        """Write the rows as Parquet, batch by batch; the newest time in the database."""
        table = self._reflect(connection, name, definition)
        columns = list(table.columns)
        schema = pyarrow.schema([(column.name, _arrow_type(column.type)) for column in columns])
        query = select(*columns)
        watermark = None
        if definition.time and definition.time in table.columns:
            cursor = table.columns[definition.time]
            aware = schema.field(definition.time).type == _AWARE
            newest = connection.execute(select(func.max(cursor))).scalar()
            watermark = self._instant(newest) if isinstance(newest, datetime) else None
            if interval and pyarrow.types.is_timestamp(schema.field(definition.time).type):
                start, end = (self._bound(at, aware) for at in (interval.start, interval.end))
                query = query.where(or_((cursor >= start) & (cursor < end), cursor.is_(None)))
        converters = [_converter(field.type) for field in schema]
        with (
            pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer,
            connection.execute(
                query, execution_options={"stream_results": True, "yield_per": BATCH_ROWS}
            ) as result,
        ):
            for rows in result.partitions():
                arrays = [
                    pyarrow.array([convert(value) for value in values], field.type)
                    for values, field, convert in zip(
                        zip(*rows, strict=True), schema, converters, strict=True
                    )
                ]
                writer.write_batch(pyarrow.record_batch(arrays, schema=schema))
        return watermark

    def _reflect(self, connection: Connection, name: str, definition: SqlTable) -> Table:
        schema, _, table = definition.table.rpartition(".")
        try:
            return Table(table, MetaData(), schema=schema or None, autoload_with=connection)
        except NoSuchTableError as error:
            inspector = inspect(connection)
            known = [
                *inspector.get_table_names(schema or None),
                *inspector.get_view_names(schema or None),
            ]
            raise SourceChanged(
                f"{self.source}.{name}: the database has no table {definition.table!r}."
                f"{did_you_mean(table, known)}"
            ) from error

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        url = self._url()
        shown = url.render_as_string(hide_password=True)
        try:
            engine = create_engine(url, poolclass=NullPool)
        except (ImportError, NoSuchModuleError) as error:
            raise SourceUnavailable(
                f"source {self.source}: no driver for {shown}: {error}. Install its package."
            ) from error
        try:
            with engine.connect() as connection, connection.begin():
                yield connection
        except DBAPIError as error:
            raise SourceUnavailable(
                f"source {self.source}: {shown}: {str(error.orig).strip()}"
            ) from error
        finally:
            engine.dispose()

    def _url(self) -> URL:
        where = f"url of sources/{self.source}.yaml"
        text = expand_variables(self.definition.url, where, _EXAMPLE)
        if text.startswith("airflow://"):
            return airflow_connection(text.removeprefix("airflow://").strip("/"), where)
        return _parsed(text, where)

    def _bound(self, at: datetime, aware: bool) -> datetime:
        if aware:
            return at
        return at.astimezone(ZoneInfo(self.definition.timezone)).replace(tzinfo=None)

    def _instant(self, value: datetime) -> datetime:
        if value.tzinfo is None:
            value = value.replace(tzinfo=ZoneInfo(self.definition.timezone))
        return value.astimezone(UTC)


def _hang_up(opened: list[Connection]) -> None:
    """Break a connection that another thread waits for, where the driver tells its socket."""
    for connection in opened:
        with suppress(Exception):  # each driver is its own; the thread is a daemon in any case
            descriptor = os.dup(connection.connection.dbapi_connection.fileno())  # type: ignore[union-attr]
            with socket.socket(fileno=descriptor) as broken:
                broken.shutdown(socket.SHUT_RDWR)


def airflow_connection(connection_id: str, where: str) -> URL:
    """The URL of an Airflow connection in AIRFLOW_CONN_<ID>, as a URI or as JSON."""
    variable = f"AIRFLOW_CONN_{connection_id.upper()}"
    text = os.environ.get(variable)
    if not text:
        raise TaglineError(
            f"{where} names the Airflow connection {connection_id!r}, but {variable} is not set. "
            "Set it to the connection's URI or JSON."
        )
    if not text.lstrip().startswith("{"):
        return _parsed(text, variable)
    try:
        parts = json.loads(text)
        extra = parts.get("extra") or {}
        extra = json.loads(extra) if isinstance(extra, str) else extra
        return URL.create(
            _driver(str(parts["conn_type"])),
            parts.get("login"),
            parts.get("password"),
            parts.get("host"),
            int(parts["port"]) if parts.get("port") else None,
            parts.get("schema"),
            {str(key): str(value) for key, value in extra.items()},
        )
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise TaglineError(f"{variable} is not a connection in JSON: {error!r}") from error


def _parsed(text: str, where: str) -> URL:
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise TaglineError(f"{where} is not a URL; write {_EXAMPLE}") from error
    query = {key: value for key, value in url.query.items() if key != "__extra__"}
    return url.set(drivername=_driver(url.drivername), query=query)


def _driver(name: str) -> str:
    return _DRIVERS.get(name, name.replace("-", "+"))


_AWARE = pyarrow.timestamp("us", "UTC")
_NAIVE = pyarrow.timestamp("us")


def _arrow_type(kind: types.TypeEngine[Any]) -> pyarrow.DataType:
    if isinstance(kind, types.DateTime):
        return _AWARE if getattr(kind, "timezone", False) else _NAIVE
    if isinstance(kind, types.ARRAY) and isinstance(kind.item_type, types.String):
        return pyarrow.list_(pyarrow.string())
    for known, arrow in (
        (types.Boolean, pyarrow.bool_()),
        (types.Integer, pyarrow.int64()),
        (types.Float, pyarrow.float64()),
        (types.Numeric, pyarrow.float64()),
        (types.Date, pyarrow.date32()),
    ):
        if isinstance(kind, known):
            return arrow
    return pyarrow.string()


def _converter(kind: pyarrow.DataType) -> Callable[[Any], Any]:
    if kind == pyarrow.float64():
        return lambda value: float(value) if isinstance(value, Decimal) else value
    if kind == pyarrow.string():
        return _text
    return lambda value: value


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
