"""`make demo ONCE=1` on a fresh home and a copy of the definitions, as a stranger would see it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.definition_copies import copied_definitions

from tagline.settings import PROJECT


@contextmanager
def fresh_home() -> Iterator[Path]:
    """A fresh home with a short path, for the sake of its socket."""
    folder = Path(tempfile.mkdtemp(prefix="tl", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def shown_by_demo(home: Path, business: str, days: int) -> str:
    """What the demo prints, of so many days in place of the business's own; it has ended well."""
    folder = home / "include"
    copied_definitions(folder)
    file = folder / "businesses" / f"{business}.yaml"
    text = file.read_text("utf-8")
    changed, count = re.subn(r"(?s)(\ndemo:.*?days: )\d+", rf"\g<1>{days}", text)
    assert count == 1
    file.write_text(changed, "utf-8")
    here = {
        "TAGLINE_HOME": str(home),
        "TAGLINE_DEFINITIONS": str(folder),
        "TAGLINE_BUSINESS": business,
        "COLUMNS": "160",
    }
    done = subprocess.run(
        [sys.executable, "-m", "tagline.servers", "demo", "--once"],
        cwd=PROJECT,
        env=os.environ | here,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
