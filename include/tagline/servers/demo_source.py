"""The database that a business's demo reads: filled once, by the module that its file names."""

from __future__ import annotations

import os

from sqlalchemy import NullPool, create_engine, text

from tagline.database import demo_source_url
from tagline.definitions.business import Preparation
from tagline.servers.stack import Say
from tagline.servers.supervise import Supervisor
from tagline.settings import PROJECT, Settings

_TABLES = """
select count(*) from information_schema.tables
where table_schema not in ('information_schema', 'pg_catalog')
"""


def prepare_source(settings: Settings, preparation: Preparation, say: Say) -> None:
    """Fill the database unless it is, and set its URL in the environment of all that is started.

    Raises ServerFailed with the end of the module's log where it does not succeed. Where the
    variable is set already, that database is read as it is.
    """
    variable = preparation.url
    if variable in os.environ:
        say(f"Reading the database that {variable} names")
        return
    url = demo_source_url(settings)
    if not _is_filled(url):
        say(f"Filling a database for the sources by {preparation.module}")
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(_places())}
        with Supervisor(environment, settings.home_path / "logs") as supervisor:
            supervisor.complete("prepare", preparation.module, "--database", url)
    os.environ[variable] = url
    say(f"The sources' database is ready: {variable}='{url}'")


def _is_filled(url: str) -> bool:
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        return bool(connection.scalar(text(_TABLES)))


def _places() -> tuple[str, ...]:
    path = os.environ.get("PYTHONPATH")
    return (str(PROJECT), str(PROJECT / "include"), *([path] if path else []))
