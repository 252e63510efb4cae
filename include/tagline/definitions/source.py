"""The shape of `sources/<source>.yaml`: where data comes from and what it should look like."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field

from tagline.definitions.types import DataType, Definition, Duration, Names, Sentence, Slug


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is not an IANA time zone such as 'Europe/London'") from error
    return name


TimeZoneName = Annotated[str, AfterValidator(_known_zone)]

_DIRECTIVES = frozenset("YymdjbBaAHIMSfpz%")
_OF_A_DAY = ({"Y", "y"}, {"m", "b", "B", "j"}, {"d", "j"})


def _known_format(text: str) -> str:
    """A format of which the engine makes a day at least."""
    written = re.findall(r"%-?(.?)", text)
    for letter in written:
        if letter not in _DIRECTIVES:
            known = " ".join(f"%{each}" for each in sorted(_DIRECTIVES - {"%"}))
            raise ValueError(f"{text!r}: %{letter} is not known; known are {known}")
    if not all(part & set(written) for part in _OF_A_DAY):
        raise ValueError(f"{text!r} tells no day; write for example '%d/%m/%Y %H:%M'")
    return text


TimeFormat = Annotated[str, AfterValidator(_known_format)]


class SourceTable(Definition):
    """One table of a source.

    With `time`, it is extracted by intervals of that column (a row belongs to the interval that
    holds its time); without, each extraction reads a whole snapshot.

    With `lookback`, the SQL of an interval also sees the rows of so long before it, to judge a row
    by those that came earlier; what it returns for them is left out. A new snapshot of an
    `append_only` table is read with the intervals that come with it or later, and does not have
    those cleaned again that were cleaned before.
    """

    columns: dict[str, DataType] = Field(min_length=1)
    time: str | None = None
    late_by: Duration = Field(  # rows may still come, change or go this long before the last day
        default="0 days", validate_default=True
    )
    idle: Duration = Field(  # a day is covered when rows reach within this of its end
        default="6 hours", validate_default=True
    )
    lookback: Duration = Field(  # how long before an interval the rows lie that its SQL sees, too
        default="0 days", validate_default=True
    )
    append_only: bool = False  # without time: rows are added, and mean the same ever after


class FileTable(SourceTable):
    """A table in files: `path` under the source's location, may hold `*` or `{date}`.

    Files of one table may differ: `aliases` are other names that files give a column, `accepts`
    other types that they store it as; each value is then cast, and one that does not fit goes to
    quarantine as unparsable. `file_column` is a declared text column that no file has: it holds
    the name of the row's file. Of an `optional` one there may be no file yet: then it has no rows.
    Texts among `nulls` say nothing, like blank ones. `formats` say how files write the dates and
    instants of a column, in the directives of strptime; the first that fits a text is taken.
    """

    path: str = Field(min_length=1)
    format: Literal["parquet", "csv"] | None = None  # by the file's ending when not given
    aliases: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    accepts: dict[str, tuple[DataType, ...]] = Field(default_factory=dict)
    file_column: str | None = None
    optional: bool = False
    nulls: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    formats: dict[str, tuple[TimeFormat, ...]] = Field(default_factory=dict)


class SqlTable(SourceTable):
    """A table of a database; `time` is the cursor column of incremental reads."""

    table: str = Field(min_length=1)  # schema.table or table


class SourceDefinition(Definition):
    """What every source declares."""

    name: Names
    description: Sentence
    timezone: TimeZoneName = "UTC"  # of its naive timestamps
    timeout: Duration = Field(  # a read ends when nothing has come for this long; then a retry
        default="5 minutes", validate_default=True
    )
    feeds: dict[Slug, Literal["interval", "snapshot"]] = Field(min_length=1)
    """Canonical tables that it fills, each by sql/sources/<source>/<table>.sql.

    interval: the SQL sees the rows of the loaded intervals and returns all rows whose valid_at
    lies in them. snapshot: it sees all rows and returns the whole table.
    """


class FileSource(SourceDefinition):
    """Files under a local folder, an installed package (`package://name/folder`) or a URL.

    `home://folder` is a folder of this deployment's state, which is part of its backups.
    """

    type: Literal["files"]
    location: str = Field(min_length=1)  # ${VARIABLE} is read from the environment
    tables: dict[Slug, FileTable] = Field(min_length=1)


class SqlSource(SourceDefinition):
    """A database by SQLAlchemy URL or Airflow connection (`airflow://connection_id`)."""

    type: Literal["sql"]
    url: str = Field(min_length=1)  # ${VARIABLE} is read from the environment
    tables: dict[Slug, SqlTable] = Field(min_length=1)


Source = Annotated[FileSource | SqlSource, Field(discriminator="type")]
