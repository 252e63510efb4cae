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
CALLS = """
import json, sys
from tagline.cli import main
for call in json.loads(sys.argv[1]):
    try:
        main(call)
    except SystemExit as ended:
        if ended.code:
            raise
"""
FIRST, SECOND = "2017-01-10", "2017-01-11"
AUDIENCE = "order_count_90d >= 2"


class Deployment:
    """The grocer in a home of its own, with its embedded PostgreSQL, by the command line alone."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.folder = folder
        own = {"TAGLINE_HOME": str(self.home), "TAGLINE_BUSINESS": "grocer"}
        self.environment = os.environ | own
        self.environment.pop("TAGLINE_DATABASE_URL", None)

    def start(self, *calls: Sequence[str]) -> subprocess.Popen[str]:
        """One process that gives these commands one after the other."""
        pipe = subprocess.PIPE
        command = [sys.executable, "-c", CALLS, json.dumps(calls)]
        return subprocess.Popen(command, env=self.environment, stdout=pipe, stderr=pipe, text=True)

    def fails(self, *call: str) -> str:
        """What a command says that is refused."""
        process = self.start(call)
        _, said = process.communicate()
        assert process.returncode == 1, said
        return said

    def json(self, *calls: Sequence[str]) -> list[Any]:
        """The documents of commands that succeed."""
        return finish(self.start(*([*call, "--json"] for call in calls)))

    def looks(self) -> list[Sequence[str]]:
        """The commands that show everything that readers see of the live release."""
        target = str(self.folder / "live.parquet")
        audience = ["audience", AUDIENCE, "--ids"]
        return [["releases"], ["profile", "1"], audience, ["export", target]]

    def seen(self, documents: Sequence[Any]) -> dict[str, Any]:
        """What these commands said, without what differs from look to look."""
        releases, profile, audience, _ = documents
        del audience["milliseconds"]
        for each in releases["releases"]:
            del each["outdated_from"]  # the run under way may have brought rows of earlier days
        export = self.exported("live.parquet")
        return {"releases": releases, "profile": profile, "audience": audience, "export": export}

    def exported(self, name: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = parquet.read_table(self.folder / name).to_pylist()
        return sorted(rows, key=lambda row: row["customer_id"])


def finish(process: subprocess.Popen[str]) -> list[Any]:
    out, said = process.communicate()
    assert process.returncode == 0, said
    documents, decoder = [], json.JSONDecoder()
    while out := out.lstrip():
        document, end = decoder.raw_decode(out)
        documents.append(document)
        out = out[end:]
    return documents


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
    backup = str(grocer.folder / "backup")
    export = ["export", str(grocer.folder / "second.parquet"), "--as-of", SECOND]
    before = grocer.seen(grocer.json(["run", "--as-of", FIRST], *grocer.looks())[1:])

    there = files(grocer.home / "lake")
    run = grocer.start(["run", "--as-of", SECOND, "--json"], [*export, "--json"])
    wait_for_more_files(grocer.home / "lake", there, run)
    (made,) = grocer.json(["backup", backup])
    assert made["has_lake"]
    assert set(made["databases"]) >= {"registry", "lake", "profiles"}
    undisturbed, _ = finish(run)
    assert undisturbed["status"] == "released"
    second = grocer.exported("second.parquet")
    assert f"{grocer.home} is not empty" in grocer.fails("restore", backup)

    shutil.rmtree(grocer.home)
    restored, health, *looked = grocer.json(["restore", backup], ["doctor"], *grocer.looks())
    assert restored == made
    assert health["fault"] == 0
    after = grocer.seen(looked)
    if ids(after["releases"]) == ids(before["releases"]):
        assert after == before
    else:  # the run was done before the backup began
        assert after["export"] == second

    again, _ = grocer.json(["run", "--as-of", SECOND], export)
    assert again["status"] == "released"
    assert again["customers"] == undisturbed["customers"]
    assert grocer.exported("second.parquet") == second


def test_a_backup_without_its_last_file_is_refused(grocer: Deployment) -> None:
    backup = grocer.folder / "backup"
    (backup / "databases").mkdir(parents=True)
    assert "no whole backup" in grocer.fails("restore", str(backup))
    assert "nothing to back up" in grocer.fails("backup", str(grocer.folder / "new"))
    assert not grocer.home.exists()
