"""Derived tables are made once from a state of their inputs, and read wherever that holds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest

from tagline import storage
from tagline.catalog import Catalog, load_catalog
from tagline.compile import compile_derived, compile_tags
from tagline.compile.choices import choices, comment
from tagline.compute import (
    changed_tables,
    column_types,
    feature_table,
    relations,
    superseded_columns,
)
from tagline.definitions.types import DataType
from tagline.deployment import Deployment
from tagline.derived import KEPT, derived_tables, sweep
from tagline.engines import open_engine
from tagline.lake import Lake
from tagline.settings import Settings
from tagline.sqlfiles import parse_sql

PROJECT = Path(__file__).parents[2]
FIRST = datetime(2017, 1, 1, tzinfo=UTC)
AS_OF = datetime(2017, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
SLUGS = ("order_gap_mean_days", "order_gap_last_days", "order_gap_stddev_days", "last_order_amount")


@dataclass
class Shop:
    """A grocer whose clean tables are written by hand; nothing of it needs a database."""

    deployment: Deployment

    def add(self, table: str, rows: Sequence[dict[str, Any]]) -> None:
        """One more file of a clean table, or of its superseded versions."""
        lake, catalog = self.deployment.lake, self.deployment.catalog
        name, _, entries = table.partition("__")
        types = (
            superseded_columns(catalog, name)
            if entries
            else column_types(catalog, name, [*catalog.tables[name].columns, *BOOKKEEPING])
        )
        lake.ensure(f"clean.{table}", types)
        path = lake.new_file(f"clean.{table}")
        shown = " UNION ALL ".join(
            "SELECT " + ", ".join(f"{_literal(row.get(c), k)} AS {c}" for c, k in types.items())
            for row in rows
        )
        self.deployment.engine.write(shown, {}, path)
        lake.append(f"clean.{table}", [path])

    def order(self, number: int, at: datetime, amount: float = 1.0, **given: Any) -> None:
        """One more order in a file of its own, known as soon as it is true."""
        row = {"order_id": f"o{number}", "customer_key": f"c{number % 3}", "ordered_at": at}
        row |= {"status": "placed", "amount": amount, "valid_at": at, "loaded_at": at}
        self.add("orders", [row | given])

    def supersede(self, number: int, valid_at: datetime, until: datetime, known: datetime) -> None:
        """Say that a version of an order held until an instant."""
        entry = {"order_id": f"o{number}", "valid_at": valid_at, "loaded_at": valid_at}
        self.add("orders__superseded", [entry | {"until_at": until, "recorded_at": known}])

    def files(self) -> set[str]:
        """The kept files of the derived table."""
        return {*storage.listed(storage.below(self.deployment.lake.location, *PLACE))}

    def values(self, as_of: datetime, known_at: datetime | None = None) -> list[dict[str, Any]]:
        """What tags over the derived table give, by way of its files."""
        rows = feature_table(self.deployment, as_of, SLUGS, known_at).to_pylist()
        return sorted(rows, key=lambda row: str(row["customer_id"]))

    def inlined(self, as_of: datetime, known_at: datetime | None = None) -> list[dict[str, Any]]:
        """What they give with the derived table made in the query."""
        changed = changed_tables(self.deployment)
        made = compile_tags(self.deployment.catalog, as_of, SLUGS, known_at, changed)
        found = relations(self.deployment, made, as_of)
        rows = self.deployment.engine.fetch(made.sql, found).select(["customer_id", *SLUGS])
        return sorted(rows.to_pylist(), key=lambda row: str(row["customer_id"]))

    def define(self, sql: str) -> None:
        """Change the SQL of the derived table."""
        catalog = self.deployment.catalog
        changed = parse_sql("sql/derived/order_gaps.sql", sql)
        catalog = replace(catalog, derived={**catalog.derived, "order_gaps": changed})
        self.deployment = replace(self.deployment, catalog=catalog)


@dataclass
class Locks:
    """The registry's locks, as one process has them; `before` happens while it waits."""

    before: Callable[[], object] = int
    taken: list[str] = field(default_factory=list)

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        self.taken.append(name)
        self.before()
        yield


PLACE = ("derived", "order_gaps")
BOOKKEEPING = ("valid_at", "loaded_at")


def _literal(value: object, kind: DataType) -> str:
    return "CAST(NULL AS " + kind.sql + ")" if value is None else f"CAST('{value}' AS {kind.sql})"


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog(PROJECT / "include", "grocer")


@pytest.fixture
def shop(tmp_path: Path, catalog: Catalog) -> Shop:
    """Nine orders of three customers, every fifth day."""
    settings = Settings(home=tmp_path, threads=1)
    lake = Lake(f"sqlite:///{tmp_path}/lake.db", str(tmp_path / "lake"))
    registry = cast(Any, Locks())  # these tags read no release
    made = Shop(Deployment(settings, catalog, registry, lake, open_engine(settings)))
    people = [{"customer_id": f"c{n}", "since_at": FIRST} for n in range(3)]
    made.add("customers", [p | dict.fromkeys(BOOKKEEPING, FIRST) for p in people])
    rows = []
    for number in range(9):
        at = FIRST + number * 5 * DAY
        rows.append({"order_id": f"o{number}", "customer_key": f"c{number % 3}", "ordered_at": at})
        rows[-1] |= {"status": "placed", "amount": number, "valid_at": at, "loaded_at": at}
    made.add("orders", rows)
    return made


def test_a_second_query_of_the_same_instant_reads_the_file_of_the_first(shop: Shop) -> None:
    first = shop.values(AS_OF)
    (path,) = shop.files()
    written = Path(path).stat().st_mtime_ns
    assert shop.values(AS_OF) == first == shop.inlined(AS_OF)
    assert [row["order_gap_mean_days"] for row in first] == [15.0, 15.0, 15.0]
    assert shop.files() == {path}
    assert Path(path).stat().st_mtime_ns == written


def test_a_file_that_another_process_makes_meanwhile_is_not_made_again(shop: Shop) -> None:
    """Who reads it would find the parts of two files in one."""
    waiting, other = Locks(), Locks()
    here, there = (
        Shop(replace(shop.deployment, registry=cast(Any, locks))) for locks in (waiting, other)
    )
    written: list[int] = []

    def another_makes_it() -> None:
        there.values(AS_OF)
        (path,) = there.files()
        written.append(Path(path).stat().st_mtime_ns)

    waiting.before = another_makes_it
    assert here.values(AS_OF) == shop.inlined(AS_OF)
    (path,) = here.files()
    assert written == [Path(path).stat().st_mtime_ns]
    assert waiting.taken == other.taken == ["derived:order_gaps"]


def test_the_file_is_what_is_read(shop: Shop) -> None:
    shop.values(AS_OF)
    (path,) = shop.files()
    shop.deployment.engine.write(
        "SELECT * REPLACE (7.0::DOUBLE AS gap_days) FROM t",
        {"t": replace(shop.deployment.lake.relation("none.there", {}), files=(path,))},
        path,
    )
    assert [row["order_gap_mean_days"] for row in shop.values(AS_OF)] == [7.0, 7.0, 7.0]


def test_a_later_day_without_new_rows_makes_nothing(shop: Shop) -> None:
    shop.values(AS_OF)
    made = shop.files()
    assert shop.values(AS_OF + 9 * DAY) == shop.inlined(AS_OF + 9 * DAY)
    assert shop.files() == made


def test_an_instant_among_the_rows_has_a_file_of_its_own(shop: Shop) -> None:
    """Each sees other orders of the one file of orders."""
    instants = [FIRST + 32 * DAY, FIRST + 33 * DAY, AS_OF]
    assert [shop.values(at) for at in instants] == [shop.inlined(at) for at in instants]
    assert len(shop.files()) == 3


def late_row(shop: Shop) -> None:
    shop.order(20, FIRST + 12 * DAY, loaded_at=AS_OF + DAY)


def new_row(shop: Shop) -> None:
    shop.order(21, AS_OF - DAY)


def superseded_row(shop: Shop) -> None:
    shop.supersede(4, FIRST + 20 * DAY, FIRST + 30 * DAY, AS_OF + DAY)


def changed_definition(shop: Shop) -> None:
    text = (PROJECT / "include/sql/derived/order_gaps.sql").read_text("utf-8")
    shop.define(text.replace("status = 'placed'", "amount <> 4"))


@pytest.mark.parametrize("change", [late_row, new_row, superseded_row, changed_definition])
def test_a_change_leads_to_another_file(shop: Shop, change: Callable[[Shop], None]) -> None:
    before = shop.values(AS_OF)
    change(shop)
    after = shop.values(AS_OF)
    assert after == shop.inlined(AS_OF) != before
    assert len(shop.files()) == 2


def test_what_lies_after_the_instant_changes_nothing(shop: Shop) -> None:
    shop.supersede(3, FIRST + 15 * DAY, FIRST + 20 * DAY, AS_OF)
    before = shop.values(AS_OF)
    made = shop.files()
    shop.order(22, AS_OF + DAY)
    shop.supersede(4, FIRST + 20 * DAY, AS_OF + DAY, AS_OF + DAY)
    assert shop.values(AS_OF) == before
    assert shop.files() == made


def test_another_known_at_leads_to_another_file(shop: Shop) -> None:
    late_row(shop)
    assert shop.values(AS_OF, AS_OF) == shop.inlined(AS_OF, AS_OF) != shop.values(AS_OF)
    assert len(shop.files()) == 2


@pytest.mark.slow
def test_values_are_those_of_the_inlined_query_through_any_changes(shop: Shop) -> None:
    """Each round changes something or nothing, then looks from an instant."""
    random = Random(17)
    for number in range(30, 37):
        at = FIRST + random.randrange(80) * DAY
        choice = random.randrange(4)
        if choice == 0:
            shop.order(number, at, float(number))
        elif choice == 1:
            shop.order(number, at, float(number), loaded_at=at + random.randrange(30) * DAY)
        elif choice == 2:
            order = random.randrange(9)
            made = FIRST + order * 5 * DAY
            shop.supersede(order, made, made + random.randrange(50) * DAY, at)
        as_of = random.choice([AS_OF, FIRST + random.randrange(20, 90) * DAY])
        known_at = random.choice([None, as_of])
        assert shop.values(as_of, known_at) == shop.inlined(as_of, known_at)
    assert 3 < len(shop.files()) < 7  # some rounds had nothing to make


def test_rows_of_other_types_than_declared_are_made_in_the_query(shop: Shop) -> None:
    """A decimal read back as a number would no longer be the same."""
    text = (PROJECT / "include/sql/derived/order_gaps.sql").read_text("utf-8")
    shop.define(text.replace("  amount,", "  CAST(amount AS DECIMAL(9, 2)) AS amount,"))
    assert shop.values(AS_OF) == shop.inlined(AS_OF)
    assert shop.files() == set()


def test_a_query_that_may_make_nothing_reads_what_is_there(shop: Shop) -> None:
    tables = derived_tables(shop.deployment, AS_OF)

    def shown() -> str:
        def compiler(*, materialised: frozenset[str]) -> Any:
            return compile_tags(shop.deployment.catalog, AS_OF, SLUGS, materialised=materialised)

        return comment(choices(tables.compiled(compiler, make=False)[0]))

    assert "-- order_gaps: derived, made in this query" in shown()
    assert shop.files() == set()
    shop.values(AS_OF)
    assert "-- order_gaps: derived, reused from its file" in shown()
    assert "orders" not in shown()


def test_a_file_that_is_swept_before_it_is_read_is_done_without(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def swept(*given: Any) -> Any:
        for path in shop.files():
            Path(path).unlink()
        return relations(*given)

    wanted = shop.values(AS_OF)
    monkeypatch.setattr("tagline.derived.relations", swept)
    assert shop.values(AS_OF) == wanted
    assert shop.files() == set()


def test_old_files_are_swept_but_for_the_newest_few_and_those_of_a_day(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number:02}.parquet" for number in range(KEPT + 5)]
    for age, path in enumerate(paths):
        path.write_bytes(b"")
        seconds = AS_OF.timestamp() - age * 3600
        os.utime(path, (seconds, seconds))
    sweep(str(tmp_path))
    assert sorted(tmp_path.iterdir()) == paths  # hours apart: someone may be about to read them
    for path in paths[KEPT:]:
        seconds = AS_OF.timestamp() - 3 * 86400
        os.utime(path, (seconds, seconds))
    sweep(str(tmp_path))
    assert sorted(tmp_path.iterdir()) == paths[:KEPT]
    sweep(str(tmp_path / "none"))


def test_as_of_is_in_the_query_of_a_derived_table_only_where_rows_are_bounded(
    catalog: Catalog,
) -> None:
    """What a file may be reused on is decided by these bounds."""
    made = compile_derived(catalog, "order_gaps", AS_OF)
    literal = "TIMESTAMPTZ '2017-03-01 00:00:00+00:00'"
    bounds = sum(map(len, made.before_as_of.values())) + len(made.superseded)
    assert made.sql.count(literal) == bounds == 3
    assert made.sql.count("2017-03-01") == bounds
    assert not made.nested


def test_a_derived_table_of_a_derived_table_is_bounded_by_what_that_makes(catalog: Catalog) -> None:
    """Its events may lie after rows that all lie before as_of."""
    outer = parse_sql("sql/derived/outer.sql", "SELECT * FROM order_gaps")
    tables = {**catalog.tables, "outer": catalog.tables["order_gaps"]}
    nested = replace(catalog, tables=tables, derived={**catalog.derived, "outer": outer})
    assert compile_derived(nested, "outer", AS_OF).nested
