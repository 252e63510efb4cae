"""Airflow reads each DAG file again and again: it must be quick and import nothing heavy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tagline.settings import PROJECT

pytestmark = pytest.mark.slow
FILES = sorted((PROJECT / "dags").glob("*.py"))
HEAVY = (
    "great_expectations",
    "mlflow",
    "sklearn",
    "pyspark",
    "pandas",
    "matplotlib",
    "duckdb",
    "pyiceberg",
)
READ = """
import json, runpy, sys, time
import airflow.settings
from airflow.dag_processing import dagbag
from airflow.sdk import BaseOperator, TaskGroup
sys.path.insert(0, sys.argv[2])
before = set(sys.modules)
began = time.process_time()  # others may be busy on this machine
runpy.run_path(sys.argv[1])
seconds = time.process_time() - began
print(json.dumps({"seconds": seconds, "modules": sorted(set(sys.modules) - before)}))
"""


def parse(path: Path) -> dict[str, object]:
    """Run a DAG file in a process of its own, after importing Airflow."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", READ, str(path), str(PROJECT / "plugins")],
        env=os.environ | {"PYTHONPATH": str(PROJECT / "include")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_dag_file_parses_quickly_and_imports_nothing_heavy(path: Path) -> None:
    found = parse(path)
    assert isinstance(found["modules"], list)
    heavy = {module.partition(".")[0] for module in found["modules"]} & set(HEAVY)
    assert not heavy, f"{path.name} imports {heavy}: import them inside the task's function"
    assert isinstance(found["seconds"], float)
    assert found["seconds"] < 1


def test_a_business_without_an_end_is_scheduled_every_midnight_in_its_time_zone() -> None:
    from datetime import date, datetime
    from zoneinfo import ZoneInfo

    from tagline_airflow.calendar import BusinessCalendar

    schedule = BusinessCalendar("shop", "Asia/Shanghai", date(2026, 1, 1), None).daily()
    assert schedule["start_date"] == datetime(2026, 1, 1, tzinfo=ZoneInfo("Asia/Shanghai"))
    assert schedule["end_date"] is None
    assert not schedule["catchup"]
