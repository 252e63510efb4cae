"""Scratch folders: kept while their process lives, swept by the next one after a kill."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tagline.scratch import scratch_folder
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
