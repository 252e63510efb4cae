"""Compiled SQL: its golden file, and values that no later row can change."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagline.catalog import Catalog, load_catalog
from tagline.compile import compile_finish, compile_tags
from tagline.compute import column_types
from tagline.definitions import DataType
from tagline.engines import Engine, Relation, open_engine
from tagline.settings import PROJECT, Settings

GOLDEN = PROJECT / "tests" / "golden"
AS_OF = datetime(2017, 10, 1, tzinfo=UTC)
BEGINNING = datetime(1900, 1, 1, tzinfo=UTC)
STATISTICS = (
    "recency_days", "order_count_total", "order_count_90d", "order_amount_90d",
    "order_amount_mean", "order_gap_last_days", "last_order_date", "active_days_90d",
)  # fmt: skip


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog(PROJECT / "include", "grocer")


@pytest.fixture(scope="module")
def engine() -> Engine:
    return open_engine(Settings(threads=1))


@pytest.mark.parametrize("name", ["grocer.sql", "grocer_finish.sql"])
def test_compiled_sql_is_the_golden_file(catalog: Catalog, name: str) -> None:
    """Set TAGLINE_UPDATE_GOLDEN=1 to write the files anew, and review the difference."""
    if name == "grocer.sql":
        compiled = compile_tags(catalog, AS_OF)
    else:
        compiled = compile_finish(catalog, AS_OF, catalog.unavailable, catalog.models)
    path = GOLDEN / name
    if os.environ.get("TAGLINE_UPDATE_GOLDEN"):
        path.write_text(compiled.sql + "\n", "utf-8")
    assert compiled.sql + "\n" == path.read_text("utf-8")


def test_the_statistics_of_a_table_are_one_scan_whatever_their_window(catalog: Catalog) -> None:
    plain = [
        slug
        for slug, tag in catalog.tags.items()
        if tag.table == "orders" and tag.meaning.pick is None
    ]
    plain.remove("active_days_90d")  # the one distinct count has a narrow scan of its own
    sql = compile_tags(catalog, AS_OF, plain).sql
    assert len(plain) > 10
    assert sql.count("FROM orders AS r") == 1
    assert sql.count("FROM orders_rows AS r") == 1


def test_one_distinct_count_beside_other_statistics_is_a_scan_of_its_own(catalog: Catalog) -> None:
    compiled = compile_tags(catalog, AS_OF, ["active_days_90d", "order_count_total"])
    assert compiled.scans == {"orders_distinct": 1, "orders_statistics": 1}
    alone = compile_tags(catalog, AS_OF, ["active_days_90d"])
    assert alone.scans == {"orders_statistics": 1}


def test_only_the_columns_and_tables_needed_are_read(catalog: Catalog) -> None:
    compiled = compile_tags(catalog, AS_OF, ["order_count_total"])
    assert set(compiled.tables) == {"customers", "orders"}
    assert "amount" not in compiled.tables["orders"]
    assert compiled.columns.keys() == {"customer_id", "as_of", "order_count_total"}


def stored(catalog: Catalog, folder: Path, name: str, rows: Sequence[dict[str, Any]]) -> Relation:
    columns = (*catalog.tables[name].columns, "valid_at", "loaded_at")
    return relation(folder / f"{name}.parquet", column_types(catalog, name, columns), rows)


def relation(path: Path, types: dict[str, DataType], rows: Sequence[dict[str, Any]]) -> Relation:
    arrow = {
        DataType.TIMESTAMP: pyarrow.timestamp("us", tz="UTC"),
        DataType.NUMBER: pyarrow.float64(),
        DataType.INTEGER: pyarrow.int64(),
    }
    table = pyarrow.table(
        {
            name: pyarrow.array([row.get(name) for row in rows], arrow.get(kind, pyarrow.string()))
            for name, kind in types.items()
        }
    )
    pyarrow.parquet.write_table(table, path)
    return Relation((str(path),), types)


def values(
    catalog: Catalog, engine: Engine, orders: Sequence[dict[str, Any]], known_at: datetime | None
) -> dict[str, dict[str, Any]]:
    """The statistics of each customer, from stored versions and what supersedes them."""
    entries = []
    for order_id in {row["order_id"] for row in orders}:
        chain = sorted(
            (row for row in orders if row["order_id"] == order_id), key=lambda row: row["valid_at"]
        )
        for older, newer in pairwise(chain):
            recorded = max(older["loaded_at"], newer["loaded_at"])
            entries.append({**older, "until_at": newer["valid_at"], "recorded_at": recorded})
    people = [
        {"customer_id": key, "since_at": BEGINNING, "valid_at": BEGINNING, "loaded_at": BEGINNING}
        for key in ("a", "b")
    ]
    compiled = compile_tags(catalog, AS_OF, STATISTICS, known_at)
    names = ("order_id", "valid_at", "loaded_at", "until_at", "recorded_at")
    with tempfile.TemporaryDirectory() as folder:
        found = {
            "orders": stored(catalog, Path(folder), "orders", orders),
            "customers": stored(catalog, Path(folder), "customers", people),
            "orders__superseded": relation(
                Path(folder) / "superseded.parquet", column_types(catalog, "orders", names), entries
            ),
            "customers__superseded": Relation(
                (), column_types(catalog, "customers", ("customer_id", *names[1:]))
            ),
        }
        rows = engine.fetch(compiled.sql, found).to_pylist()
    return {row["customer_id"]: row for row in rows}


@st.composite
def versions(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Versions of a few orders, dated around as_of; (order, valid_at) is unique."""
    hours = st.integers(-24 * 120, 24 * 30)
    orders = draw(st.lists(st.tuples(st.sampled_from("ab"), hours), min_size=1, max_size=6))
    rows = []
    for number, (customer, ordered) in enumerate(orders):
        ordered_at = AS_OF + timedelta(hours=ordered)
        lags = draw(st.lists(st.integers(0, 24 * 60), min_size=1, max_size=3, unique=True))
        for lag in lags:
            valid_at = ordered_at + timedelta(hours=lag)
            rows.append(
                {
                    "order_id": f"{number}",
                    "customer_key": customer,
                    "ordered_at": ordered_at,
                    "status": draw(st.sampled_from(["placed", "placed", "cancelled"])),
                    "amount": draw(st.integers(0, 10_000)) / 100,
                    "discount_amount": 0.0,
                    "coupon_amount": 0.0,
                    "line_count": 1,
                    "store_id": "s",
                    "valid_at": valid_at,
                    "loaded_at": valid_at + timedelta(hours=draw(st.integers(0, 24 * 40))),
                }
            )
    return rows


def expected(
    orders: Sequence[dict[str, Any]], customer: str, known_at: datetime | None
) -> dict[str, Any]:
    """The statistics by their definitions, in plain Python."""
    held: dict[str, dict[str, Any]] = {}
    for row in sorted(orders, key=lambda row: row["valid_at"]):
        known = known_at is None or row["loaded_at"] <= known_at
        if known and row["valid_at"] < AS_OF and row["ordered_at"] < AS_OF:
            held[row["order_id"]] = row
    placed = [
        row
        for row in held.values()
        if row["customer_key"] == customer and row["status"] == "placed"
    ]
    placed.sort(key=lambda row: (row["ordered_at"], row["order_id"]))
    recent = [row for row in placed if row["ordered_at"] >= AS_OF - timedelta(days=90)]
    last = placed[-1]["ordered_at"] if placed else None
    gap = (placed[-1]["ordered_at"] - placed[-2]["ordered_at"]) if len(placed) > 1 else None
    return {
        "recency_days": (AS_OF.date() - last.date()).days if last else None,
        "order_count_total": len(placed),
        "order_count_90d": len(recent),
        "order_amount_90d": round(sum(row["amount"] for row in recent), 2),
        "order_amount_mean": sum(row["amount"] for row in placed) / len(placed) if placed else None,
        "order_gap_last_days": round(gap.total_seconds() / 86400, 6) if gap is not None else None,
        "last_order_date": last.date() if last else None,
        "active_days_90d": len({row["ordered_at"].date() for row in recent}),
    }


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(orders=versions())
def test_values_follow_the_versions_that_hold_as_of_the_instant(
    catalog: Catalog, engine: Engine, orders: list[dict[str, Any]]
) -> None:
    got = values(catalog, engine, orders, None)
    for customer in ("a", "b"):
        wanted = expected(orders, customer, None)
        assert {slug: got[customer][slug] for slug in STATISTICS} == pytest.approx(wanted)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(orders=versions(), later=versions())
def test_rows_that_become_true_at_or_after_as_of_change_no_value(
    catalog: Catalog, engine: Engine, orders: list[dict[str, Any]], later: list[dict[str, Any]]
) -> None:
    future = [
        {**row, "order_id": f"f{row['order_id']}" if number % 2 else row["order_id"]}
        for number, row in enumerate(later)
        if row["valid_at"] >= AS_OF
    ]
    taken = {(row["order_id"], row["valid_at"]) for row in orders}
    future = [row for row in future if (row["order_id"], row["valid_at"]) not in taken]
    future = list({(row["order_id"], row["valid_at"]): row for row in future}.values())
    assert values(catalog, engine, orders + future, None) == values(catalog, engine, orders, None)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(orders=versions(), days=st.integers(-60, 60))
def test_values_are_reproduced_as_they_were_known(
    catalog: Catalog, engine: Engine, orders: list[dict[str, Any]], days: int
) -> None:
    known_at = AS_OF + timedelta(days=days)
    known = [row for row in orders if row["loaded_at"] <= known_at]
    for customer, row in values(catalog, engine, orders, known_at).items():
        wanted = expected(known, customer, known_at)
        assert {slug: row[slug] for slug in STATISTICS} == pytest.approx(wanted)
