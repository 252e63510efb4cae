"""Figures of a table's added rows, measured by the engine: in one part, and in several."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagline.definitions import TableDefinition
from tagline.engines.duckdb import DuckDBEngine
from tagline.quality import figures
from tagline.quality.figures import Added, measured
from tagline.quality.plan import plan_table

LOADED_AT = datetime(2026, 3, 2, tzinfo=UTC)
CRITICAL = {"severity": "critical"}
VISITS = TableDefinition.model_validate(
    {
        "name": {"en": "Visits", "zh": "访问"},
        "description": "A visit to the counter.",
        "key": ["visit_id"],
        "columns": {
            "visit_id": {"type": "text", "nullable": False, "description": "The visit."},
            "counter": {"type": "text", "description": "Where."},
            "minutes": {"type": "integer", "description": "How long."},
        },
        "expectations": [
            {"expect": "expect_column_values_to_be_unique", "column": "counter", **CRITICAL},
            {
                "expect": "expect_compound_columns_to_be_unique",
                "with": {
                    "column_list": ["counter", "minutes"],
                    "ignore_row_if": "any_value_is_missing",
                },
                **CRITICAL,
            },
            {
                "expect": "expect_column_unique_value_count_to_be_between",
                "column": "minutes",
                "with": {"min_value": 0},
                **CRITICAL,
            },
            {
                "expect": "expect_column_proportion_of_unique_values_to_be_between",
                "column": "minutes",
                "with": {"min_value": 0},
                **CRITICAL,
            },
            {
                "expect": "expect_column_max_to_be_between",
                "column": "minutes",
                "with": {"min_value": 0},
                **CRITICAL,
            },
        ],
    }
)


def _repeated_whole(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows whose second of a pair equals the first where both are one version of one visit."""
    pairs = zip(rows[::2], rows[1::2], strict=False)
    same = [(one, one if one[:2] == two[:2] else two) for one, two in pairs]
    return [row for pair in same for row in pair] + rows[len(same) * 2 :]


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["v1", "v2", "v3", "v4"]),  # visit
        st.integers(0, 3),  # valid_at, in days
        st.sampled_from(["a", "b", "c", None]),  # counter
        st.one_of(st.none(), st.integers(0, 5)),  # minutes
    ),
    min_size=1,
    max_size=12,
).map(_repeated_whole)


@pytest.mark.slow  # each figure is a query of its own, in a connection of its own
@pytest.mark.parametrize("rows_at_once", [figures.ROWS_AT_ONCE, 4])
@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=ROWS)
def test_figures_are_those_of_all_rows_in_however_many_parts_they_are_taken(
    tmp_path: Path, rows_at_once: int, rows: list[tuple[Any, ...]]
) -> None:
    path = tmp_path / "visits.parquet"
    pq.write_table(_table(rows), path)
    engine = DuckDBEngine("1GB", 1, str(tmp_path / "spill"))
    plan = plan_table("visits", VISITS, lambda _name: False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "ROWS_AT_ONCE", rows_at_once)
        found = measured(plan.figures, Added(engine, "visits", VISITS, (str(path),), len(rows)))
    assert found == pytest.approx(_expected(rows))


def _table(rows: list[tuple[Any, ...]]) -> pa.Table:
    instant = pa.timestamp("us", "UTC")
    return pa.table(
        {
            "visit_id": pa.array([row[0] for row in rows], pa.string()),
            "counter": pa.array([row[2] for row in rows], pa.string()),
            "minutes": pa.array([row[3] for row in rows], pa.int64()),
            "valid_at": pa.array([LOADED_AT - timedelta(9 - row[1]) for row in rows], instant),
            "loaded_at": pa.array(  # so that the newest version is one row, whatever the day
                [LOADED_AT + timedelta(seconds=n // 2) for n in range(len(rows))], instant
            ),
        }
    )


def _expected(rows: list[tuple[Any, ...]]) -> list[Any]:
    """The figures by hand, of rows whose pairs of neighbours were loaded at the same instant."""
    stored = Counter((row[0], row[1], number // 2) for number, row in enumerate(rows))
    newest: dict[str, tuple[Any, ...]] = {}
    for row in rows:
        if row[0] not in newest or row[1] >= newest[row[0]][1]:
            newest[row[0]] = row
    counters = Counter(row[2] for row in newest.values() if row[2] is not None)
    both = Counter(row[2:] for row in newest.values() if None not in row[2:])
    minutes = [row[3] for row in newest.values() if row[3] is not None]
    return [
        sum(count for count in stored.values() if count > 1),
        0,
        _alone(counters),
        _alone(both),
        len(set(minutes)),
        len(set(minutes)) / len(minutes) if minutes else None,
        max((row[3] for row in rows if row[3] is not None), default=None),
    ]


def _alone(counts: Counter[Any]) -> float:
    """The share of rows that are alone in their group."""
    total = sum(counts.values())
    return sum(1 for count in counts.values() if count == 1) / total if total else 1.0
