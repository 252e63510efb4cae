"""The files of a home into a backup and back; files of the lake are never changed once written."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tagline.backup.dumps import BackupRefused

# of a home: the server's own files are dumped, the rest is made anew
LEFT_OUT = frozenset(
    {"pg", "scratch", "duckdb_tmp", "logs", "servers.lock", "airflow/logs", "lake/derived"}
)


@dataclass(frozen=True)
class Copied:
    """How much was copied."""

    files: int = 0
    bytes: int = 0

    def __add__(self, other: Copied) -> Copied:
        return Copied(self.files + other.files, self.bytes + other.bytes)


def copy_tree(source: Path, target: Path, without: Iterable[str] = ()) -> Copied:
    """Copy all files below a folder; those that vanish meanwhile are named by nothing.

    A file that is there already with the same size is not copied again.
    """
    left_out = {source / name for name in without}
    made = Copied()
    for path in _files(source, left_out):
        goal = target / path.relative_to(source)
        try:
            made += copy_file(path, goal)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise BackupRefused(f"{goal} cannot be written: {error.strerror}") from error
    return made


def copy_file(path: Path, goal: Path) -> Copied:
    """Copy one file, unless it is there with the same size."""
    size = path.stat().st_size
    if goal.is_file() and goal.stat().st_size == size:
        return Copied()
    goal.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, goal)
    return Copied(1, size)


def _files(folder: Path, left_out: set[Path]) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
    except FileNotFoundError:
        return
    for path in entries:
        if path in left_out or path.is_symlink():
            continue
        if path.is_dir():
            yield from _files(path, left_out)
        elif path.is_file():
            yield path
