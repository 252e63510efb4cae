"""Benchmarks: generated rows, references with the same values, and the page made of results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from xml.etree import ElementTree

import duckdb
import pyarrow.parquet as parquet
import pytest
from benchmarks import report
from benchmarks.crane_files import LOCATION, CraneFiles, write_definitions
from benchmarks.deliveries import Sizes, customers_sql, deliver, orders_sql
from benchmarks.equality import require_equal
from benchmarks.plot import svg
from benchmarks.purchases import simulated
from benchmarks.results import Line, Machine, Results, load_all, merged
from benchmarks.shop import BUSINESS, DEFINITIONS
from benchmarks.statistics import REFERENCES, by_hand
from examples.crane_works.parameters import Parameters
from examples.crane_works.systems import READINGS
from examples.crane_works.world import simulate

from tagline.catalog import Catalog, load_catalog
from tagline.compile import compile_tags
from tagline.definitions.source import FileTable
from tagline.engines import Relation
from tagline.engines.duckdb import DuckDBEngine
from tagline.training.estimators.purchase_process import checked
from tagline.versions import row_columns

SIZES = Sizes(events=30_000, days=730)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCHMARK_DELIVERIES", str(tmp_path_factory.mktemp("none")))
        yield load_catalog(DEFINITIONS, BUSINESS)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory, catalog: Catalog) -> dict[str, Relation]:
    """The shop's clean tables, made of every tenth day's orders by the source's own SQL."""
    folder = tmp_path_factory.mktemp("shop")
    days = [orders_sql(SIZES, number) for number in range(9, SIZES.days, 10)]
    found = {}
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name, delivered, moment in (
            ("customers", customers_sql(SIZES), "since_at"),
            ("orders", " UNION ALL ".join(days), "ordered_at"),
        ):
            connection.execute(f"CREATE TABLE {name} AS {delivered}")
            path = folder / f"{name}.parquet"
            connection.execute(
                f"COPY (SELECT * REPLACE ({moment}::TIMESTAMPTZ AS {moment}), 'x' AS _source, "
                f"{moment}::TIMESTAMPTZ AS valid_at, TIMESTAMPTZ '2022-01-01' AS loaded_at, "
                f"0::BIGINT AS customer_bucket FROM ({catalog.source_sql('deliveries', name)})) "
                f"TO '{path}'"
            )
            found[name] = Relation((str(path),), row_columns(catalog.tables[name]))
    return found


@pytest.fixture
def engine(tmp_path: Path) -> DuckDBEngine:
    return DuckDBEngine("1GB", 2, str(tmp_path / "spilled"))


@pytest.fixture(scope="module")
def compiled(
    catalog: Catalog, clean: Mapping[str, Relation], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The twenty tags as the compiled query gives them."""
    made = compile_tags(catalog, SIZES.as_of, changed=frozenset())
    folder = tmp_path_factory.mktemp("compiled")
    engine = DuckDBEngine("1GB", 2, str(folder / "spilled"))
    engine.write(made.sql, clean, str(folder / "compiled.parquet"))
    return folder / "compiled.parquet"


# Generated deliveries


def test_the_same_seed_gives_the_same_orders_and_another_gives_others(tmp_path: Path) -> None:
    def rows(name: str, sizes: Sizes) -> list[tuple[object, ...]]:
        deliver(tmp_path / name, sizes, lambda _: None)
        with duckdb.connect() as connection:
            pattern = tmp_path / name / "orders" / "*.parquet"
            return connection.execute(f"SELECT * FROM '{pattern}' ORDER BY number").fetchall()

    first = rows("first", Sizes(1_000, 7))
    assert len(first) == 1_000
    assert rows("again", Sizes(1_000, 7)) == first
    assert rows("other", Sizes(1_000, 7, seed=5)) != first


def test_each_order_lies_in_the_file_of_its_day(tmp_path: Path) -> None:
    deliver(tmp_path, Sizes(500, 5), lambda _: None)
    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT parse_filename(filename, true) = CAST(ordered_at::DATE AS VARCHAR), count(*) "
            f"FROM read_parquet('{tmp_path / 'orders' / '*.parquet'}', filename = true) GROUP BY 1"
        ).fetchall()
    assert found == [(True, 500)]


def test_a_delivery_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    deliver(tmp_path, Sizes(100, 2), lambda _: None)
    first = sorted((path.name, path.stat().st_mtime_ns) for path in tmp_path.rglob("*.parquet"))
    deliver(tmp_path, Sizes(100, 2), lambda _: None)
    again = sorted((path.name, path.stat().st_mtime_ns) for path in tmp_path.rglob("*.parquet"))
    assert again == first


# References


def test_sql_by_hand_gives_the_values_of_the_compiled_query(
    catalog: Catalog,
    clean: Mapping[str, Relation],
    engine: DuckDBEngine,
    compiled: Path,
    tmp_path: Path,
) -> None:
    target = tmp_path / "by_hand.parquet"
    engine.write(by_hand(), clean, str(target))
    compared = require_equal(compiled, target, list(catalog.tags), "by hand")
    assert compared == 20 * SIZES.customers


def test_a_query_per_tag_gives_the_values_of_the_compiled_query(
    catalog: Catalog,
    clean: Mapping[str, Relation],
    engine: DuckDBEngine,
    compiled: Path,
    tmp_path: Path,
) -> None:
    made = dict(clean)
    for slug in [*catalog.tags, "wide_tags"]:
        query = (REFERENCES / "per_tag" / f"{slug}.sql").read_text("utf-8")
        engine.write(query, made, str(tmp_path / f"{slug}.parquet"))
        made[slug] = Relation((str(tmp_path / f"{slug}.parquet"),))
    require_equal(compiled, tmp_path / "wide_tags.parquet", list(catalog.tags), "per tag")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("* REPLACE (order_amount_30d + 0.01 AS order_amount_30d)", "order_amount_30d"),
        ("* REPLACE (nullif(main_channel, 'app') AS main_channel)", "main_channel"),
    ],
)
def test_a_differing_value_is_found(
    compiled: Path, tmp_path: Path, change: str, message: str
) -> None:
    other = tmp_path / "other.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT {change} FROM '{compiled}') TO '{other}'")
    with pytest.raises(AssertionError, match=message):
        require_equal(compiled, other, ["order_amount_30d", "main_channel"], "other")


def test_a_missing_customer_is_found(compiled: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT * FROM '{compiled}' LIMIT 100) TO '{other}'")
    with pytest.raises(AssertionError, match="on one side only"):
        require_equal(compiled, other, ["recency_days"], "other")


# The page


def results(**changes: object) -> Results:
    given: dict[str, object] = {
        "name": "one",
        "title": "One",
        "description": "What was done.",
        "command": "python -m benchmarks one",
        "measured_on": date(2026, 1, 1),
        "seed": 1,
        "sizes": {"events": 10},
        "machine": Machine(cores=2, memory_gb=8, system="Linux", python="3.11"),
        "versions": {"duckdb": "2"},
        "lines": (Line(key="slow", what="A thing", measured=3.0, unit="s", target=1.0),),
    }
    return Results.model_validate(given | changes)


def test_the_page_is_what_the_results_give() -> None:
    found = load_all()
    assert report.PAGE.read_text("utf-8") == report.page(found, report.findings())
    drawn = report.plot(found)
    assert (report.PLOT.read_text("utf-8") if report.PLOT.exists() else None) == drawn


def test_a_missed_target_needs_a_reason_and_the_page_shows_it() -> None:
    with pytest.raises(report.FindingMissing, match="slow"):
        report.page([results()], {})
    shown = report.page([results()], {"slow": "It waits for the disk."})
    assert "| A thing |  | 3 s | ≤ 1 s | missed |" in shown
    assert "- **A thing** (3 s): It waits for the disk." in shown


def test_a_ratio_that_should_be_large_is_met_from_its_target_on() -> None:
    line = Line(key="k", what="w", measured=2.5, unit="×", target=2.5, at="least")
    assert line.met
    assert line.model_copy(update={"measured": 2.4}).met is False
    assert line.model_copy(update={"target": None}).met is None


def test_a_row_measured_again_takes_the_place_of_the_old_one() -> None:
    rows = merged((), {"events": 5, "limit": "none", "s": 1.0}, ("events", "limit"))
    rows = merged(rows, {"events": 2, "limit": "none", "s": 2.0}, ("events", "limit"))
    rows = merged(rows, {"events": 5, "limit": "none", "s": 3.0}, ("events", "limit"))
    assert [(row["events"], row["s"]) for row in rows] == [(2, 2.0), (5, 3.0)]


def test_the_plot_is_drawn_with_a_line_per_series_and_without_what_is_zero() -> None:
    drawn = svg("Seconds", {"a": [(1e6, 1.0), (4e6, 9.0)], "b": [(1e6, 0.0)]}, "events", "s")
    lines = ElementTree.fromstring(drawn).findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 1


def test_no_result_names_a_place_of_the_machine() -> None:
    for found in load_all():
        text = found.model_dump_json()
        assert "/tmp" not in text and "/home" not in text, found.name


def test_simulated_customers_are_possible_and_of_both_habits() -> None:
    rows = simulated(3000)
    frequency, recency, age, mean = rows.T
    assert (checked(rows[:, :3]) == rows[:, :3]).all()
    assert (frequency <= recency).all() and (recency < age).all() and (mean > 0).all()
    assert frequency.max() > 100 and (frequency == 0).mean() > 0.5
    assert (simulated(3000) == rows).all()


def test_the_crane_makers_readings_come_by_the_day_on_which_they_were_received(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = CraneFiles(tmp_path / "files", Parameters(customers=60, machines=60, years=1))
    everything = [part.rows for part in simulate(files.parameters) if part.table is READINGS]
    written = files.write()
    assert written == sum(rows.num_rows for rows in everything) > 3_000
    last = files.folder / "readings" / "2023-12-31.parquet"
    assert not last.exists(), "the last day is yet to be delivered"
    events = files.folder / "systems" / "app" / "events" / "00000.parquet"
    before = parquet.read_table(events).num_rows
    files.deliver_last_day()
    files.deliver_last_day()  # what was broken off is repeated
    assert parquet.read_table(events).num_rows > before
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'Asia/Shanghai'")
        days = connection.execute(
            "SELECT parse_filename(filename, true), CAST(received_at AS DATE)::VARCHAR, count(*) "
            f"FROM read_parquet('{files.folder}/readings/*.parquet', filename = true) GROUP BY ALL"
        ).fetchall()
    assert sum(rows for *_, rows in days) == written
    assert {name for name, day, _ in days if name != day} == set()
    write_definitions(DEFINITIONS.parents[1] / "include", tmp_path / "include")
    monkeypatch.setenv(LOCATION, str(files.folder))
    made = load_catalog(tmp_path / "include", "crane_works")
    readings = made.sources["crane_telematics"].tables["readings"]
    assert isinstance(readings, FileTable) and readings.path == "readings/{date}.parquet"
