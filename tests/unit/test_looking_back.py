"""Distributions and changes of released files, and which tags are restricted."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet as parquet
import pytest

from tagline.definitions import DataType
from tagline.engines import Engine, open_engine
from tagline.registry.schema import Release
from tagline.serve.changes import Moved, changes
from tagline.serve.distributions import bins, distribution
from tagline.settings import Settings

DAY = datetime(2017, 12, 1, tzinfo=UTC)


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_engine(Settings(home=tmp_path))


def released(path: Path, columns: dict[str, Any], number: int = 1) -> Release:
    """A release of one file with these columns, the customers numbered from 0."""
    rows = len(next(iter(columns.values())))
    ids = columns.pop("customer_id", [str(number) for number in range(rows)])
    parquet.write_table(pyarrow.table({"customer_id": ids, **columns}), path)
    versions = {name: {"version": f"v{number}"} for name in columns}
    return Release(
        id=number, as_of=DAY, customers=rows, files={"customer": [str(path)]}, tags=versions
    )


def test_numbers_fall_into_bins_with_round_edges_and_none_is_lost(
    engine: Engine, tmp_path: Path
) -> None:
    values = [*(float(number) for number in range(1000)), 1e9, -1e9, float("inf"), None]
    release = released(tmp_path / "r.parquet", {"amount": values})
    found = distribution(engine, release, "amount", DataType.NUMBER)
    assert found.rows == 1004
    assert found.absent == 2  # the missing one, and what is no number
    assert found.below + sum(found.counts) + found.above == 1002
    assert found.edges[1] - found.edges[0] == 50
    assert (found.below, found.above) == (1, 1)


def test_few_numbers_are_shown_each(engine: Engine, tmp_path: Path) -> None:
    values = pyarrow.array([4, 1, 1, None])
    release = released(tmp_path / "r.parquet", {"rank": values})
    found = distribution(engine, release, "rank", DataType.INTEGER)
    assert (found.shape, found.values, found.absent) == ("values", ((1, 2), (4, 1)), 1)


def test_texts_are_shown_the_most_frequent_first_with_the_rest_in_one(
    engine: Engine, tmp_path: Path
) -> None:
    values = ["a"] * 5 + [f"b{number:02}" for number in range(20)] + [None]
    release = released(tmp_path / "r.parquet", {"name": values})
    found = distribution(engine, release, "name", DataType.TEXT)
    assert found.values[:2] == (("a", 5), ("b00", 1))
    assert (len(found.values), found.others, found.distinct, found.absent) == (15, 6, 21, 1)


def test_dates_have_dates_as_edges(engine: Engine, tmp_path: Path) -> None:
    values = [date(2017, 1, 1), date(2017, 2, 1), date(2017, 3, 1)]
    release = released(tmp_path / "r.parquet", {"day": values})
    found = distribution(engine, release, "day", DataType.DATE)
    assert found.edges[0] <= "2017-01-01" < found.edges[1]
    assert sum(found.counts) + found.below + found.above == 3


def test_a_tag_without_values_has_an_empty_distribution(engine: Engine, tmp_path: Path) -> None:
    columns = {"amount": pyarrow.nulls(2, pyarrow.float64()), "name": pyarrow.nulls(2, "string")}
    release = released(tmp_path / "r.parquet", columns)
    for name, kind in (("amount", DataType.NUMBER), ("name", DataType.TEXT)):
        assert distribution(engine, release, name, kind).shape == "empty"


@pytest.mark.parametrize("low", [-5.0, 0.0, 1e-7, 1e6])
@pytest.mark.parametrize("width", [0.0, 1e-6, 3.0, 1e8])
def test_bins_are_never_many(low: float, width: float) -> None:
    figures = {"low": low, "high": low + width, "first": low, "last": low + width}
    for whole in (False, True):
        start, step, count = bins(figures, whole=whole)
        assert 1 <= count <= 40
        assert start <= low
        assert start + step * count > low + width or width < 1e-5


def test_changes_count_who_came_and_went_and_whose_value_moved(
    engine: Engine, tmp_path: Path
) -> None:
    earlier = released(
        tmp_path / "1.parquet",
        {
            "customer_id": ["a", "b", "c", "d"],
            "amount": [1.0, 2.0, None, 4.0],
            "list": [["x"], ["x"], ["x"], None],
            "old": [1, 1, 1, 1],
        },
        1,
    )
    later = released(
        tmp_path / "2.parquet",
        {
            "customer_id": ["b", "c", "d", "e"],
            "amount": [2.5, 3.0, None, 5.0],
            "list": [["x"], ["x", "y"], None, ["z"]],
            "new": [1, 1, 1, 1],
        },
        2,
    )
    found = changes(engine, earlier, later)
    assert (found.both, found.came, found.went) == (3, 1, 1)
    assert found.tags == {"amount": Moved(1, 1, 1), "list": Moved(0, 0, 1)}
    assert (found.added, found.removed) == (("new",), ("old",))
    assert found.redefined == ("amount", "list")
