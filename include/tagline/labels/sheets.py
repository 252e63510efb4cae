"""Sheets: the CSV files that people fill in, for the queue and for adjudicators."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tagline.errors import WrongUsage
from tagline.storage import appearing_whole

COLUMNS = ("label_set", "customer_key", "about_at", "why", "value", "judged_by", "judged_at")


def require_new(path: Path) -> None:
    """Raise WrongUsage where something lies at `path`: it may be a sheet that was filled in."""
    if path.is_dir():
        raise WrongUsage(f"--csv {path} is a folder; name a new file in it")
    if path.exists():
        raise WrongUsage(f"--csv {path} exists, and may hold answers; name a new file")


def write_sheet(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a new sheet as CSV in UTF-8, marked as such so that Excel shows Chinese.

    WrongUsage where a file is there already, or none can be written.
    """
    require_new(path)
    target = path.absolute()
    try:
        with (
            appearing_whole(str(target), str(target.parent)) as unfinished,
            Path(unfinished).open("w", encoding="utf-8-sig", newline="") as file,
        ):
            writer = csv.writer(file)
            writer.writerow(header)
            writer.writerows(rows)
    except OSError as error:
        raise WrongUsage(
            f"--csv {path} cannot be written: {error.strerror}; name a file in a folder of yours"
        ) from error
