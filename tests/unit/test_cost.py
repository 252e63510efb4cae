"""Cost follows what is needed: windows prune files, months are compacted, choices are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tagline.catalog import Catalog, load_catalog
from tagline.compaction import FEWEST, compact
from tagline.compile import compile_tags
from tagline.compile.choices import choices, comment
from tagline.compute import column_types
from tagline.definitions.types import DataType
from tagline.engines import Engine, Relation, open_engine
from tagline.lake import Lake
from tagline.settings import Settings

PROJECT = Path(__file__).parents[2]
AS_OF = datetime(2017, 10, 1, tzinfo=UTC)
COLUMNS: Mapping[str, DataType] = {
    "id": DataType.TEXT,
    "happened_at": DataType.TIMESTAMP,
    "valid_at": DataType.TIMESTAMP,
    "loaded_at": DataType.TIMESTAMP,
}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog(PROJECT / "include", "grocer")


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_engine(Settings(home=tmp_path, threads=1))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = Lake(f"sqlite:///{tmp_path}/lake.db", str(tmp_path / "lake"))
    made.ensure("clean.things", COLUMNS)
    return made


def add_days(lake: Lake, engine: Engine, first: datetime, count: int) -> list[str]:
    """A file of three rows for each day."""
    paths = []
    for number in range(count):
        day = first + timedelta(days=number)
        paths.append(lake.new_file("clean.things"))
        engine.write(
            f"SELECT '{number}-' || i AS id, TIMESTAMPTZ '{day}' AS happened_at, "
            f"TIMESTAMPTZ '{day}' AS valid_at, TIMESTAMPTZ '{day}' AS loaded_at "
            "FROM range(3) AS t(i)",
            {},
            paths[-1],
        )
    lake.append("clean.things", paths)
    return paths


def rows(engine: Engine, relation: Relation) -> list[dict[str, object]]:
    made = engine.fetch("SELECT * FROM t ORDER BY ALL", {"t": replace(relation, columns=COLUMNS)})
    found: list[dict[str, object]] = made.to_pylist()
    return found


def test_a_table_read_through_windows_only_is_pruned_to_the_longest(catalog: Catalog) -> None:
    compiled = compile_tags(catalog, AS_OF, ["order_count_30d", "order_amount_90d"])
    assert compiled.since == {"orders": ("ordered_at", AS_OF - timedelta(days=90))}


@pytest.mark.parametrize("other", ["order_count_total", "order_gap_mean_days", "day_part_habit"])
def test_a_tag_that_needs_all_rows_keeps_its_table_whole(catalog: Catalog, other: str) -> None:
    """A statistic without a window, one of a derived table, and a leading group."""
    for slugs in ([other, "order_count_30d"], ["order_count_30d", other]):
        assert "orders" not in compile_tags(catalog, AS_OF, slugs).since


def test_what_every_statistic_of_a_scan_asks_for_is_asked_once(catalog: Catalog) -> None:
    sql = compile_tags(catalog, AS_OF, ["order_count_30d", "order_amount_90d"]).sql
    assert sql.count("= 'placed'") == 1
    assert "WHERE r.\"ordered_at\" >= CAST('2017-07-03 00:00:00+00:00' AS TIMESTAMPTZ)" in sql


def test_choices_name_what_is_read_of_each_table(catalog: Catalog) -> None:
    chosen = choices(
        compile_tags(catalog, AS_OF, ["order_count_30d"], changed=frozenset({"customers"})),
        {"orders": (2, 9), "customers": (1, 1)},
    )
    assert chosen["tables"]["orders"] == {
        "from": datetime(2017, 9, 1, tzinfo=UTC),
        "superseded": False,
        "columns": 6,
        "files_read": 2,
        "files": 9,
    }
    assert comment(chosen).splitlines() == [
        "-- customers: whole, 4 columns, 1 of 1 files, superseded versions left out",
        "-- orders: events from 2017-09-01 00:00 UTC, 6 columns, 2 of 9 files, "
        "superseded versions not read",
        "-- orders_statistics: 1 statistic in one scan",
    ]
    gaps = choices(compile_tags(catalog, AS_OF, ["order_gap_mean_days"]))
    assert gaps["derived"] == ["order_gaps"]
    assert "-- order_gaps: derived, made in this query" in comment(gaps)


def test_the_small_files_of_months_that_are_over_become_one_with_the_same_rows(
    lake: Lake, engine: Engine
) -> None:
    files = add_days(lake, engine, datetime(2017, 1, 20, tzinfo=UTC), 24)
    before = lake.relation("clean.things", {})
    kept = rows(engine, before)
    made = compact(lake, engine, "things", datetime(2017, 2, 13, tzinfo=UTC))
    assert (made.before, made.after) == (12, 1)
    after = lake.relation("clean.things", {})
    assert len(after.files) == 13
    assert set(files[12:]) < set(after.files)
    assert rows(engine, after) == kept
    assert rows(engine, before) == kept  # who listed the files of before can still read them
    again = compact(lake, engine, "things", datetime(2017, 2, 13, tzinfo=UTC))
    assert (again.before, again.after) == (0, 0)


def test_few_files_are_left_alone(lake: Lake, engine: Engine) -> None:
    add_days(lake, engine, datetime(2017, 1, 1, tzinfo=UTC), FEWEST - 1)
    assert compact(lake, engine, "things", AS_OF).before == 0


def test_files_that_another_process_replaced_are_not_exchanged(lake: Lake, engine: Engine) -> None:
    mine = add_days(lake, engine, datetime(2017, 1, 1, tzinfo=UTC), 3)
    other, late = (lake.new_file("clean.things") for _ in range(2))
    for path in (other, late):
        engine.write("SELECT * FROM t", {"t": Relation(tuple(mine[:2]))}, path)
    assert lake.exchange("clean.things", mine[:2], [other])
    assert not lake.exchange("clean.things", mine, [late])
    assert set(lake.relation("clean.things", {}).files) == {mine[2], other}


def test_pruned_files_give_the_values_of_all_files(
    lake: Lake, engine: Engine, catalog: Catalog
) -> None:
    """Files whose events overlap, some of them valid long after they happened."""
    types = {name: column.type for name, column in catalog.tables["orders"].columns.items()}
    instants = {"valid_at": DataType.TIMESTAMP, "loaded_at": DataType.TIMESTAMP}
    lake.ensure("clean.orders", {**types, **instants})
    paths = []
    for number in range(20):
        paths.append(lake.new_file("clean.orders"))
        engine.write(
            f"SELECT '{number}-' || i AS order_id, 'c' || i % 5 AS customer_key, happened AS "
            "ordered_at, 'placed' AS status, i * 1.5e0 AS amount, 0.5e0 AS discount_amount, "
            "0.0::DOUBLE AS coupon_amount, 1::BIGINT AS line_count, 's' AS store_id, "
            f"happened + to_days({number % 4 * 20}) AS valid_at, happened AS loaded_at "
            "FROM (SELECT i, TIMESTAMPTZ '2016-12-01 00:00:00+00' + "
            f"to_days(CAST({number} * 15 + i * 7 AS INTEGER)) AS happened FROM range(12) AS t(i))",
            {},
            paths[-1],
        )
    lake.append("clean.orders", paths)
    people = str(Path(paths[0]).parent / "people.parquet")
    engine.write(
        "SELECT 'c' || i AS customer_id, TIMESTAMPTZ '1900-01-01 00:00:00+00' AS since_at, "
        "since_at AS valid_at, since_at AS loaded_at FROM range(5) AS t(i)",
        {},
        people,
    )
    slugs = ["order_count_30d", "order_amount_90d", "active_days_90d"]
    compiled = compile_tags(catalog, AS_OF, slugs, changed=frozenset())
    columns = {name: ({**types, **instants})[name] for name in compiled.tables["orders"]}
    before = ("valid_at", AS_OF)
    whole = lake.relation("clean.orders", columns, before=before)
    some = lake.relation("clean.orders", columns, before=before, after=compiled.since["orders"])
    assert 0 < len(some.files) < len(whole.files) / 2
    population = column_types(catalog, "customers", compiled.tables["customers"])
    found = [
        engine.fetch(
            compiled.sql, {"orders": orders, "customers": Relation((people,), population)}
        ).to_pylist()
        for orders in (some, whole)
    ]
    assert found[0] == found[1]
    assert all(row["order_count_30d"] > 0 for row in found[0])
