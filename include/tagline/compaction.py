"""Compaction: the small files of a month become one, so that readers open few."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tagline.engines import Engine, Relation
from tagline.storage import remove

if TYPE_CHECKING:
    from tagline.lake import Lake, StoredFile

SMALL = 64 * 1024 * 1024  # bytes; a larger file is left alone
FEWEST = 8  # small files of a month; fewer are not worth writing anew


@dataclass(frozen=True)
class Compacted:
    """How many files of a table became how many."""

    before: int = 0
    after: int = 0


def compact(lake: Lake, engine: Engine, table: str, at: datetime) -> Compacted:
    """Write together a clean table's small files of each month before `at`'s, a commit each.

    The rows stay what they are, in order of valid_at. Files of before are not removed, since
    readers and backups may be at them; a kill leaves a file that no table names. The caller
    holds the lock of the table's cleaning, whose last commit must be finished.
    """
    before = after = 0
    for name in (f"clean.{table}", f"clean.{table}__superseded"):
        for files in _months(lake.files(name, "valid_at"), at):
            target = lake.new_file(name)
            old = [file.path for file in files]
            engine.write(
                "SELECT * FROM small ORDER BY valid_at, loaded_at",
                {"small": Relation(tuple(old))},
                target,
            )
            if lake.exchange(name, old, [target]):
                before, after = before + len(old), after + 1
            else:
                remove(target)
    return Compacted(before, after)


def _months(files: list[StoredFile], at: datetime) -> list[list[StoredFile]]:
    """Small files that belong together: of one partition and of one month that is over."""
    found: dict[tuple[str, int, int], list[StoredFile]] = {}
    present = at.astimezone(UTC)
    for file in sorted(files, key=lambda each: each.path):
        if file.lowest is None or file.bytes > SMALL:
            continue
        month = (file.lowest.year, file.lowest.month)
        if month < (present.year, present.month):
            found.setdefault((file.partition, *month), []).append(file)
    return [group for group in found.values() if len(group) >= FEWEST]
