"""One tag's figures from a candidate's Parquet files, in as few scans as memory allows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from tagline.definitions import DataType
from tagline.engines import Engine, Relation, identifier, literal

ORDERED = frozenset({DataType.INTEGER, DataType.NUMBER, DataType.DATE, DataType.TIMESTAMP})
TOP = 20
CELLS = 20_000_000  # values that exact quantiles and counts of one statement may hold in memory
_GREATEST = "1.7976931348623157e308"
_DECILES = ", ".join(f"{tenth / 10}" for tenth in range(1, 10))


@dataclass(frozen=True)
class Measured:
    """The raw figures of one column; bounds and deciles are values of the column's type."""

    present: int = 0
    distinct: int = 0
    minimum: Any = None
    maximum: Any = None
    mean: float | None = None
    deciles: tuple[Any, ...] = ()
    true_share: float | None = None
    top: tuple[tuple[str, int], ...] = ()
    not_finite: int = 0
    undeclared: int = 0


def count_rows(engine: Engine, files: Sequence[str]) -> int:
    """Number of customers in a candidate or release."""
    found = engine.fetch(
        "select count(*) as n from tags",
        {"tags": Relation(tuple(files), {"customer_id": DataType.TEXT})},
    )
    return int(found["n"][0].as_py())


def measure(
    engine: Engine,
    files: Sequence[str],
    columns: Mapping[str, DataType],
    rows: int,
    declared: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Measured]:
    """The figures of all columns: aggregates in one pass, frequent values in another.

    `declared` gives the values that a text tag may have.
    """
    found: dict[str, Measured] = {}
    for group in groups(columns, rows):
        relation = {"tags": Relation(tuple(files), {name: columns[name] for name in group})}
        selected = [
            f"{sql} as {identifier(f'{name}.{figure}')}"
            for name in group
            for figure, sql in _aggregates(name, columns[name], (declared or {}).get(name)).items()
        ]
        row = engine.fetch(f"select {', '.join(selected)} from tags", relation).to_pylist()[0]
        for name in group:
            figures = {
                key.rpartition(".")[2]: value
                for key, value in row.items()
                if key.rpartition(".")[0] == name
            }
            figures["deciles"] = tuple(figures.get("deciles") or ())
            found[name] = Measured(**figures)
    for name, top in _frequent(engine, files, columns).items():
        found[name] = Measured(**{**vars(found[name]), "top": tuple(top)})
    return found


def groups(columns: Iterable[str], rows: int) -> Iterator[list[str]]:
    """The columns in groups that one statement can hold in memory."""
    names = list(columns)
    width = max(1, CELLS // max(rows, 1))
    for start in range(0, len(names), width):
        yield names[start : start + width]


def finite(name: str, kind: DataType) -> str:
    """SQL of a column's value, null where a number is infinite or not a number."""
    column = identifier(name)
    if kind is DataType.NUMBER:
        return f"case when abs({column}) <= {_GREATEST} then {column} end"
    return column


def category(name: str, kind: DataType) -> str:
    """SQL of a column's value as text."""
    column = identifier(name)
    if kind is DataType.BOOLEAN:
        return f"case when {column} then 'true' when not {column} then 'false' end"
    if kind is DataType.TEXT_LIST:
        return f"array_to_string({column}, ', ')"
    return column


def as_literal(value: Any) -> str:
    """A measured value as SQL, to compare the column with."""
    if isinstance(value, datetime):
        return f"timestamptz {literal(value.astimezone(UTC).isoformat())}"
    if isinstance(value, date):
        return f"date {literal(value.isoformat())}"
    return repr(value)


def _aggregates(name: str, kind: DataType, declared: Sequence[str] | None) -> dict[str, str]:
    column, value = identifier(name), finite(name, kind)
    found = {"present": f"count({column})"}
    if kind in ORDERED:
        found |= {
            "distinct": f"count(distinct {value})",
            "minimum": f"min({value})",
            "maximum": f"max({value})",
            "deciles": f"quantile_disc({value}, [{_DECILES}])",
        }
        if kind in (DataType.INTEGER, DataType.NUMBER):
            found["mean"] = f"avg({value})"
        if kind is DataType.NUMBER:
            found["not_finite"] = f"count({column}) - count({value})"
        return found
    found["distinct"] = f"count(distinct {category(name, kind)})"
    if kind is DataType.BOOLEAN:
        found["true_share"] = f"avg(case when {column} then 1.0 when not {column} then 0.0 end)"
    if declared and kind is DataType.TEXT:
        known = ", ".join(map(literal, declared))
        found["undeclared"] = f"count(case when {column} not in ({known}) then 1 end)"
    return found


def _frequent(
    engine: Engine, files: Sequence[str], columns: Mapping[str, DataType]
) -> dict[str, list[tuple[str, int]]]:
    """The most frequent values of every column without an order, with their counts."""
    chosen = [name for name, kind in columns.items() if kind not in ORDERED]
    if not chosen:
        return {}
    parts = [
        f"(select {literal(name)} as tag, {category(name, columns[name])} as value, "
        f"count(*) as n from tags where {identifier(name)} is not null "
        f"group by 2 order by n desc, value limit {TOP})"
        for name in chosen
    ]
    relation = {"tags": Relation(tuple(files), {name: columns[name] for name in chosen})}
    table = engine.fetch(
        f"select * from ({' union all '.join(parts)}) as frequent order by tag, n desc, value",
        relation,
    )
    found: dict[str, list[tuple[str, int]]] = {}
    for row in table.to_pylist():
        found.setdefault(row["tag"], []).append((row["value"], row["n"]))
    return found
