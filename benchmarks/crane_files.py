"""The crane maker's systems as deliveries of Parquet files, and its definitions reading them.

The tables are exported whole each day, as a CRM of that size would be: `systems/<system>/<table>`
holds them as they stand. Readings come as a file per day, `readings/<day>.parquet`, by the business
day on which they were received.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as parquet
import yaml
from examples.crane_works.parameters import Parameters, day_number
from examples.crane_works.parquet_files import ParquetFolder, without_truth
from examples.crane_works.systems import READINGS
from examples.crane_works.world import Part, simulate

LOCATION = "BENCHMARK_CRANES"
ZONE = ZoneInfo("Asia/Shanghai")
_FIRST, _SECOND, _NOW = "first", "second", "systems"
_LATER = "later.parquet"


@dataclass(frozen=True)
class CraneFiles:
    """The files of a simulated company of which the last day has not been delivered yet."""

    folder: Path
    parameters: Parameters

    @property
    def last_day(self) -> date:
        """The day that is delivered after all others."""
        end = self.parameters.start.replace(year=self.parameters.start.year + self.parameters.years)
        return end - timedelta(days=1)

    def write(self) -> int:
        """Simulate, once, and deliver all days but the last; the number of readings."""
        done = self.folder / "readings.txt"
        if not done.exists():
            shutil.rmtree(self.folder, ignore_errors=True)
            self._write_systems(_FIRST, simulate(self.parameters, day_number(self.last_day)))
            parts = simulate(self.parameters)
            readings = self._write_systems(_SECOND, parts)
            rows = _write_readings(self.folder / "readings", readings)
            self._held_back(self.last_day).rename(self.folder / _LATER)
            (self.folder / _FIRST).rename(self.folder / _NOW)
            done.write_text(f"{rows}\n", "utf-8")
        return int(done.read_text("utf-8"))

    def deliver_last_day(self) -> None:
        """The tables as they stand a day later, and the readings of that day, once."""
        if (self.folder / _SECOND).exists():
            shutil.rmtree(self.folder / _NOW, ignore_errors=True)
            (self.folder / _SECOND).rename(self.folder / _NOW)
        if (self.folder / _LATER).exists():
            (self.folder / _LATER).rename(self._held_back(self.last_day))

    def _held_back(self, day: date) -> Path:
        return self.folder / "readings" / f"{day}.parquet"

    def _write_systems(self, name: str, parts: Iterator[Part]) -> Iterator[Part]:
        """Write all tables but the readings; what begins with them is left to be read."""
        visible = without_truth(parts, None)
        with ParquetFolder(self.folder / name) as folder:
            for part in visible:
                if part.table is READINGS:
                    return _from(part, visible)
                folder.write(part)
        return iter(())


def _from(first: Part, others: Iterator[Part]) -> Iterator[Part]:
    yield first
    yield from others


def _write_readings(folder: Path, parts: Iterator[Part]) -> int:
    """A file per day on which readings were received, in the order in which they came."""
    folder.mkdir(parents=True)
    rows, month = 0, ""
    gathered: list[pa.Table] = []
    waiting = READINGS.schema.empty_table()
    for part in parts:
        if part.label != month and gathered:
            rows += sum(table.num_rows for table in gathered)
            waiting = _write_days(folder, pa.concat_tables([waiting, *gathered]), part.label)
            gathered = []
        month = part.label
        gathered.append(part.rows)
    rows += sum(table.num_rows for table in gathered)
    _write_days(folder, pa.concat_tables([waiting, *gathered]), None)
    return int(rows)


def _write_days(folder: Path, readings: pa.Table, month: str | None) -> pa.Table:
    """Write the days before a month (all, without one); the readings that came later."""
    order = pc.sort_indices(readings["received_at"].combine_chunks())  # stable
    readings = readings.take(order).combine_chunks()
    received = readings["received_at"].to_numpy().astype("datetime64[us]")
    start, end = 0, len(received)
    if month is not None:
        end = int(np.searchsorted(received, _midnight(date.fromisoformat(f"{month}-01"))))
    while start < end:
        day = received[start].item().replace(tzinfo=UTC).astimezone(ZONE).date()
        stop = int(np.searchsorted(received, _midnight(day + timedelta(days=1))))
        rows = readings.slice(start, stop - start)
        parquet.write_table(rows, folder / f"{day}.parquet", compression="zstd")
        start = stop
    return readings.slice(end)


def _midnight(day: date) -> np.datetime64:
    local = datetime(day.year, day.month, day.day, tzinfo=ZONE)
    return np.datetime64(local.astimezone(UTC).replace(tzinfo=None), "us")


def write_definitions(include: Path, target: Path) -> None:
    """The project's definitions, with the crane maker's sources read from files."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(include, target, ignore=shutil.ignore_patterns("tagline*", "__pycache__"))
    for path in sorted((target / "sources").glob("crane_*.yaml")):
        path.write_text(yaml.safe_dump(_as_files(yaml.safe_load(path.read_text("utf-8")))), "utf-8")


def _as_files(source: dict[str, Any]) -> dict[str, Any]:
    """A source of a database as one of files of the same tables."""
    source = {key: value for key, value in source.items() if key != "url"}
    source |= {"type": "files", "location": f"${{{LOCATION}}}"}
    for definition in source["tables"].values():
        table = definition.pop("table")
        definition["path"] = f"systems/{table.replace('.', '/')}/*.parquet"
        if table == READINGS.path:
            definition["path"] = "readings/{date}.parquet"
    return source
