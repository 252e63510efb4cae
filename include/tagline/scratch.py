"""Scratch folders: each held by its process, and swept by the next one once that is dead."""

from __future__ import annotations

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tagline.settings import Settings


@contextmanager
def scratch_folder(settings: Settings, name: str) -> Iterator[Path]:
    """An empty folder in the home for the block; see `held_folder`."""
    with held_folder(settings.home_path / "scratch", name) as folder:
        yield folder


@contextmanager
def held_folder(root: Path, name: str) -> Iterator[Path]:
    """An empty folder for the block; what killed processes left beside it is removed first.

    A folder is locked by its process for as long as that lives, so a folder that can be locked
    has no owner any more. Where the file system knows no locks, nothing is swept.
    """
    root.mkdir(parents=True, exist_ok=True)
    folder, lock = _made(root, name)
    try:
        _sweep(root)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _made(root: Path, name: str) -> tuple[Path, int]:
    """A new folder and its lock."""
    while True:
        folder = root / f"{name}-{uuid.uuid4().hex[:12]}"
        folder.mkdir()
        try:
            lock = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:  # swept before it was locked
            continue
        swept = False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:  # another process has it to remove it
            swept = True
        except OSError:  # the file system knows no locks
            pass
        if folder.exists() and not swept:
            return folder, lock
        os.close(lock)


def _sweep(root: Path) -> None:
    for folder in root.iterdir():
        if not folder.is_dir():
            continue
        try:
            lock = os.open(folder, os.O_RDONLY)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue
        else:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)
