"""Brings a registry database to the newest schema, by Alembic."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.engine import Connection, Engine

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0004"  # the newest revision in migrations/versions (a test keeps it true)
MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 7_203_118_402  # of the transaction-scoped advisory lock around migrations


def upgrade(engine: Engine) -> None:
    """Create or migrate the registry's tables.

    Cheap where nothing is to be done; of two processes at once one migrates, the other waits.
    """
    with engine.connect() as connection:
        if _revision(connection) == HEAD:
            return
    from alembic import command

    with engine.begin() as connection:
        connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        if _revision(connection) == HEAD:
            return
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def alembic_config() -> Config:
    """Alembic's configuration of the registry, without a file."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _revision(connection: Connection) -> str | None:
    if connection.scalar(text("select to_regclass('alembic_version')")) is None:
        return None
    revision: str | None = connection.scalar(text("select version_num from alembic_version"))
    return revision
