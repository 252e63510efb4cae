"""Back up in the middle of a run, lose everything, restore: live is as before, and days go on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
CALL = [sys.executable, "-c", "from tagline.cli import main; main()"]
FIRST, SECOND = "2017-01-10", "2017-01-11"
AUDIENCE = "order_count_90d >= 2"


class Deployment:
    """The grocer in a home of its own, with its embedded PostgreSQL, by the command line alone."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.folder = folder
        names = {
            name: value for name, value in os.environ.items() if name != "TAGLINE_DATABASE_URL"
        }
        self.environment = names | {"TAGLINE_HOME": str(self.home), "TAGLINE_BUSINESS": "grocer"}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [*CALL, *arguments], env=self.environment, stdout=pipe, stderr=pipe, text=True
        )

    def fails(self, *arguments: str) -> str:
        """What a call says that is refused."""
        process = self.start(*arguments)
        _, said = process.communicate()
        assert process.returncode == 1, said
        return said

    def json(self, *arguments: str) -> Any:
        """The document of a call that succeeds."""
        return finish(self.start(*arguments, "--json"))

    def state(self) -> dict[str, Any]:
        """Everything that readers see of the live release."""
        audience = self.json("audience", AUDIENCE, "--ids")
        del audience["milliseconds"]
        releases = self.json("releases")
        for each in releases["releases"]:
            del each["outdated_from"]  # the run under way may have brought rows of earlier days
        return {
            "releases": releases,
            "profile": self.json("profile", "1"),
            "audience": audience,
            "export": self.export(),
        }

    def export(self, *options: str) -> list[dict[str, Any]]:
        file = self.folder / "export.parquet"
        self.json("export", str(file), *options)
        rows: list[dict[str, Any]] = parquet.read_table(file).to_pylist()
        return sorted(rows, key=lambda row: row["customer_id"])


def finish(process: subprocess.Popen[str]) -> Any:
    out, said = process.communicate()
    assert process.returncode == 0, said
    return json.loads(out)


@pytest.fixture
def grocer() -> Iterator[Deployment]:
    folder = Path(tempfile.mkdtemp(prefix="tlb", dir="/tmp"))  # a socket path must be short
    yield Deployment(folder)
    shutil.rmtree(folder)


def files(folder: Path) -> int:
    return sum(1 for path in folder.rglob("*.parquet"))


def wait_for_more_files(folder: Path, than: int, run: subprocess.Popen[str]) -> None:
    while files(folder) <= than and run.poll() is None:
        time.sleep(0.05)


def ids(listed: dict[str, Any]) -> Sequence[int]:
    return [each["release"] for each in listed["releases"]]


def test_live_is_as_before_after_everything_was_lost(grocer: Deployment) -> None:
    backup = grocer.folder / "backup"
    grocer.json("run", "--as-of", FIRST)
    before = grocer.state()

    run = grocer.start("run", "--as-of", SECOND, "--json")
    wait_for_more_files(grocer.home / "lake", files(grocer.home / "lake"), run)
    made = grocer.json("backup", str(backup))
    assert made["has_lake"]
    assert set(made["databases"]) >= {"registry", "lake", "profiles"}
    undisturbed = finish(run)
    assert undisturbed["status"] == "released"
    second = grocer.export("--as-of", SECOND)

    refused = grocer.fails("restore", str(backup))
    assert f"{grocer.home} is not empty" in refused

    shutil.rmtree(grocer.home)
    assert grocer.json("restore", str(backup)) == made
    assert grocer.json("doctor")["fault"] == 0
    restored = grocer.state()
    if ids(restored["releases"]) == ids(before["releases"]):
        assert restored == before
    else:  # the run was done before the backup began
        assert restored["export"] == second

    again = grocer.json("run", "--as-of", SECOND)
    assert again["status"] == "released"
    assert again["customers"] == undisturbed["customers"]
    assert grocer.export("--as-of", SECOND) == second


def test_a_backup_without_its_last_file_is_refused(grocer: Deployment) -> None:
    backup = grocer.folder / "backup"
    (backup / "databases").mkdir(parents=True)
    assert "no whole backup" in grocer.fails("restore", str(backup))
    assert "nothing to back up" in grocer.fails("backup", str(grocer.folder / "new"))
    assert not grocer.home.exists()
