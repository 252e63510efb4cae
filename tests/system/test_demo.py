"""`make demo ONCE=1` on a fresh home, as a stranger would see it; two days of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from tests.system.demos import fresh_home, shown_by_demo

from tagline.database import database_url
from tagline.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
DAYS = range(25, 27)  # of December 2017


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with fresh_home() as folder:
        yield folder


@pytest.fixture(scope="module")
def shown(home: Path) -> str:
    """What the demo prints, of two days instead of seven."""
    return shown_by_demo(home, "grocer", len(DAYS))


def test_the_demo_shows_a_line_per_day_and_the_model_against_the_rule(shown: str) -> None:
    for day in DAYS:
        line = next(line for line in shown.splitlines() if f" 2017-12-{day} " in line)
        assert re.search(r"2,4\d\d", line), line
        assert re.search(r"pass|warn", line), line
    assert re.search(
        rf"lapse_risk as of 2017-12-{DAYS[0]}: accepted, holdout ROC AUC 0\.\d+", shown
    )
    assert f"Tags by dimension as of 2017-12-{DAYS[-1]}" in shown
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
