"""Sources: files and databases, read in constant memory into typed Parquet files."""

from __future__ import annotations

import os
import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tagline.definitions import FileSource
from tagline.definitions.source import SourceTable
from tagline.errors import TaglineError

if TYPE_CHECKING:
    from tagline.catalog import Catalog


@dataclass(frozen=True, order=True)
class Interval:
    """The instants from `start` to before `end`."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class Incoming:
    """Rows of a source table as they were found, in Parquet files of this machine."""

    source: str
    table: str
    definition: SourceTable
    timezone: str
    files: tuple[str, ...]
    text: bool = False  # staged from text files: columns are texts, rows have lines and faults
    watermark_at: datetime | None = None  # newest time known of the source beside these rows
    exact: bool = False  # the files hold the interval and nothing else: the rest is refused

    @property
    def name(self) -> str:
        """`source.table`, for messages."""
        return f"{self.source}.{self.table}"


class SourceReader(Protocol):
    """Reads the tables of one source."""

    def delivered(self, table: str, wanted: Interval) -> list[Interval]:
        """The parts of the interval that can be read now, in order."""

    def state(self, table: str) -> dict[str, str] | None:
        """What tells a delivery from the next: per file its version; None where unknown."""

    def read(
        self, table: str, interval: Interval | None, as_of: datetime, scratch: Path
    ) -> AbstractContextManager[Incoming]:
        """The rows of an interval (or more), or the snapshot; the files live for the block."""


def open_source(catalog: Catalog, source: str, home: Path | None = None) -> SourceReader:
    """The reader of a source by its definition; `home` is the folder of the deployment's state."""
    definition = catalog.sources[source]
    if isinstance(definition, FileSource):
        from tagline.sources.files import FileReader

        return FileReader(source, definition, catalog, home)
    from tagline.sources.sql import SqlReader

    return SqlReader(source, definition)


def expand_variables(text: str, where: str, example: str) -> str:
    """Replace `${VARIABLE}` by its value in the environment; the error gives an `example` of it."""

    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match[1])
        if found is None:
            raise TaglineError(
                f"{where} reads ${{{match[1]}}}, which is not set. Set it in the "
                f"environment, for example to {example}."
            )
        return found

    return re.sub(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}", value, text)
