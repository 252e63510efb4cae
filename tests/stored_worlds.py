"""Worlds as stored tables: what loads leave behind, by the rules of storage, and its files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zlib import crc32

import pyarrow
import pyarrow.parquet
from tests.worlds import ENDED, LOADS, Key, Operation, Values, Worlds

from tagline.catalog import Catalog
from tagline.compute import column_types
from tagline.definitions import DataType
from tagline.engines import Relation

ENTRIES = ("valid_at", "loaded_at", "until_at", "recorded_at")
Rows = list[tuple[Key, int, int, Values]]  # key, valid_at, loaded_at, values
Entries = list[tuple[Key, int, int, int, int]]  # key, then ENTRIES


def stored(operations: Iterable[Operation], as_of: int) -> tuple[Rows, Entries]:
    """The rows and superseded versions that the loads leave behind, by the rules of storage."""
    rows: Rows = []
    entries: Entries = []
    by_key: dict[Key, list[Operation]] = {}
    for operation in operations:
        by_key.setdefault(operation.key, []).append(operation)
    for key, own in by_key.items():
        if len(own) == 1:
            if not isinstance(own[0].values, str | None):
                rows.append((key, own[0].valid_at, as_of + LOADS[own[0].load], own[0].values))
            continue
        own.sort(key=lambda operation: operation.load)
        live: dict[int, list[Any]] = {}  # valid_at → values, loaded_at, until when
        for number, operation in enumerate(own):
            at = as_of + LOADS[operation.load]
            _apply(key, live, operation, at, rows, entries)
            if number + 1 == len(own) or own[number + 1].load != operation.load:
                _chain(key, live, at, rows, entries)
    return rows, entries


def _apply(
    key: Key,
    live: dict[int, list[Any]],
    operation: Operation,
    at: int,
    rows: Rows,
    entries: Entries,
) -> None:
    valid_at, values = operation.valid_at, operation.values
    old = live.get(valid_at)
    if old is not None and (old[0] == values or old[0] == ENDED):
        return
    if old is not None and old[1] == at:  # a load has one version of an instant
        return
    if old is not None:
        entries.append((key, valid_at, old[1], valid_at, at))
        del live[valid_at]
    if values == ENDED and any(other < valid_at for other in live):
        live[valid_at] = [ENDED, at, None]
    elif not isinstance(values, str | None):
        live[valid_at] = [values, at, None]
        rows.append((key, valid_at, at, values))


def _chain(key: Key, live: dict[int, list[Any]], at: int, rows: Rows, entries: Entries) -> None:
    """State when each version ends; one whose stated end no longer holds is written again."""
    following: int | None = None
    for valid_at in sorted(live, reverse=True):
        version = live[valid_at]
        values, loaded_at, ended = version
        if values != ENDED and ended != following:
            if ended is not None and (following is None or following > ended):
                entries.append((key, valid_at, loaded_at, valid_at, at))
                rows.append((key, valid_at, at, values))
                version[1] = loaded_at = at
            version[2] = following
            if following is not None:
                entries.append((key, valid_at, loaded_at, following, at))
        following = valid_at


@dataclass(frozen=True)
class State:
    """Stored tables as files, by name; those of superseded versions as `<table>__superseded`."""

    files: Mapping[str, str]

    def relations(
        self, catalog: Catalog, tables: Mapping[str, Sequence[str]], superseded: Iterable[str]
    ) -> dict[str, Relation]:
        """What a compiled query reads."""
        found = {
            name: Relation((self.files[name],), column_types(catalog, name, columns))
            for name, columns in tables.items()
        }
        for name in superseded:
            columns = (*catalog.tables[name].key, *ENTRIES)
            other = f"{name}__superseded"
            found[other] = Relation((self.files[other],), column_types(catalog, name, columns))
        return found


def write_state(
    worlds: Worlds,
    made: Sequence[Mapping[str, list[Operation]]],
    folder: Path,
    keep: Callable[[Operation], bool],
) -> State:
    """Store the kept operations of many worlds, each with keys of its own."""
    files: dict[str, str] = {}
    folder.mkdir()
    for shape in worlds.shapes:
        rows: Rows = []
        entries: Entries = []
        for world in made:
            own_rows, own_entries = stored(filter(keep, world[shape.name]), worlds.as_of)
            rows += own_rows
            entries += own_entries
        names = (*shape.table.key, "valid_at", "loaded_at", *shape.columns)
        flat = [(*key, valid_at, loaded_at, *values) for key, valid_at, loaded_at, values in rows]
        files[shape.name] = _write(worlds.catalog, shape.name, names, flat, folder)
        names = (*shape.table.key, *ENTRIES)
        ends = [(*entry[0], *entry[1:]) for entry in entries]
        name = f"{shape.name}__superseded"
        files[name] = _write(worlds.catalog, shape.name, names, ends, folder, name)
    return State(files)


ARROW = {
    DataType.BOOLEAN: pyarrow.bool_(),
    DataType.INTEGER: pyarrow.int64(),
    DataType.NUMBER: pyarrow.float64(),
    DataType.TEXT: pyarrow.string(),
    DataType.DATE: pyarrow.date32(),
    DataType.TEXT_LIST: pyarrow.list_(pyarrow.string()),
}
INSTANT = pyarrow.timestamp("us", tz="UTC")


def _write(
    catalog: Catalog,
    table: str,
    names: Sequence[str],
    rows: Sequence[tuple[Any, ...]],
    folder: Path,
    file: str | None = None,
) -> str:
    types = column_types(catalog, table, names)
    columns = list(zip(*rows, strict=True)) if rows else [() for _ in names]
    arrays = [
        pyarrow.array(column, pyarrow.int64()).cast(INSTANT)
        if types[name] is DataType.TIMESTAMP
        else pyarrow.array([_of_kind(value, types[name]) for value in column], ARROW[types[name]])
        for name, column in zip(names, columns, strict=True)
    ]
    path = folder / f"{file or table}.parquet"
    pyarrow.parquet.write_table(pyarrow.table(arrays, names=list(names)), path, compression="none")
    return str(path)


def _of_kind(value: Any, kind: DataType) -> Any:
    """A value as it is stored; the worlds' keys are texts, and a key column may be a day."""
    if kind is DataType.DATE and isinstance(value, str):
        return date(1970, 1, 1) + timedelta(days=crc32(value.encode()) % 20_000)
    return value
