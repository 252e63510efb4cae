"""The PostgreSQL server and the databases of a business, looked at without making anything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import psutil
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from tagline.database import (
    DATABASES,
    embedded_folder,
    existing_url,
)
from tagline.doctor.finding import Finding, fault, ok, warning
from tagline.errors import DatabaseUnavailable, TaglineError
from tagline.registry.migrate import HEAD, MIGRATIONS
from tagline.settings import Settings

OLDEST = 14  # major version of PostgreSQL; older ones are no longer supported by its makers
CLOCKS_APART = timedelta(minutes=1)
LONG = timedelta(hours=6)  # longer than any step of a run


@contextmanager
def connected(settings: Settings, name: str | None = None) -> Iterator[Connection]:
    """A connection to a database that exists; raises DatabaseUnavailable."""
    options = {"connect_timeout": 10}
    engine = create_engine(
        existing_url(settings, name),
        poolclass=NullPool,
        connect_args=options,
        isolation_level="AUTOCOMMIT",
    )
    try:
        connection = engine.connect()
    except SQLAlchemyError as error:
        said = str(getattr(error, "orig", None) or error).strip()
        raise DatabaseUnavailable(said) from error
    with connection:
        yield connection


def check_embedded(settings: Settings) -> Iterator[Finding]:
    """What an embedded server has left behind; looked at before it is started."""
    folder = embedded_folder(settings)
    if folder is None:
        return
    where = "embedded server"
    if not (folder / "PG_VERSION").is_file():
        yield ok(where, f"none in {folder} yet: the first command that needs one makes it")
        return
    pid = _postmaster(folder)
    if pid is None:
        yield ok(where, f"stopped properly; started for this examination from {folder}")
    elif _is_postgres(pid):
        yield ok(where, f"running as process {pid}")
    else:
        yield warning(
            where,
            f"was killed: {folder / 'postmaster.pid'} names process {pid}, which is gone",
            "nothing to do, PostgreSQL recovers when it starts; stop `make up` with Ctrl-C",
        )


def _postmaster(folder: Path) -> int | None:
    file = folder / "postmaster.pid"
    lines = file.read_text().splitlines() if file.is_file() else []
    return int(lines[0]) if lines and lines[0].strip().isdigit() else None


def _is_postgres(pid: int) -> bool:
    try:
        return "postgres" in psutil.Process(pid).name()
    except psutil.Error:
        return False


def has_server(settings: Settings) -> bool:
    """Whether there is a server to ask: one by URL, or an embedded one that was made before."""
    folder = embedded_folder(settings)
    return folder is None or (folder / "PG_VERSION").is_file()


def check_server(settings: Settings, at: datetime) -> tuple[frozenset[str], list[Finding]]:
    """The databases of the business that exist, and what there is to say of the server."""
    try:
        with connected(settings) as connection:
            found = _databases(connection, settings)
            return found, [
                _version(connection),
                _clock(connection, at),
                *_missing(connection, found),
            ]
    except TaglineError as error:
        fix = "start it, or correct TAGLINE_DATABASE_URL"
        if settings.database_url is None:
            fix = f"read {settings.home_path / 'pg' / 'log'}"
        return frozenset(), [fault("database", f"does not answer: {error}", fix)]


def _databases(connection: Connection, settings: Settings) -> frozenset[str]:
    names = connection.scalars(text("select datname from pg_database")).all()
    return frozenset(each for each in DATABASES if f"{settings.business}_{each}" in names)


def _version(connection: Connection) -> Finding:
    version = str(connection.scalar(text("show server_version")))
    said = f"PostgreSQL {version} answers"
    if int(re.split(r"\D", version)[0]) < OLDEST:
        return fault("database", said, f"upgrade the server to {OLDEST} or newer")
    return ok("database", said)


def _clock(connection: Connection, at: datetime) -> Finding:
    server = connection.scalar(text("select clock_timestamp()"))
    assert isinstance(server, datetime)
    apart = abs(server - at)
    if apart > CLOCKS_APART:
        return warning(
            "clock",
            f"this machine says {at:%Y-%m-%d %H:%M:%S}, the server "
            f"{server.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC",
            "let both follow a time server: loaded_at and the order of releases come from it",
        )
    return ok("clock", f"{apart.total_seconds():.0f} s from the server's")


def _missing(connection: Connection, found: frozenset[str]) -> Iterator[Finding]:
    missing = [each for each in DATABASES if each not in found]
    if not missing:
        yield ok("databases", ", ".join(DATABASES))
        return
    may_create = "select rolcreatedb or rolsuper from pg_roles where rolname = current_user"
    if connection.scalar(text(may_create)):
        yield ok("databases", f"not made yet: {', '.join(missing)}; the first use makes them")
    else:
        yield fault(
            "databases",
            f"{', '.join(missing)} are missing and the role may not create them",
            "create them, or `alter role … createdb`",
        )


def check_registry_schema(connection: Connection) -> Finding:
    """Whether the registry has the schema of this version of Tagline."""
    where = "registry"
    found = _revision(connection)
    known = sorted(file.name[:4] for file in (MIGRATIONS / "versions").glob("[0-9]*.py"))
    if found == HEAD:
        return ok(where, f"at revision {HEAD}")
    if found is None:
        return ok(where, "empty; the first command makes its tables")
    if found in known:
        return warning(
            where,
            f"at revision {found}, this Tagline has {HEAD}",
            "back up; the next command that opens the registry migrates it",
        )
    return fault(
        where,
        f"at revision {found}, which this Tagline does not know (it has {HEAD})",
        "install the Tagline that made it, or restore a backup made by this one",
    )


def check_airflow_schema(connection: Connection) -> Finding:
    """Whether Airflow's database has the schema of the Airflow that is installed."""
    where = "airflow's database"
    found = _revision(connection)
    wanted = airflow_head()
    if found is None:
        return ok(where, "empty; `make up` makes its tables")
    if wanted is None or found == wanted:
        return ok(where, f"at revision {found}")
    return warning(
        where,
        f"at revision {found}, the installed Airflow has {wanted}",
        "back up, stop Airflow, `airflow db migrate` (`make up` does it by itself)",
    )


def airflow_head() -> str | None:
    """The newest revision among the installed Airflow's migrations, read without importing it."""
    spec = find_spec("airflow")
    if spec is None or spec.origin is None:
        return None
    revisions, earlier = set[str](), set[str]()
    for file in (Path(spec.origin).parent / "migrations" / "versions").glob("*.py"):
        code = file.read_text("utf-8")
        revisions |= set(re.findall(r'^revision(?:: str)? = "(\w+)"', code, re.M))
        earlier |= set(re.findall(r'^down_revision(?:: [\w| ]+)? = "(\w+)"', code, re.M))
    heads = revisions - earlier
    return heads.pop() if len(heads) == 1 else None


def _revision(connection: Connection) -> str | None:
    if connection.scalar(text("select to_regclass('alembic_version')")) is None:
        return None
    found: str | None = connection.scalar(text("select version_num from alembic_version"))
    return found


def check_sessions(connection: Connection) -> Iterator[Finding]:
    """Transactions that have been open for longer than any step takes: they may hold locks."""
    old = text(
        "select pid, now() - xact_start as age from pg_stat_activity where"
        " datname = current_database() and state like 'idle in transaction%'"
        " and xact_start < now() - make_interval(secs => :seconds)"
    )
    found = connection.execute(old, {"seconds": LONG.total_seconds()}).all()
    for row in found:
        yield warning(
            "locks",
            f"session {row.pid} has held a transaction open for {row.age}",
            f"see that its process is gone, then `select pg_terminate_backend({row.pid})`",
        )
    if not found:
        yield ok("locks", "no transaction is left open")
