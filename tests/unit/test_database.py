"""The embedded and the given PostgreSQL server, and the databases of a business."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tagline.database import DATABASES, database_url, open_database
from tagline.errors import DatabaseUnavailable, UnknownName
from tagline.settings import Settings

slow = pytest.mark.slow
USE = """
import sys
from tagline.database import database_url, server_url
from tagline.settings import Settings
print(database_url(Settings(), "registry"), flush=True)
print(server_url(Settings()), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tagline", dir="/tmp") as folder:
        yield Path(folder)


def start(home: Path) -> subprocess.Popen[str]:
    """A process that holds the embedded server of a home until its stdin ends."""
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("TAGLINE_") and key != "XDG_RUNTIME_DIR"
    }
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", USE],
        env=environment | {"TAGLINE_HOME": str(home), "TAGLINE_BUSINESS": "shop"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def url_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def end(process: subprocess.Popen[str]) -> None:
    process.communicate(timeout=30)
    assert process.returncode == 0


def answers(url: str) -> bool:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return bool(connection.scalar(text("select 1")))
    except Exception:
        return False
    finally:
        engine.dispose()


@slow
def test_processes_share_one_embedded_server_that_stops_with_the_last(home: Path) -> None:
    first, second = start(home), start(home)
    url = url_of(first)
    assert url == url_of(second)
    assert url.startswith("postgresql+psycopg2://postgres:@/shop_registry?host=/")
    end(first)
    assert answers(url)
    end(second)
    assert not answers(url)


@slow
def test_a_killed_process_does_not_keep_the_server_running(home: Path) -> None:
    killed = start(home)
    url = url_of(killed)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert answers(url)
    last = start(home)
    url_of(last)
    end(last)
    assert not answers(url)


@slow
def test_a_child_with_the_url_starts_no_server_of_its_own(home: Path, postgres_url: str) -> None:
    settings = Settings(home=home, business="child", database_url=postgres_url)
    assert answers(database_url(settings, "lake"))
    assert not (home / "pg").exists()


@slow
def test_a_long_home_still_gets_a_socket(home: Path) -> None:
    deep = home / ("a" * 60) / ("b" * 60)
    process = start(deep)
    url = url_of(process)
    assert answers(url)
    end(process)


@slow
def test_databases_are_created_once_by_many_at_once(settings: Settings) -> None:
    with ThreadPoolExecutor(8) as pool:
        urls = list(pool.map(lambda name: database_url(settings, name), DATABASES * 3))
    assert len(set(urls)) == len(DATABASES)
    assert all(answers(url) for url in set(urls))


@slow
def test_a_url_can_be_put_into_a_configuration_file(settings: Settings) -> None:
    assert "%" not in database_url(settings, "airflow")


@slow
def test_sessions_run_in_utc(settings: Settings) -> None:
    engine = open_database(settings, "profiles")
    with engine.connect() as connection:
        assert connection.scalar(text("show time zone")) == "UTC"
    engine.dispose()


def test_an_unknown_database_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'profiles'"):
        database_url(Settings(database_url="postgresql://nowhere/"), "profile")


@pytest.mark.parametrize("url", ["sqlite:///registry.db", "not a url"])
def test_a_server_that_is_not_postgresql_is_refused(url: str) -> None:
    with pytest.raises(DatabaseUnavailable, match="postgresql://user:password@host"):
        database_url(Settings(database_url=url), "registry")


def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    settings = Settings(database_url="postgresql://me:secret@127.0.0.1:9/")
    with pytest.raises(DatabaseUnavailable, match="does not answer") as caught:
        database_url(settings, "registry")
    assert "secret" not in str(caught.value)
