"""CSV files, plain or gzipped, to Parquet files of text: every line is kept, or named as broken."""

from __future__ import annotations

import csv
import gzip
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path

import pyarrow
import pyarrow.parquet

from tagline.errors import SourceChanged

LINE, REASON, RAW = "_line", "_reason", "_raw"
BATCH_ROWS = 20_000
_DELIMITERS = (",", ";", "\t", "|")
_MOST_LINES = 200  # of one row: a longer one is an open quote
_MOST_CHARACTERS = 4_000_000


@dataclass(frozen=True)
class _Row:
    """A row of a CSV file with the number of its first line; broken if it has a reason."""

    line: int
    values: list[str]
    reason: str | None = None
    raw: str | None = None


def stage_csv(path: str, target: Path, declared: Iterable[str], name: str) -> None:
    """Write a CSV file as Parquet, batch by batch.

    The columns are those of the header, as text (blank is null), and the line of each row. A line
    with a wrong number of fields, broken quotes or bytes that are not UTF-8 is a row with a
    reason and its raw text. The delimiter is the one that shows most declared columns.
    """
    with _open(path) as file:
        lines = _Lines(file)
        delimiter, columns = _header(next(lines, ""), declared, Path(path).name, name)
        schema = pyarrow.schema(
            [(column, pyarrow.string()) for column in columns]
            + [(LINE, pyarrow.int64()), (REASON, pyarrow.string()), (RAW, pyarrow.string())]
        )
        batch: list[_Row] = []
        with pyarrow.parquet.ParquetWriter(target, schema, compression="zstd") as writer:
            for row in _rows(lines, delimiter, len(columns)):
                batch.append(row)
                if len(batch) == BATCH_ROWS:
                    writer.write_batch(_as_arrow(batch, schema))
                    batch = []
            if batch:
                writer.write_batch(_as_arrow(batch, schema))


class _Lines:
    """The physical lines of a file, with those of the row that is being read."""

    def __init__(self, file: Iterable[str]) -> None:
        self._file = iter(file)
        self._again: deque[str] = deque()
        self.row: list[str] = []
        self.number = 0  # of the last line given out
        self._length = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if len(self.row) >= _MOST_LINES or self._length > _MOST_CHARACTERS:
            raise csv.Error("a row without an end")
        line = self._again.popleft() if self._again else next(self._file)
        self.row.append(line)
        self.number += 1
        self._length += len(line)
        return line

    def start_row(self) -> None:
        """Forget the lines of the row before."""
        self.row = []
        self._length = 0

    def give_back(self) -> str:
        """Take the first line alone as the row; the others will be read again."""
        first, *others = self.row
        self._again.extendleft(reversed(others))
        self.number -= len(others)
        return first


def _rows(lines: _Lines, delimiter: str, width: int) -> Iterator[_Row]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        lines.start_row()
        reason = None
        values: list[str] = []
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error:
            if not lines.row:
                raise
            reason = "broken_quotes"
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
        if reason is None and not values:
            continue  # a blank line
        if reason is None and len(values) != width:
            reason = "wrong_number_of_fields" if len(lines.row) == 1 else "broken_quotes"
        if reason is not None:
            raw = lines.give_back()
            yield _Row(lines.number, [], reason, _readable(raw))
            continue
        number = lines.number - len(lines.row) + 1
        if not all(line.isascii() or _is_text(line) for line in lines.row):
            yield _Row(number, [], "invalid_encoding", _readable("".join(lines.row)))
        else:
            yield _Row(number, values)


def _header(
    line: str, declared: Iterable[str], file: str, name: str
) -> tuple[str, tuple[str, ...]]:
    """The delimiter and the columns that the first line names."""
    wanted = set(declared)
    best: tuple[str, tuple[str, ...]] = (",", ())
    for delimiter in _DELIMITERS:
        try:
            values = next(csv.reader([line], delimiter=delimiter), [])
        except csv.Error:
            continue
        names = tuple(value.strip() for value in values)
        if not best[1] or len(wanted & set(names)) > len(wanted & set(best[1])):
            best = (delimiter, names)
    _, names = best
    doubled = sorted({column for column in names if names.count(column) > 1})
    if not names or "" in names or doubled:
        what = f"names {doubled[0]!r} twice" if doubled and doubled[0] else "has an empty name"
        raise SourceChanged(f"{name}: the header of {file} {what}. Correct the file.")
    return best


def _open(path: str) -> TextIOWrapper:
    packed = path.endswith(".gz")
    opened = gzip.open(path, "rb") if packed else Path(path).open("rb")  # noqa: SIM115
    mark = opened.peek(2)[:2]
    encoding = "utf-16" if mark in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return TextIOWrapper(opened, encoding=encoding, errors="surrogateescape", newline="")


def _as_arrow(rows: list[_Row], schema: pyarrow.Schema) -> pyarrow.RecordBatch:
    width = len(schema) - 3
    empty = [None] * width
    columns = zip(*(row.values or empty for row in rows), strict=True)
    arrays = [pyarrow.array([value or None for value in column], "string") for column in columns]
    arrays.append(pyarrow.array([row.line for row in rows], "int64"))
    arrays.append(pyarrow.array([row.reason for row in rows], "string"))
    arrays.append(pyarrow.array([row.raw for row in rows], "string"))
    return pyarrow.record_batch(arrays, schema=schema)


def _is_text(line: str) -> bool:
    try:
        line.encode()
    except UnicodeEncodeError:
        return False
    return True


def _readable(line: str) -> str:
    raw = line.rstrip("\r\n").encode("utf-8", "surrogateescape")
    return raw.decode("utf-8", "replace")
