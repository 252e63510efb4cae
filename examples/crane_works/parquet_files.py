"""Parts as Parquet files: a folder per system, a folder per table, a file per block or month."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow.parquet as parquet
from examples.crane_works.world import Part


class ParquetFolder:
    """Writes parts to `folder/system/table/label.parquet`; a file is open while its label lasts.

    Use it as a context manager, and give it the parts in the order in which they are made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._label = ""
        self._writers: dict[str, parquet.ParquetWriter] = {}

    def __enter__(self) -> ParquetFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def write(self, part: Part) -> None:
        """Add the part's rows to its file; a file of an earlier run is replaced."""
        if part.label != self._label:
            self._close()
            self._label = part.label
        writer = self._writers.get(part.table.path)
        if writer is None:
            file = self._folder / part.table.system / part.table.name / f"{part.label}.parquet"
            file.parent.mkdir(parents=True, exist_ok=True)
            writer = parquet.ParquetWriter(file, part.table.schema, compression="zstd")
            self._writers[part.table.path] = writer
        writer.write_table(part.rows)

    def _close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()


def without_truth(parts: Iterable[Part], truth: Path | None) -> Iterator[Part]:
    """The parts of the systems; those of the truth go to a folder of their own, or nowhere."""
    with ParquetFolder(truth or Path()) as folder:
        for part in parts:
            if part.table.system != "truth":
                yield part
            elif truth is not None:
                folder.write(part)
