"""The figures of all added rows of a table, measured by the engine in bounded memory.

What looks at groups of equal rows must remember every group. Above `ROWS_AT_ONCE` rows the groups
are therefore taken in parts, by a hash of what they have in common; the totals of the parts add up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tagline.definitions import DataType, TableDefinition
from tagline.engines import Engine, Relation, identifier
from tagline.quality.plan import VERSION_COLUMNS, Figure, Groups

ROWS_AT_ONCE = 25_000_000


@dataclass(frozen=True)
class Added:
    """The added rows of a table: their files, their number, and in how many parts they are read."""

    engine: Engine
    table: str
    definition: TableDefinition
    files: tuple[str, ...]
    rows: int

    @property
    def parts(self) -> int:
        """One for Spark, which bounds its memory by itself and hashes in a way of its own."""
        return -(-self.rows // ROWS_AT_ONCE) if self.engine.name == "duckdb" else 1

    @property
    def columns(self) -> Mapping[str, DataType]:
        """All stored columns that an expectation may name."""
        declared = {name: column.type for name, column in self.definition.columns.items()}
        return declared | VERSION_COLUMNS

    def one_row(self, sql: str, files: Sequence[str] | None = None) -> dict[str, Any]:
        """The only row of a SELECT from the relation `added`."""
        relation = Relation(self.files if files is None else tuple(files), self.columns)
        row: dict[str, Any] = self.engine.fetch(sql, {"added": relation}).to_pylist()[0]
        return row


def measured(figures: Sequence[Figure], added: Added) -> list[Any]:
    """The value of each figure, in their order; aggregates in one statement."""
    plain = {f"figure_{n}": f.made_from for n, f in enumerate(figures) if _is_plain(f)}
    values: dict[str, Any] = {}
    if plain:
        selected = ", ".join(f"{sql} as {name}" for name, sql in plain.items())
        values = added.one_row(f"select {selected} from added")
    grouped = {n: f.made_from for n, f in enumerate(figures) if isinstance(f.made_from, Groups)}
    with _newest(added, [groups for groups in grouped.values() if groups.newest]) as newest:
        for number, groups in grouped.items():
            files = newest if groups.newest else added.files
            values[f"figure_{number}"] = _of_groups(added, groups, files)
    return [values[f"figure_{number}"] for number in range(len(figures))]


def _is_plain(figure: Figure) -> bool:
    return isinstance(figure.made_from, str)


def _of_groups(added: Added, groups: Groups, files: Sequence[str]) -> Any:
    names = ", ".join(map(identifier, groups.columns))
    found = {"groups": 0, "rows": 0, "alone": 0}
    for part in _parts(added, groups.columns):
        row = added.one_row(
            "select count(*) as groups, coalesce(sum(n), 0) as rows, "
            "coalesce(sum(case when n = 1 then 1 else 0 end), 0) as alone from "
            f"(select count(*) as n from added where ({groups.present}) and {part} "
            f"group by {names}) as counted",
            files,
        )
        found = {name: total + int(row[name]) for name, total in found.items()}
    if groups.measure == "repeated_rows":
        return found["rows"] - found["alone"]
    if groups.measure == "groups":
        return found["groups"]
    if groups.measure == "groups_by_rows":
        return found["groups"] / found["rows"] if found["rows"] else None
    return found["alone"] / found["rows"] if found["rows"] else 1.0


def _parts(added: Added, columns: Sequence[str]) -> Iterator[str]:
    """Conditions that take each row once, and rows with equal values in `columns` together."""
    if added.parts == 1:
        yield "true"
        return
    names = ", ".join(map(identifier, columns))
    for part in range(added.parts):
        yield f"hash({names}) % {added.parts} = {part}"


@contextmanager
def _newest(added: Added, wanted: Sequence[Groups]) -> Iterator[tuple[str, ...]]:
    """Files with the newest version of each key, and of its columns those that are looked at."""
    if added.definition.immutable or not wanted:
        yield added.files
        return
    seen = dict.fromkeys(column for groups in wanted for column in groups.columns)
    shown = ", ".join(map(identifier, seen))
    key = ", ".join(map(identifier, added.definition.key))
    relation = {"added": Relation(added.files, added.columns)}
    with TemporaryDirectory() as folder:
        files = []
        for number, part in enumerate(_parts(added, added.definition.key)):
            path = str(Path(folder) / f"{added.table}-{number}.parquet")
            added.engine.write(
                f"select {shown} from (select *, row_number() over (partition by {key} "
                f"order by valid_at desc, loaded_at desc) as version_rank from added where {part}) "
                "as ranked where version_rank = 1",
                relation,
                path,
            )
            files.append(path)
        yield tuple(files)
