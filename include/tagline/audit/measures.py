"""Each tag's figures from a candidate's Parquet files, in as few statements as memory allows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from tagline.definitions import DataType
from tagline.engines import Engine, Relation, identifier, literal

ORDERED = (DataType.INTEGER, DataType.NUMBER, DataType.DATE, DataType.TIMESTAMP)
TOP = 20
CELLS = 20_000_000  # values that one statement may have in its hands
_GREATEST = "1.7976931348623157e308"
TENTHS = range(1, 10)


@dataclass(frozen=True)
class Measured:
    """The raw figures of one column; bounds and deciles are values of the column's type.

    `reached` counts, for each decile, the rows up to and with it; with ties that is more than
    its tenth.
    """

    rows: int
    present: int = 0
    distinct: int = 0
    minimum: Any = None
    maximum: Any = None
    mean: float | None = None
    deciles: tuple[Any, ...] = ()
    reached: tuple[int, ...] = ()
    true_share: float | None = None
    top: tuple[tuple[str, int], ...] = ()
    not_finite: int = 0
    undeclared: int = 0


def count_rows(engine: Engine, files: Sequence[str], key: str = "customer_id") -> int:
    """Number of rows in a candidate or release, whose key column is named."""
    found = engine.fetch(
        "select count(*) as n from tags",
        {"tags": Relation(tuple(files), {key: DataType.TEXT})},
    )
    return int(found["n"][0].as_py())


def measure(
    engine: Engine,
    files: Sequence[str],
    columns: Mapping[str, DataType],
    rows: int,
    declared: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Measured]:
    """The figures of all columns, each from one histogram of its values.

    `declared` gives the values that a text tag may have.
    """
    counted = _counts(engine, files, columns, declared or {})
    found = {name: Measured(rows, present=counted[name, "present"]) for name in columns}
    for kind in ORDERED:
        of_kind = [name for name, its in columns.items() if its is kind]
        for group in groups(of_kind, rows):
            relation = {"tags": Relation(tuple(files), dict.fromkeys(group, kind))}
            sql = " union all ".join(f"({_ordered_figures(name, kind)})" for name in group)
            for row in engine.fetch(sql, relation).to_pylist():
                name = row.pop("tag")
                present = found[name].present
                found[name] = Measured(
                    rows=rows,
                    present=present,
                    distinct=row["distinct_values"],
                    minimum=row["minimum"],
                    maximum=row["maximum"],
                    mean=row["mean"],
                    deciles=tuple(row[f"decile_{t}"] for t in TENTHS) if row["counted"] else (),
                    reached=tuple(row[f"reached_{t}"] for t in TENTHS) if row["counted"] else (),
                    not_finite=present - (row["counted"] or 0),
                )
    for name, (distinct, top) in _frequent(engine, files, columns).items():
        present = found[name].present
        true = next((n for value, n in top if value == "true"), 0)
        found[name] = Measured(
            rows=rows,
            present=present,
            distinct=distinct,
            top=tuple(top),
            true_share=true / present if columns[name] is DataType.BOOLEAN and present else None,
            undeclared=counted.get((name, "undeclared"), 0),
        )
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


def _counts(
    engine: Engine,
    files: Sequence[str],
    columns: Mapping[str, DataType],
    declared: Mapping[str, Sequence[str]],
) -> dict[tuple[str, str], int]:
    """Per column the rows with a value, and of text those with a value that is not declared."""
    if not columns:
        return {}
    asked = {(name, "present"): f"count({identifier(name)})" for name in columns}
    for name, values in declared.items():
        if columns.get(name) is DataType.TEXT:
            known = ", ".join(map(literal, values))
            asked[name, "undeclared"] = (
                f"count(case when {identifier(name)} not in ({known}) then 1 end)"
            )
    selected = [f"{sql} as figure_{number}" for number, sql in enumerate(asked.values())]
    row = engine.fetch(
        f"select {', '.join(selected)} from tags", {"tags": Relation(tuple(files), columns)}
    ).to_pylist()[0]
    return {key: int(row[f"figure_{number}"]) for number, key in enumerate(asked)}


def _ordered_figures(name: str, kind: DataType) -> str:
    """One row: bounds, distinct values, mean and deciles, read off the column's histogram."""
    mean = "cast(null as double)"
    if kind in (DataType.INTEGER, DataType.NUMBER):
        mean = "sum(cast(v as double) * n) / sum(n)"
    reached = [f"c >= total * {tenth / 10}" for tenth in TENTHS]
    deciles = [
        f"min(case when {at} then v end) as decile_{tenth}, "
        f"cast(min(case when {at} then c end) as bigint) as reached_{tenth}"
        for tenth, at in zip(TENTHS, reached, strict=True)
    ]
    return (
        f"select {literal(name)} as tag, cast(sum(n) as bigint) as counted, "
        f"count(*) as distinct_values, min(v) as minimum, max(v) as maximum, {mean} as mean, "
        f"{', '.join(deciles)} from (select v, n, sum(n) over (order by v) as c, "
        f"sum(n) over () as total from (select {finite(name, kind)} as v, count(*) as n "
        "from tags group by 1) as histogram where v is not null) as cumulated"
    )


def _frequent(
    engine: Engine, files: Sequence[str], columns: Mapping[str, DataType]
) -> dict[str, tuple[int, list[tuple[str, int]]]]:
    """Of every column without an order: distinct values, and the most frequent with counts."""
    chosen = [name for name, kind in columns.items() if kind not in ORDERED]
    if not chosen:
        return {}
    parts = [
        f"(select {literal(name)} as tag, v, n, count(*) over () as distinct_values "
        f"from (select {category(name, columns[name])} as v, count(*) as n "
        "from tags group by 1) as histogram where v is not null "
        f"order by n desc, v limit {TOP})"
        for name in chosen
    ]
    relation = {"tags": Relation(tuple(files), {name: columns[name] for name in chosen})}
    table = engine.fetch(
        f"select * from ({' union all '.join(parts)}) as frequent order by tag, n desc, v",
        relation,
    )
    found: dict[str, tuple[int, list[tuple[str, int]]]] = {name: (0, []) for name in chosen}
    for row in table.to_pylist():
        _, top = found[row["tag"]]
        found[row["tag"]] = (row["distinct_values"], [*top, (row["v"], row["n"])])
    return found
