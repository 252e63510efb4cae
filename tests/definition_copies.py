"""Copies of the project's definitions, for tests that change them."""

from __future__ import annotations

import shutil
from pathlib import Path

from tagline.settings import PROJECT


def copied_definitions(to: Path) -> Path:
    """A copy, without the core's code, in a folder that is not there yet; that folder."""
    without = shutil.ignore_patterns("tagline", "*.egg-info", "__pycache__")
    return Path(shutil.copytree(PROJECT / "include", to, ignore=without))
