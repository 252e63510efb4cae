"""What a benchmark found, as one JSON document per benchmark in `benchmarks/results`."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import psutil
from pydantic import BaseModel, ConfigDict, Field

FOLDER = Path(__file__).with_name("results")
_PACKAGES = ("tagline", "duckdb", "pyarrow", "pandas", "great-expectations", "apache-airflow")
Cell = float | int | str | None
Row = dict[str, Cell]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Machine(_Record):
    """What of the machine decides how fast it is; nothing that names it."""

    cores: int
    memory_gb: float
    system: str
    python: str


class Line(_Record):
    """One figure with the most (or least) that it should be; `reference` is what it is against."""

    key: str
    what: str
    measured: float | None  # None where nothing was measured, as `remark` says
    unit: Literal["×", "s", "ms"]
    target: float | None = None
    at: Literal["most", "least"] = "most"
    reference: str | None = None
    remark: str | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without a target or a figure."""
        if self.target is None or self.measured is None:
            return None
        return self.measured <= self.target if self.at == "most" else self.measured >= self.target


class Results(_Record):
    """All that one benchmark found; `command` repeats it, `sizes` are its numbers of things."""

    name: str
    title: str
    description: str
    command: str
    measured_on: date
    seed: int | None
    sizes: dict[str, int]
    machine: Machine
    versions: dict[str, str]
    lines: tuple[Line, ...] = ()
    tables: dict[str, tuple[Row, ...]] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """Where the document lies."""
        return FOLDER / f"{self.name}.json"

    def save(self) -> None:
        """Write the document, in place of an earlier one of the same name."""
        FOLDER.mkdir(exist_ok=True)
        self.path.write_text(self.model_dump_json(indent=1) + "\n", "utf-8")


def load(name: str) -> Results | None:
    """What a benchmark found when it last ran, None if it never did."""
    path = FOLDER / f"{name}.json"
    return Results.model_validate_json(path.read_text("utf-8")) if path.exists() else None


def load_all() -> list[Results]:
    """All documents, by name."""
    found = [load(path.stem) for path in sorted(FOLDER.glob("*.json"))]
    return [each for each in found if each is not None]


def this_machine() -> Machine:
    """Facts about the machine of this process."""
    return Machine(
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else _cores(),
        memory_gb=round(psutil.virtual_memory().total / 2**30, 1),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
    )


def versions(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Versions of the packages that decide how fast Tagline is, and of `more`."""
    return {**{name: version(name) for name in _PACKAGES}, **(more or {})}


def clock() -> datetime:
    """The wall clock, which only this edge reads."""
    return datetime.now(UTC)


def today() -> date:
    """The present day in UTC."""
    return clock().date()


def merged(rows: Sequence[Row], new: Row, keys: Sequence[str]) -> tuple[Row, ...]:
    """The rows with a new one in the place of that with the same keys, in order of the keys."""
    same = [new.get(key) for key in keys]
    kept = [row for row in rows if [row.get(key) for key in keys] != same]
    return tuple(sorted([*kept, new], key=lambda row: [_order(row.get(key)) for key in keys]))


def _order(cell: Cell) -> tuple[bool, float, str]:
    number = float(cell) if isinstance(cell, int | float) else 0.0
    return (isinstance(cell, str), number, str(cell))


def _cores() -> int:
    return os.cpu_count() or 1
