"""Whether two Parquet files of tags hold the same values: asked before any ratio is told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

TOLERANCE = 1e-9  # of numbers: a sum of floating-point values depends on the order of its terms


def require_equal(ours: Path, theirs: Path, columns: Sequence[str], name: str) -> int:
    """The number of values compared; raises AssertionError with an example if one differs.

    Rows are matched by customer_id. Numbers may differ by a billionth of themselves, other
    values must be equal as text; a null equals only a null.
    """
    with duckdb.connect() as connection:
        kinds = {
            row[0]: row[1]
            for row in connection.execute(
                "DESCRIBE SELECT * FROM read_parquet(?)", [str(ours)]
            ).fetchall()
        }
        differing = ", ".join(
            f"count(*) FILTER ({_differs(column, kinds[column])})" for column in columns
        )
        joined = (
            f"FROM read_parquet('{ours}') AS o FULL JOIN read_parquet('{theirs}') AS t "
            "ON o.customer_id = CAST(t.customer_id AS VARCHAR)"
        )
        found = connection.execute(
            "SELECT count(*), count(*) FILTER (o.customer_id IS NULL OR t.customer_id IS NULL), "
            f"{differing} {joined}"
        ).fetchone()
        assert found is not None
        rows, lonely, *counts = found
        if lonely:
            raise AssertionError(f"{name}: {lonely:,} of {rows:,} customers are on one side only")
        wrong = [column for column, count in zip(columns, counts, strict=True) if count]
        if wrong:
            column = wrong[0]
            example = connection.execute(
                f'SELECT o.customer_id, o."{column}", t."{column}" {joined} '
                f"WHERE {_differs(column, kinds[column])} LIMIT 1"
            ).fetchone()
            raise AssertionError(f"{name} differs in {', '.join(wrong)}, for one: {example}")
    return int(rows) * len(columns)


def _differs(column: str, kind: str) -> str:
    ours, theirs = f'o."{column}"', f't."{column}"'
    if kind in ("DOUBLE", "BIGINT", "INTEGER"):
        ours, theirs = f"CAST({ours} AS DOUBLE)", f"CAST({theirs} AS DOUBLE)"
        near = f"abs({ours} - {theirs}) > {TOLERANCE} * greatest(1, abs({ours}))"
        return f"({ours} IS NULL) <> ({theirs} IS NULL) OR coalesce({near}, false)"
    return f"CAST({ours} AS VARCHAR) IS DISTINCT FROM CAST({theirs} AS VARCHAR)"
