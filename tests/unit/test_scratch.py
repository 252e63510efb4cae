"""Scratch folders: kept while their process lives, swept by the next one after a kill."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tagline.scratch import held_folder, scratch_folder
from tagline.settings import Settings

HOLD = """
import sys
from pathlib import Path
from tagline.scratch import scratch_folder
from tagline.settings import Settings

with scratch_folder(Settings(home=Path(sys.argv[1])), "held") as folder:
    (folder / "rows").write_text("x")
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_swept_once_its_process_was_killed_and_not_before(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        held = Path(holder.stdout.readline().strip())
        with scratch_folder(Settings(home=tmp_path), "mine") as mine:
            assert held.is_dir()
            assert mine.is_dir()
        holder.kill()
    with scratch_folder(Settings(home=tmp_path), "next"):
        assert not held.exists()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_folder_that_another_process_is_about_to_remove_is_not_handed_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept: list[tuple[str, int]] = []
    opening = os.open

    def open_late(path: Path, flags: int) -> int:
        if not swept:  # the sweeper was at the new folder between its making and its lock
            swept.append((str(path), opening(path, flags)))
            fcntl.flock(swept[0][1], fcntl.LOCK_EX)
        return opening(path, flags)

    monkeypatch.setattr(os, "open", open_late)
    with held_folder(tmp_path, "rows") as folder:
        assert str(folder) != swept[0][0]
        assert folder.is_dir()
    os.close(swept[0][1])
