"""The gift shop on its two real files, and on small ones that change, come late and go.

The real files are not part of the project: they lie in `../shared/data/online_retail` beside it,
or in the folder that TAGLINE_GIFT_SHOP_DATA names; without them those tests are skipped.
"""

from __future__ import annotations

import importlib.util
import math
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from tests.conftest import drop_databases
from tests.definition_copies import copied_definitions

from tagline.errors import QuarantineLimitExceeded
from tagline.settings import Settings

if TYPE_CHECKING:
    from tagline.cleanings import CleanReport
    from tagline.deployment import Deployment
    from tagline.extract import ExtractReport

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).resolve().parents[2]
DATA = Path(
    os.environ.get("TAGLINE_GIFT_SHOP_DATA", PROJECT.parent / "shared" / "data" / "online_retail")
)
FIRST, SECOND = "online_retail_II_2009_2010.parquet", "online_retail_2010_2011.parquet"
LONDON = ZoneInfo("Europe/London")
TOLERANCE = 2e-6
real = pytest.mark.skipif(
    not all((DATA / name).exists() for name in (FIRST, SECOND)),
    reason=f"{FIRST} and {SECOND} are not in ../shared/data/online_retail",
)


def _brute_force() -> ModuleType:
    path = Path(__file__).with_name("gift_shop_brute_force.py")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


brute_force = _brute_force()
COUNTERPARTS: Mapping[str, Callable[[Any], pd.Series]] = brute_force.TAGS


def midnight(day: str) -> datetime:
    """The instant at which a day of the shop begins."""
    return datetime.fromisoformat(day).replace(tzinfo=LONDON).astimezone(UTC)


@dataclass
class Shop:
    """A deployment of the gift shop with a folder of its own; its clock moves on by runs."""

    deployment: Deployment
    data: Path
    clock: datetime = datetime(2020, 1, 1, tzinfo=UTC)
    runs: int = field(default=0)

    def deliver(self, name: str, as_name: str | None = None) -> None:
        """Lay one of the real files into the shop's folder."""
        shutil.copy(DATA / name, self.data / (as_name or name))

    def load(self, as_of: str) -> tuple[ExtractReport, CleanReport]:
        """Extract and clean up to a day."""
        from tagline.clean import clean
        from tagline.extract import extract

        run, at = self.start(as_of)
        extracted = extract(self.deployment, run, midnight(as_of), at)
        return extracted, clean(self.deployment, run, midnight(as_of), at)

    def start(self, as_of: str) -> tuple[str, datetime]:
        self.runs += 1
        self.clock += timedelta(days=1)
        run = f"run-{self.runs}"
        self.deployment.registry.start_run(run, midnight(as_of), self.clock)
        return run, self.clock

    def tags(self, as_of: str, *slugs: str, known_at: datetime | None = None) -> dict[str, Any]:
        """Values of tags by customer, as of a day."""
        from tagline.compute import feature_table

        table = feature_table(self.deployment, midnight(as_of), slugs, known_at)
        return {row["customer_id"]: tuple(row[slug] for slug in slugs) for row in table.to_pylist()}

    def stored(self, table: str, select: str) -> list[dict[str, Any]]:
        """A query over `rows`: the versions of a table that were not retracted."""
        from tagline.versions import entry_columns, row_columns

        definition = self.deployment.catalog.tables[table]
        lake = self.deployment.lake
        same = " AND ".join(f"e.{k} = r.{k}" for k in (*definition.key, "valid_at", "loaded_at"))
        sql = (
            f"WITH rows AS (SELECT * FROM stored AS r WHERE NOT EXISTS (SELECT 1 FROM ended AS e "
            f"WHERE {same} AND e.until_at <= e.valid_at)) {select}"
        )
        relations = {
            "stored": lake.relation(f"clean.{table}", row_columns(definition)),
            "ended": lake.relation(f"clean.{table}__superseded", entry_columns(definition)),
        }
        rows: list[dict[str, Any]] = self.deployment.engine.fetch(sql, relations).to_pylist()
        return rows

    def quarantined(self, table: str, select: str) -> list[dict[str, Any]]:
        """A query over `rows`: the quarantine of a table."""
        from tagline.quarantine import COLUMNS

        found = self.deployment.lake.relation(f"quarantine.{table}", COLUMNS)
        sql = f"WITH rows AS (SELECT * FROM kept) {select}"
        made: list[dict[str, Any]] = self.deployment.engine.fetch(sql, {"kept": found}).to_pylist()
        return made

    def contents(self) -> dict[str, Any]:
        """What the lake says, whenever and in whatever order it was loaded."""
        made: dict[str, Any] = {}
        for table in ("customers", "orders", "order_lines"):
            columns = [*self.deployment.catalog.tables[table].columns, "valid_at"]
            row = f"hash({', '.join(columns)})"
            select = f"SELECT count(*) AS n, sum({row}) AS s, bit_xor({row}) AS x FROM rows"
            made[table] = self.stored(table, select)
        for table in ("orders", "order_lines"):
            select = 'SELECT count(*) AS n, sum(hash(reason, "row")) AS s FROM rows'
            made[f"{table} in quarantine"] = self.quarantined(table, select)
        return made


@pytest.fixture(scope="module")
def open_shop(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Shop]]:
    """Opens empty gift shops by name, each with databases, lake and source folder of its own."""
    from tagline.deployment import open_deployment

    with ExitStack() as stack:

        def opened(name: str) -> Shop:
            folder = tmp_path_factory.mktemp(name)
            root, data = folder / "definitions", folder / "data"
            data.mkdir()
            copied_definitions(root)
            source = root / "sources" / "online_retail.yaml"
            text = source.read_text("utf-8")
            source.write_text(text.replace("${TAGLINE_GIFT_SHOP_DATA}", str(data)), "utf-8")
            (root / "businesses" / "gift_shop.yaml").rename(root / "businesses" / f"{name}.yaml")
            settings = Settings(
                business=name, definitions=root, home=folder / "home", database_url=postgres_url
            )
            stack.callback(drop_databases, settings)
            return Shop(stack.enter_context(open_deployment(settings)), data)

        yield opened


@pytest.fixture(scope="module")
def whole(open_shop: Callable[[str], Shop]) -> Shop:
    """The shop with both files, one after the other, and its last day released."""
    from tagline.pipeline import run_day

    shop = open_shop("shop_with_both")
    shop.deliver(FIRST)
    shop.load("2010-12-10")
    shop.deliver(SECOND)
    run, at = shop.start("2011-12-10")
    report = run_day(shop.deployment, midnight("2011-12-10"), run, lambda: at)
    assert report.status == "released"
    return shop


@pytest.fixture(scope="module")
def lines() -> pd.DataFrame:
    """The lines of both files by plain pandas."""
    found: pd.DataFrame = brute_force.lines_of(DATA / FIRST, DATA / SECOND)
    return found


@pytest.fixture(scope="module")
def orders(lines: pd.DataFrame) -> pd.DataFrame:
    """The orders of both files by plain pandas, with when they were cancelled."""
    found: pd.DataFrame = brute_force.orders_of(lines)
    return found


# The real files


@real
def test_every_line_is_clean_or_in_quarantine_and_no_money_is_lost(whole: Shop) -> None:
    (clean,) = whole.stored(
        "order_lines",
        "SELECT count(*) AS n, count(DISTINCT customer_key) AS customers, "
        "sum(CAST(amount AS DECIMAL(18, 4)) * if(status = 'placed', 1, -1)) AS net FROM rows",
    )
    (refused,) = whole.quarantined(
        "order_lines",
        "SELECT count(*) AS n, count(*) FILTER (reason = 'no_customer') AS no_customer, "
        "sum(CAST(\"row\" ->> 'amount' AS DECIMAL(18, 4)) "
        "* if(\"row\" ->> 'status' = 'placed', 1, -1)) AS net FROM rows",
    )
    assert clean["n"] + refused["n"] == 1_044_847
    assert round(float(clean["net"] + refused["net"]), 2) == 18_909_744.12
    assert (refused["n"], refused["no_customer"]) == (235_287, 235_287)
    assert clean["customers"] == 5_942
    assert whole.stored("customers", "SELECT count(*) AS n FROM rows") == [{"n": 5_942}]


@real
def test_overlapping_lines_count_once_and_equal_lines_of_a_file_stay(
    whole: Shop, lines: pd.DataFrame
) -> None:
    raw = sum(len(pd.read_parquet(DATA / name, columns=["Quantity"])) for name in (FIRST, SECOND))
    assert raw - len(lines) == 22_523
    equal = whole.stored("order_lines", "SELECT count(*) AS n FROM rows WHERE line LIKE '%#%'")
    known = lines[lines["customer"].notna()]
    assert equal == [{"n": int((known["nth"] > 0).sum())}]
    assert equal[0]["n"] > 10_000


@real
def test_cancellations_are_versions_and_other_returns_orders_of_their_own(
    whole: Shop, orders: pd.DataFrame
) -> None:
    found = whole.stored("orders", "SELECT status, count(*) AS n FROM rows GROUP BY 1")
    versions = {row["status"]: row["n"] for row in found}
    at_once = int((orders["cancelled_at"] == orders["at"]).sum())
    cancelled = int(orders["cancelled_at"].notna().sum())
    assert versions == {
        "placed": int((~orders["takes_back"]).sum()) - at_once,
        "cancelled": cancelled + int((orders["status"] == "cancelled").sum()),
        "returned": int((orders["status"] == "returned").sum()),
    }
    assert cancelled == 346


@real
def test_every_tag_of_the_shop_has_a_counterpart(whole: Shop) -> None:
    assert set(whole.deployment.catalog.tags) == set(COUNTERPARTS)


@real
@pytest.mark.parametrize("as_of", ["2011-12-10", "2011-01-01"])
def test_every_tag_equals_plain_pandas(
    whole: Shop, lines: pd.DataFrame, orders: pd.DataFrame, as_of: str
) -> None:
    facts = brute_force.facts(lines, orders, as_of)
    slugs = sorted(COUNTERPARTS)
    found = whole.tags(as_of, *slugs)
    assert len(found) == len(facts.customers)
    for number, slug in enumerate(slugs):
        wanted = COUNTERPARTS[slug](facts)
        pairs = [(key, wanted[float(key)], row[number]) for key, row in found.items()]
        wrong = [pair for pair in pairs if not _same(*pair[1:])]
        assert not wrong, f"{slug} as of {as_of} differs for {len(wrong)}: {wrong[:3]}"


@real
def test_the_released_values_are_those_of_the_day(whole: Shop) -> None:
    import pyarrow.parquet

    live = whole.deployment.registry.live()
    assert live is not None
    rows = pyarrow.parquet.read_table(live.files["customer"]).to_pylist()
    values = {row["customer_id"]: (row["rfm_segment"], row["order_count_total"]) for row in rows}
    assert values == whole.tags("2011-12-10", "rfm_segment", "order_count_total")


@real
def test_what_is_cancelled_in_january_counts_in_december(
    whole: Shop, lines: pd.DataFrame, orders: pd.DataFrame
) -> None:
    cancelled = orders["cancelled_at"].between("2011-01-01", "2011-01-31")
    chosen = orders[(orders["at"] < "2011-01-01") & cancelled]
    assert len(chosen)
    for invoice in chosen.index:
        select = f"SELECT status FROM rows WHERE order_id = '{invoice}' ORDER BY valid_at"
        made = whole.stored("orders", select)
        assert [row["status"] for row in made] == ["placed", "cancelled"]
    past = lines[lines["at"] < "2011-01-01"]  # as if nothing had happened since
    facts = brute_force.facts(past, brute_force.orders_of(past), "2011-01-01")
    wanted = COUNTERPARTS["order_amount_total"](facts)
    found = whole.tags("2011-01-01", "order_amount_total")
    assert all(_same(wanted[float(key)], value) for key, (value,) in found.items())


@real
def test_files_in_either_order_and_twice_give_the_same_lake(
    whole: Shop, open_shop: Callable[[str], Shop]
) -> None:
    backwards = open_shop("shop_backwards")
    backwards.deliver(SECOND)
    backwards.load("2011-12-10")
    known_at = backwards.clock
    then = backwards.tags("2011-12-10", "order_count_total")
    backwards.deliver(FIRST)
    extracted, _ = backwards.load("2011-12-10")
    assert backwards.contents() == whole.contents()
    late = extracted.tables["online_retail.lines"].revised_days
    assert (late[0], late[-1]) == ("2009-12-01", "2010-12-09")
    assert backwards.tags("2011-12-10", "order_count_total", known_at=known_at) == then
    now = backwards.tags("2011-12-10", "order_count_total")
    first = brute_force.lines_of(DATA / FIRST)
    only = first[first["at"] < "2010-12-01"]
    touched = {str(int(key)) for key in only["customer"].dropna().unique()}
    differ = {key for key in now if now[key] != then.get(key)}
    assert differ <= touched
    placed = only[~only["invoice"].str.startswith("C")]
    assert {key for key in now if key not in then} <= differ
    assert len(differ) > 0.9 * placed["customer"].nunique()

    backwards.deliver(SECOND)
    extracted, cleaned = backwards.load("2011-12-10")
    assert extracted.tables["online_retail.lines"].loads == ()
    assert {made.added for made in cleaned.tables.values()} == {0}
    assert backwards.contents() == whole.contents()


@real
def test_a_plan_lists_exactly_the_customers_whose_values_then_differ(
    whole: Shop, tmp_path: Path
) -> None:
    """A changed standard is planned, then computed and released; the exports are compared."""
    from tagline.catalog import load_catalog
    from tagline.pipeline import run_stage
    from tagline.plan import planned
    from tagline.release import rollback
    from tagline.serve.exports import export

    root = tmp_path / "definitions"
    shutil.copytree(whole.deployment.catalog.root, root)
    standards = root / "standards.yaml"
    text, times = re.subn(
        r"(  dormant_days:.*?value: )180", r"\g<1>120", standards.read_text("utf-8"), flags=re.S
    )
    assert times == 1
    standards.write_text(text, "utf-8")
    shop = root / "businesses" / f"{whole.deployment.catalog.business}.yaml"
    text = shop.read_text("utf-8")
    shop.write_text(text.replace("value: 400}", "value: 700}"), "utf-8")
    catalog = load_catalog(root, whole.deployment.catalog.business)
    changed = replace(whole.deployment, catalog=catalog)
    released_before = whole.deployment.registry.releases()
    with planned(changed) as plan:
        document = plan.as_json()
        ids = {each.slug: plan.ids(each.slug) for each in plan.differences}
    assert whole.deployment.registry.releases()[0].id == released_before[0].id
    before, after = tmp_path / "before.parquet", tmp_path / "after.parquet"
    export(changed, str(before))
    run, at = whole.start("2011-12-10")
    for stage in ("compute", "score", "audit", "gate", "release"):
        run_stage(changed, stage, run, midnight("2011-12-10"), at)
    export(changed, str(after))
    rollback(changed, "the test is over", "test", at)

    old = pd.read_parquet(before).set_index("customer_id").sort_index()
    new = pd.read_parquet(after).set_index("customer_id").sort_index()
    assert list(old.index) == list(new.index) and list(old.columns) == list(new.columns)
    differ = {
        slug: sorted(
            new.index[[not _equal(*pair) for pair in zip(old[slug], new[slug], strict=True)]]
        )
        for slug in old.columns
        if slug != "as_of"
    }
    assert ids == {slug: found for slug, found in differ.items() if found or slug in ids}
    assert len(ids["is_wholesale"]) > 500 and len(ids["is_dormant"]) > 300
    counted = {tag["tag"]: tag["customers"]["differ"] for tag in document["tags"]}
    assert counted == {slug: len(found) for slug, found in ids.items()}
    assert {tag["how"] for tag in document["tags"]} == {"changed", "affected"}
    assert not {"order_count_total", "recency_days"} & set(document["computed"])


# Small files


Invoices = dict[str, tuple[str, int | None, list[tuple[str, float, float]]]]
ROWS: Invoices = {  # invoice: day, customer, lines of (stock code, quantity, price)
    "100": ("2010-12-10 10:00", 1, [("A", 2, 5.0), ("B", 1, 3.0)]),
    "101": ("2010-12-15 10:00", 2, [("A", 10, 5.0)]),
    "102": ("2010-12-20 11:00", 3, [("C", 4, 2.5), ("C", 4, 2.5)]),
    "103": ("2010-12-28 15:00", 1, [("B", 7, 3.0)]),
}


def write(shop: Shop, invoices: Mapping[str, Any], name: str = "online_retail_x.parquet") -> None:
    """A file in the shape of the second one."""
    rows = [
        {
            "InvoiceNo": invoice,
            "StockCode": code,
            "Description": "THING",
            "Quantity": float(quantity),
            "InvoiceDate": pd.Timestamp(at),
            "UnitPrice": price,
            "CustomerID": None if customer is None else float(customer),
            "Country": "United Kingdom",
        }
        for invoice, (at, customer, lines) in invoices.items()
        for code, quantity, price in lines
    ]
    frame = pd.DataFrame(rows).astype({"CustomerID": "float64"})
    frame.to_parquet(shop.data / name, index=False)


@pytest.fixture(scope="module")
def small(open_shop: Callable[[str], Shop]) -> Shop:
    """A shop with four orders of December, known on New Year's Eve."""
    shop = open_shop("shop_of_december")
    write(shop, ROWS)
    shop.load("2010-12-31")
    return shop


COUNTED = ("order_count_total", "order_amount_total", "product_count_365d")


def test_a_later_cancellation_leaves_the_days_before_it_alone(open_shop: Any) -> None:
    shop = open_shop("shop_that_cancels")
    write(shop, ROWS)
    shop.load("2010-12-31")
    before = shop.tags("2010-12-31", *COUNTED)
    january: Invoices = {
        "C200": ("2011-01-10 09:00", 1, [("B", -1, 3.0), ("A", -2, 5.0)]),  # all of 100
        "C201": ("2011-01-11 09:00", 2, [("A", -4, 5.0)]),  # a part of 101
    }
    write(shop, {**ROWS, **january})
    shop.load("2011-02-01")
    assert shop.tags("2010-12-31", *COUNTED) == before
    assert shop.tags("2011-01-10", *COUNTED) == before  # as of the midnight before it
    after = shop.tags("2011-02-01", "order_count_total", "order_amount_total", "return_share_365d")
    assert after["1"] == (1, 21.0, 0.0)  # cancelled: neither placed nor returned
    assert after["2"] == (1, 50.0, 0.4)
    assert after["3"] == (1, 20.0, 0.0)


def test_known_then_and_known_today_differ_just_where_rows_changed(open_shop: Any) -> None:
    from tagline.outdated import outdated
    from tagline.pipeline import run_day

    shop = open_shop("shop_of_late_rows")
    write(shop, ROWS)
    run, at = shop.start("2010-12-31")
    run_day(shop.deployment, midnight("2010-12-31"), run, lambda: at)
    known_at, then = shop.clock, shop.tags("2010-12-31", *COUNTED)
    assert outdated(shop.deployment) == []
    changed: Invoices = {
        **ROWS,
        "101": ("2010-12-15 10:00", 2, [("A", 12, 5.0)]),  # changed
        "104": ("2010-12-16 12:00", 4, [("D", 1, 9.0)]),  # late
    }
    del changed["103"]  # deleted
    write(shop, changed)
    extracted, _ = shop.load("2011-01-05")
    days = extracted.tables["online_retail.lines"].revised_days
    assert days == ("2010-12-15", "2010-12-16", "2010-12-28")
    now = shop.tags("2010-12-31", *COUNTED)
    assert shop.tags("2010-12-31", *COUNTED, known_at=known_at) == then
    assert {key for key in now if now[key] != then.get(key)} == {"1", "2", "4"}
    assert (now["1"], now["2"], now["4"]) == ((1, 13.0, 2), (1, 60.0, 1), (1, 9.0, 1))
    (late,) = outdated(shop.deployment)
    assert late.as_of == midnight("2010-12-31")
    assert late.touched_at == datetime(2010, 12, 15, 10, tzinfo=UTC)
    assert set(late.tables) == {"customers", "orders", "order_lines"}


def test_the_same_rows_again_and_in_a_second_file_change_nothing(small: Shop) -> None:
    write(small, ROWS)
    extracted, _ = small.load("2010-12-31")
    assert extracted.tables["online_retail.lines"].loads == ()
    before = small.contents()
    write(small, ROWS, "online_retail_y.parquet")
    extracted, cleaned = small.load("2010-12-31")
    assert extracted.tables["online_retail.lines"].rows == 12
    assert {made.added for made in cleaned.tables.values()} == {0}
    assert small.contents() == before


def test_a_share_of_lines_without_customer_above_the_limit_stops_the_run(open_shop: Any) -> None:
    shop = open_shop("shop_without_names")
    nameless: Invoices = {
        str(number): ("2010-12-11 10:00", None, [("A", 1, 1.0)]) for number in range(600, 695)
    }
    write(shop, {**ROWS, **nameless})
    with pytest.raises(QuarantineLimitExceeded, match=r"94\.1% of 101 rows are no_cust") as told:
        shop.load("2010-12-31")
    assert "limit 90.0%" in str(told.value) and "limit 30.0%" in str(told.value)
    assert shop.quarantined("order_lines", "SELECT count(*) AS n FROM rows") == [{"n": 95}]
    assert shop.stored("order_lines", "SELECT count(*) AS n FROM rows") == [{"n": 0}]
    few = dict(list(nameless.items())[:1])
    write(shop, {**ROWS, **few})
    shop.load("2010-12-31")
    assert shop.stored("order_lines", "SELECT count(*) AS n FROM rows") == [{"n": 6}]


def test_quarantined_rows_become_clean_by_a_replay_after_a_fix(open_shop: Any) -> None:
    from tagline.quarantine import counts, replay

    shop = open_shop("shop_that_mends")
    stray: Invoices = {"105": ("2010-12-18 10:00", None, [("E", 3, 2.0)])}
    write(shop, {**ROWS, **stray})
    shop.load("2010-12-31")
    refused = {"order_lines": {"no_customer": 1}, "orders": {"no_customer": 1}}
    assert counts(shop.deployment) == refused
    folder = shop.deployment.catalog.root / "sql" / "sources" / "online_retail"
    for name in ("orders", "order_lines", "customers"):  # the fix: whose invoice 105 is, is known
        path = folder / f"{name}.sql"
        known = (
            "(SELECT * REPLACE (coalesce(customer, if(invoice = '105', 9, NULL)) AS customer) "
            "FROM lines) AS lines"
        )
        path.write_text(path.read_text("utf-8").replace("FROM lines\n", f"FROM {known}\n"))
    made = replay(shop.deployment, None, shop.clock + timedelta(days=1))
    assert (made.before, made.after) == (refused, {})
    assert shop.stored("orders", "SELECT customer_key AS c FROM rows WHERE order_id = '105'") == [
        {"c": "9"}
    ]
    assert shop.load("2010-12-31")[1].tables["customers"].added == 1  # by the new definition
    assert shop.tags("2010-12-31", *COUNTED)["9"] == (1, 6.0, 1)


def _same(wanted: Any, found: Any) -> bool:
    if _absent(wanted) or _absent(found):
        return _absent(wanted) and _absent(found)
    if hasattr(wanted, "isoformat"):
        return bool(wanted.isoformat()[:10] == found.isoformat()[:10])
    if isinstance(wanted, str):
        return bool(wanted == found)
    return abs(float(wanted) - float(found)) <= TOLERANCE


def _equal(old: Any, new: Any) -> bool:
    """Whether two values of an export are the very same; two absent ones are."""
    if isinstance(old, np.ndarray) and isinstance(new, np.ndarray):
        return bool(list(old) == list(new))
    return (_absent(old) and _absent(new)) or bool(type(old) is type(new) and old == new)


def _absent(value: Any) -> bool:
    return value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value))
