"""What a demo prepares for its sources: a database that is filled once, by the module named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, text
from tests.conftest import _administer

from tagline.database import _ensure_database
from tagline.definitions.business import Preparation
from tagline.servers.demo_source import prepare_source
from tagline.servers.supervise import ServerFailed
from tagline.settings import Settings

pytestmark = pytest.mark.slow
VARIABLE = "TAGLINE_TEST_SOURCE_URL"
MODULE = """
import sys
from sqlalchemy import create_engine, text

_, option, url = sys.argv
if option != "--database":
    sys.exit("what is " + option)
with create_engine(url).begin() as connection:
    connection.execute(text("create schema till"))
    connection.execute(text("create table till.receipts as select now() as made_at"))
"""


@pytest.fixture
def prepared(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Preparation:
    """A module that fills a database with one table; the variable is unset again afterwards."""
    (tmp_path / "made_till.py").write_text(MODULE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv(VARIABLE, "to be unset afterwards")
    monkeypatch.delenv(VARIABLE)
    return Preparation(module="made_till", url=VARIABLE)


def receipts() -> list[object]:
    engine = create_engine(os.environ[VARIABLE], poolclass=NullPool)
    with engine.connect() as connection:
        return list(connection.scalars(text("select made_at from till.receipts")))


def test_a_demos_database_is_filled_once_and_named_by_its_variable(
    settings: Settings, prepared: Preparation, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    prepare_source(settings, prepared, said.append)
    made = receipts()
    assert len(made) == 1
    assert [f"{settings.business}_source" in line for line in said] == [False, True]

    prepare_source(settings, prepared, said.append)
    assert said[2:] == [f"Reading the database that {VARIABLE} names"]
    monkeypatch.delenv(VARIABLE)
    prepare_source(settings, prepared, said.append)
    assert receipts() == made, "it was filled again"
    drop(settings)


def test_a_module_that_fails_is_told_with_its_log(
    settings: Settings, prepared: Preparation
) -> None:
    with pytest.raises(ServerFailed, match="No module named no_such_module"):
        prepare_source(settings, Preparation(module="no_such_module", url=VARIABLE), print)
    assert VARIABLE not in os.environ
    drop(settings)


def drop(settings: Settings) -> None:
    _ensure_database.cache_clear()  # it remembers what exists
    name = f"{settings.business}_source"
    _administer(str(settings.database_url), f'drop database if exists "{name}" with (force)')
