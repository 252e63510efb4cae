"""Files of one table, of whatever shapes, shown as one relation with the declared names."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path

from duckdb import DuckDBPyConnection

from tagline.casting import fits
from tagline.definitions.source import FileTable
from tagline.definitions.types import DataType
from tagline.engines import identifier, literal
from tagline.errors import SourceChanged
from tagline.sources import Incoming
from tagline.sources.text import LINE, RAW, REASON

STAGED = ".parquet"  # ending of the staged copy of a text file
FILE = "_file"
_NOT_DATA = frozenset((FILE, "filename", LINE, REASON, RAW))
_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_NUMERIC = frozenset((*_WHOLE, *(f"U{name}" for name in _WHOLE), "FLOAT", "DOUBLE"))


def show(connection: DuckDBPyConnection, incoming: Incoming) -> dict[str, str]:
    """Make the view `incoming`; returns its columns of data with the engine's types.

    It has the rows as found, each with its file, and line and fault if known, under the declared
    names. Raises SourceChanged, with the whole difference, when a file is not as declared.
    """
    shapes: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for file in incoming.files:
        found = _describe(connection, f"read_parquet({literal(file)})")
        shapes.setdefault(tuple(found.items()), []).append(file)
    several = len(incoming.files) > 1
    named: list[dict[str, str]] = []  # per shape: declared name -> name in the files
    for shape, files in shapes.items():
        where = f" in {_shown_name(files[0], incoming)}" if several else ""
        names = _names(incoming, dict(shape), where)
        _require_columns(incoming, {name: dict(shape)[real] for name, real in names.items()}, where)
        named.append(names)
    types = [
        {name: dict(shape)[real] for name, real in names.items()}
        for shape, names in zip(shapes, named, strict=True)
    ]
    selects = [
        _select(incoming, files, names, _differing(types))
        for files, names in zip(shapes.values(), named, strict=True)
    ]
    connection.execute(f"CREATE TEMP VIEW incoming AS {' UNION ALL BY NAME '.join(selects)}")
    return _describe(connection, "incoming")


def _names(incoming: Incoming, found: Mapping[str, str], where: str) -> dict[str, str]:
    """The columns of a file by the names that they are declared under."""
    names = {name: name for name in found}
    files = _files(incoming)
    for column, others in files.aliases.items() if files else ():
        here = [name for name in (column, *others) if name in found]
        if len(here) > 1:
            raise SourceChanged(
                f"{incoming.name}: {' and '.join(map(repr, here))}{where} are both {column} by "
                f"the aliases of sources/{incoming.source}.yaml. Nothing was loaded. Correct the "
                "aliases, or the file."
            )
        if here and here[0] != column:
            del names[here[0]]
            names[column] = here[0]
    return names


def _select(
    incoming: Incoming, files: Sequence[str], names: Mapping[str, str], differing: frozenset[str]
) -> str:
    """The rows of files of one shape; a column that differs between shapes is read as text."""
    shown = [
        f"CAST({identifier(real)} AS VARCHAR) AS {identifier(name)}"
        if name in differing
        else f"{identifier(real)} AS {identifier(name)}"
        for name, real in names.items()
    ]
    file = "parse_filename(filename)"
    if incoming.text:
        file += f"[:-{len(STAGED) + 1}]"
        shown += [LINE, REASON, RAW]
    else:
        shown.append(f"CAST(NULL AS BIGINT) AS {LINE}")
        shown += [f"CAST(NULL AS VARCHAR) AS {mark}" for mark in (REASON, RAW)]
    definition = _files(incoming)
    if definition and definition.file_column:
        shown.append(f"{file} AS {identifier(definition.file_column)}")
    listed = ", ".join(literal(each) for each in files)
    return (
        f"SELECT {', '.join(shown)}, {file} AS {FILE} "
        f"FROM read_parquet([{listed}], union_by_name = true, filename = true)"
    )


def _differing(types: Sequence[Mapping[str, str]]) -> frozenset[str]:
    """The columns that shapes store as different types, unless all of them are numbers."""
    found: dict[str, set[str]] = {}
    for shape in types:
        for name, kind in shape.items():
            found.setdefault(name, set()).add(kind)
    return frozenset(
        name for name, kinds in found.items() if len(kinds) > 1 and not kinds <= _NUMERIC
    )


def _require_columns(incoming: Incoming, found: Mapping[str, str], where: str) -> None:
    declared = incoming.definition.columns
    files = _files(incoming)
    unknown = sorted(set(found) - set(declared))
    lines = []
    for name, kind in declared.items():
        if files and name == files.file_column:
            if name in found:
                lines.append(f"  {name} is there{where}, but is declared as file_column")
        elif name not in found:
            close = max(unknown, key=lambda new: _likeness(name, new), default=None)
            hint = f"; the closest new column is {close!r}" if close else ""
            lines.append(f"  {name} is missing{where}{hint}")
        elif not incoming.text and not _taken(files, name, kind, found[name]):
            lines.append(f"  {name} is {found[name]}{where}, declared {kind}")
    if lines:
        raise SourceChanged(
            f"{incoming.name}: the columns differ from sources/{incoming.source}.yaml:\n"
            + "\n".join(lines)
            + "\nNothing was loaded. Correct the declaration (and the SQL files that read it), "
            + ("name a file's other column under aliases, " if files else "")
            + "or correct the source."
        )


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one.lower(), other.lower()).ratio()


def _taken(files: FileTable | None, name: str, kind: DataType, found: str) -> bool:
    accepted = files.accepts.get(name, ()) if files else ()
    written = (DataType.TEXT,) if files and name in files.formats else ()
    return any(fits(found, each) for each in (kind, *accepted, *written))


def _files(incoming: Incoming) -> FileTable | None:
    return incoming.definition if isinstance(incoming.definition, FileTable) else None


def _shown_name(file: str, incoming: Incoming) -> str:
    name = Path(file).name
    return name.removesuffix(STAGED) if incoming.text else name


def _describe(connection: DuckDBPyConnection, source: str) -> dict[str, str]:
    rows = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
    return {str(row[0]): str(row[1]) for row in rows if row[0] not in _NOT_DATA}
