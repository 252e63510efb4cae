"""`make demo ONCE=1` on a fresh home, as a stranger would see it; two days of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tagline.database import database_url
from tagline.settings import PROJECT, Settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
DAYS = range(25, 27)  # of December 2017


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A fresh home with a short path, for the sake of its socket."""
    folder = Path(tempfile.mkdtemp(prefix="tl", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def definitions(home: Path) -> Path:
    """The project's definitions, but for a demo of two days instead of seven."""
    folder = home / "include"
    without = shutil.ignore_patterns("tagline", "*.egg-info", "__pycache__")
    shutil.copytree(PROJECT / "include", folder, ignore=without)
    grocer = folder / "businesses" / "grocer.yaml"
    text = grocer.read_text("utf-8")
    grocer.write_text(re.sub(r"(demo: .*days: )7", rf"\g<1>{len(DAYS)}", text), "utf-8")
    assert grocer.read_text("utf-8") != text
    return folder


@pytest.fixture(scope="module")
def shown(home: Path, definitions: Path) -> str:
    """What the demo prints, once it has ended well."""
    here = {"TAGLINE_HOME": str(home), "TAGLINE_DEFINITIONS": str(definitions)}
    done = subprocess.run(
        [sys.executable, "-m", "tagline.servers", "demo", "--once"],
        cwd=PROJECT,
        env=os.environ | here | {"COLUMNS": "160"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_demo_shows_a_line_per_day_and_the_model_against_the_rule(shown: str) -> None:
    for day in DAYS:
        line = next(line for line in shown.splitlines() if f" 2017-12-{day} " in line)
        assert re.search(r"2,4\d\d", line), line
        assert re.search(r"pass|warn", line), line
    assert re.search(
        rf"lapse_risk as of 2017-12-{DAYS[0]}: accepted, holdout ROC AUC 0\.\d+", shown
    )
    assert re.search(r"the plain rule's 0\.\d{3} \(0\.\d{3} to 0\.\d{3}\)", shown)


def test_the_demo_says_where_to_look_and_how_to_sign_in(shown: str) -> None:
    assert re.search(r"Airflow +http://127\.0\.0\.1:\d+ +user admin, password \w+", shown)
    assert re.search(r"MLflow +http://127\.0\.0\.1:\d+", shown)


def test_all_days_are_success_in_airflows_own_database(shown: str, home: Path) -> None:
    engine = create_engine(database_url(Settings(home=home), "airflow"))
    with engine.connect() as connection:
        query = "select run_type, state from dag_run where dag_id = 'customer_tags'"
        rows = connection.execute(text(query)).all()
    engine.dispose()
    assert [tuple(row) for row in rows] == [("backfill", "success")] * len(DAYS)


def test_the_demo_leaves_no_process_behind(shown: str, home: Path) -> None:
    import psutil

    left = [
        process.info["cmdline"]
        for process in psutil.process_iter(["cmdline", "environ"])
        if (process.info["environ"] or {}).get("TAGLINE_HOME") == str(home)
    ]
    assert left == []
