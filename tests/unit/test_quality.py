"""Great Expectations on clean tables and tag profiles: the real library on real files."""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import select, update

from tagline.definitions import DataType, TableDefinition
from tagline.definitions.expectations import COLUMN_EXPECTATIONS, EXPECTATIONS
from tagline.definitions.tag import Quality
from tagline.engines import Engine
from tagline.engines.duckdb import DuckDBEngine
from tagline.errors import ExpectationFailed, TaglineError
from tagline.quality import CheckReport, check
from tagline.quality.frames import chunks
from tagline.quality.plan import plan_table
from tagline.quality.profiles import judge_profile
from tagline.registry import Registry
from tagline.registry.schema import Cleaning, Load, Run

if TYPE_CHECKING:
    from tests.unit.conftest import Kiosk

pytestmark = pytest.mark.slow  # the library takes three seconds to import

AT = datetime(2026, 3, 2, 4, tzinfo=UTC)
AS_OF = datetime(2026, 3, 2, tzinfo=UTC)
ORDERS: dict[str, Any] = {
    "name": {"en": "Orders", "zh": "订单"},
    "description": "What a customer ordered at once.",
    "key": ["order_id"],
    "customer": "customer_key",
    "event_at": "ordered_at",
    "columns": {
        "order_id": {"type": "text", "nullable": False, "description": "The order."},
        "customer_key": {"type": "text", "pii": "indirect", "description": "Who ordered."},
        "ordered_at": {"type": "timestamp", "nullable": False, "description": "When."},
        "shipped_on": {"type": "date", "description": "When it left."},
        "status": {"type": "text", "description": "placed or returned."},
        "amount": {"type": "number", "description": "The sum."},
        "lines": {"type": "integer", "description": "How many lines."},
    },
}


def orders(count: int = 4, **changes: Any) -> pa.Table:
    """Good orders, with whole columns replaced by `changes`."""
    moments = [datetime(2026, 3, 1, 8, tzinfo=UTC) + timedelta(seconds=n) for n in range(count)]
    instant = pa.timestamp("us", "UTC")
    columns: dict[str, Any] = {
        "order_id": pa.array([f"o{n}" for n in range(count)], pa.string()),
        "customer_key": pa.array([f"c{n % 3}" for n in range(count)], pa.string()),
        "ordered_at": pa.array(moments, instant),
        "shipped_on": pa.array([m.date() for m in moments], pa.date32()),
        "status": pa.array(["placed"] * count, pa.string()),
        "amount": pa.array([float(10 + n % 5) for n in range(count)], pa.float64()),
        "lines": pa.array([1 + n % 2 for n in range(count)], pa.int64()),
        "valid_at": pa.array(moments, instant),
        "loaded_at": pa.array([AT] * count, instant),
    }
    for name, values in changes.items():
        columns[name] = pa.array(values, columns[name].type)
    return pa.table(columns)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_self: socket.socket, address: Any) -> None:
        raise AssertionError(f"a connection to {address} was tried")

    monkeypatch.setattr(socket.socket, "connect", refused)


class Shop:
    """A deployment with one table of orders, whose files and expectations a test gives."""

    def __init__(self, home: Path, registry: Registry) -> None:
        self.home = home
        self.registry = registry
        self.engine: Engine = DuckDBEngine("1GB", 1, str(home / "spill"))
        self.runs = 0

    @property
    def run_id(self) -> str:
        """The newest run."""
        return f"manual__{self.runs}"

    def checked(self) -> dict[str, Any]:
        """What the newest run's check has kept."""
        return self.registry.stage(self.run_id, "check")

    def clean(self, files: Sequence[str]) -> None:
        """A new run whose cleaning has added these files to orders; nothing else is pending."""
        self.runs += 1
        load = Load(
            source="shop", table_name="orders", loaded_at=AT, checked_at=AT, rows=1, digest="",
            files=[], run_id=self.run_id,
        )  # fmt: skip
        with self.registry.session() as session:
            session.execute(update(Cleaning).values(checked_at=AT))
            session.add(load)
            session.flush()
            session.add(
                Cleaning(
                    table_name="orders", load_id=load.id, definition="", cleaned_at=AT,
                    report={"files": list(files)}, run_id=self.run_id,
                )
            )  # fmt: skip
        self.registry.start_run(self.run_id, AS_OF, AT)
        tables = {"orders": {"files": list(files)}, "products": {"files": []}}
        self.registry.save_stage(self.run_id, "clean", {"tables": tables}, 0)

    def deployment(self, tables: dict[str, TableDefinition]) -> Any:
        """What the check stage needs of a deployment."""
        return SimpleNamespace(
            settings=SimpleNamespace(home_path=self.home),
            registry=self.registry,
            catalog=SimpleNamespace(tables=tables),
            engine=self.engine,
        )

    def check(
        self,
        tables: Sequence[pa.Table],
        expectations: Sequence[dict[str, Any]] = (),
        *,
        at: datetime = AT,
        only: Sequence[str] | None = None,
        **definition: Any,
    ) -> CheckReport:
        files = []
        for number, table in enumerate(tables):
            files.append(str(self.home / f"orders-{number}.parquet"))
            pq.write_table(table, files[-1])
        shape = TableDefinition.model_validate(
            {**ORDERS, **definition, "expectations": list(expectations)}
        )
        self.clean(files)
        return check(self.deployment({"orders": shape}), self.run_id, AS_OF, at, only)


@pytest.fixture
def shop(tmp_path: Path, registry: Registry) -> Shop:
    return Shop(tmp_path, registry)


def expectation(expect: str, severity: str = "critical", **given: Any) -> dict[str, Any]:
    column = given.pop("column", None)
    return {"expect": expect, "column": column, "with": given, "severity": severity} | (
        {"reason": "broken"} if severity == "row" else {}
    )


BETWEEN = "expect_column_values_to_be_between"


def test_good_rows_pass_with_a_page_and_the_report_is_kept(shop: Shop) -> None:
    report = shop.check([orders()], [expectation(BETWEEN, column="amount", min_value=0)])
    assert report.critical == () and report.warnings == ()
    assert report.tables["orders"].rows == 4
    assert shop.checked() == report.as_json()
    assert report.docs is not None and Path(report.docs).exists()


def test_a_critical_failure_stops_the_run_and_names_limit_and_figure(shop: Shop) -> None:
    rows = orders(amount=[10, -1, 3, -2.5])
    with pytest.raises(ExpectationFailed) as failure:
        shop.check([rows], [expectation(BETWEEN, column="amount", min_value=0)])
    said = str(failure.value)
    assert "orders.amount: expect_column_values_to_be_between (min_value 0)" in said
    assert "2 of 4 values (50.00%)" in said and "-2.5" in said
    assert shop.checked()["critical"], "the report is kept before the run stops"


def test_a_row_rule_that_fails_after_cleaning_stops_the_run(shop: Shop) -> None:
    rule = expectation(BETWEEN, "row", column="amount", min_value=11)
    with pytest.raises(ExpectationFailed, match="amount"):
        shop.check([orders()], [rule])


def test_a_warning_is_reported_and_stops_nothing(shop: Shop) -> None:
    report = shop.check([orders()], [expectation(BETWEEN, "warning", column="amount", max_value=9)])
    assert report.critical == ()
    assert report.warnings[0].startswith("orders.amount:")
    assert report.as_json()["tables"]["orders"]["warnings"][0]["unexpected"] == 4


@pytest.mark.parametrize(("share", "stops"), [(0.5, False), (0.8, True)])
def test_mostly_counts_over_all_chunks_together(
    shop: Shop, share: float, stops: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagline.quality.frames.chunks.__defaults__", (3,))
    amounts = [-1.0] * 4 + [1.0] * 8  # the first chunks are all bad, the last all good
    rule = expectation(BETWEEN, "warning", column="amount", min_value=0, mostly=share)
    report = shop.check([orders(12, amount=amounts)], [rule])
    assert bool(report.warnings) is stops
    (result,) = [r for r in report.tables["orders"].results if r.expect == BETWEEN]
    assert (result.checked, result.unexpected) == (12, 4)


def test_an_expectation_that_raises_inside_the_library_is_a_failure_with_its_message(
    shop: Shop,
) -> None:
    rule = expectation(BETWEEN, column="status", min_value=0)
    with pytest.raises(ExpectationFailed, match="could not be judged"):
        shop.check([orders()], [rule])


def test_nulls_in_numbers_dates_and_instants_are_judged_as_the_author_wrote(shop: Shop) -> None:
    rows = orders(
        lines=[None, 2, 9_007_199_254_740_993, 1],
        shipped_on=[None, *[datetime(2026, 3, 1).date()] * 3],
    )
    report = shop.check(
        [rows],
        [
            expectation(BETWEEN, "warning", column="lines", max_value=100),
            expectation(BETWEEN, column="shipped_on", min_value="2026-01-01"),
            expectation(BETWEEN, column="ordered_at", min_value="2026-01-01"),
            expectation(BETWEEN, "warning", column="ordered_at", max_value="2026-01-01"),
            expectation("expect_column_values_to_not_be_null", "warning", column="lines"),
        ],
    )
    assert len(report.warnings) == 3
    assert "9007199254740993" in report.warnings[0]
    assert "4 of 4" in report.warnings[1]
    assert "1 of 4" in report.warnings[2]


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        (expectation("expect_table_row_count_to_be_between", min_value=6, max_value=6), True),
        (expectation("expect_table_row_count_to_equal", value=3), False),
        (expectation("expect_column_mean_to_be_between", column="amount", min_value=12), False),
        (expectation("expect_column_max_to_be_between", column="amount", max_value=14), True),
        (expectation("expect_column_sum_to_be_between", column="lines", max_value=8), False),
        (expectation("expect_column_values_to_be_unique", column="amount"), False),
        (expectation("expect_column_values_to_be_unique", column="amount", mostly=0.6), True),
        (
            expectation(
                "expect_compound_columns_to_be_unique", column_list=["order_id", "amount"]
            ),
            True,
        ),
        (
            expectation(
                "expect_column_unique_value_count_to_be_between", column="amount", max_value=5
            ),
            True,
        ),
        (
            expectation(
                "expect_column_distinct_values_to_equal_set", column="lines", value_set=[1, 2]
            ),
            True,
        ),
        (
            expectation(
                "expect_column_distinct_values_to_be_in_set", column="lines", value_set=[1]
            ),
            False,
        ),
        (
            expectation("expect_column_max_to_be_between", column="ordered_at",
                        max_value="2026-03-01 07:00:00"),
            False,
        ),
    ],
    ids=lambda value: value["expect"] if isinstance(value, dict) else str(value),
)  # fmt: skip
def test_whole_table_figures_are_computed_once_over_all_files(
    shop: Shop, rule: dict[str, Any], holds: bool
) -> None:
    rows = orders(6)
    parts = [rows.slice(0, 4), rows.slice(4)]
    if holds:
        assert shop.check(parts, [rule]).critical == ()
    else:
        with pytest.raises(ExpectationFailed, match=rule["expect"]):
            shop.check(parts, [rule])


def test_uniqueness_is_that_of_the_newest_version_of_each_key(shop: Shop) -> None:
    first = orders(3, status=["a", "b", "c"])
    second = orders(
        2, status=["x", "a"], valid_at=[AT, AT]
    )  # o0 became x, o1 took over the a of o0
    rule = expectation("expect_column_values_to_be_unique", column="status")
    assert shop.check([first, second], [rule]).critical == ()
    with pytest.raises(ExpectationFailed, match="unique"):
        shop.check([first, second], [rule], immutable=True)


def test_the_table_itself_promises_distinct_versions_and_no_null_where_it_says_so(
    shop: Shop,
) -> None:
    with pytest.raises(ExpectationFailed, match="rows that share order_id, valid_at, loaded_at: 2"):
        shop.check([orders(2), orders(1)])
    with pytest.raises(ExpectationFailed, match="rows without order_id: 1"):
        shop.check([orders(2, order_id=["a", None])])


def test_values_of_personal_columns_are_shown_neither_in_the_report_nor_in_the_pages(
    shop: Shop,
) -> None:
    rule = expectation("expect_column_values_to_be_in_set", "warning", column="customer_key",
                       value_set=["c0"])  # fmt: skip
    report = shop.check([orders(customer_key=["c0", "secret-7", "c0", "c0"])], [rule])
    assert "1 of 4" in report.warnings[0]
    written = [path for path in (shop.home / "data_docs").rglob("*") if path.is_file()]
    assert written
    assert not any(b"secret-7" in path.read_bytes() for path in written)
    assert "secret-7" not in str(report.as_json())


def test_a_table_without_added_rows_is_not_judged_and_needs_no_library(shop: Shop) -> None:
    report = shop.check([], [expectation(BETWEEN, column="amount", min_value=0)])
    assert report.tables == {} and report.docs is None


def test_checks_of_single_tables_are_gathered_in_one_report(shop: Shop) -> None:
    shop.check([orders()], [], only=["orders"])
    kept = shop.checked()
    kept["tables"]["customers"] = {"rows": 7, "critical": [], "warnings": []}
    shop.registry.save_stage(shop.run_id, "check", kept, 0)
    check(shop.deployment({}), shop.run_id, AS_OF, AT, ["products"])
    assert shop.checked()["tables"].keys() == {"orders", "customers"}
    assert shop.checked()["rows"] == 11


def test_unknown_names_and_refused_arguments_are_said_with_the_fix(shop: Shop) -> None:
    from tagline.quality.validation import is_by_row

    with pytest.raises(TaglineError, match="Did you mean 'expect_column_values_to_be_between'"):
        is_by_row("expect_column_value_to_be_between")
    with pytest.raises(TaglineError, match=r"tables/orders\.yaml: .* names column 'amuont'"):
        shop.check([orders()], [expectation(BETWEEN, column="amuont", min_value=0)])
    with pytest.raises(TaglineError, match="refuses expect_column_values_to_be_between of amount"):
        shop.check([orders()], [expectation(BETWEEN, column="amount")])


def test_every_expectation_that_a_table_may_name_is_one_of_the_library_and_is_judged(
    shop: Shop,
) -> None:
    from great_expectations.expectations.registry import get_expectation_impl

    given: dict[str, Any] = {
        "min_value": 0,
        "max_value": 1e9,
        "value": 8,
        "value_set": [10, 11, 12, 13, 14],
        "regex": ".",
        "mostly": 0.5,
        "column_A": "amount",
        "column_B": "lines",
        "or_equal": True,
        "ignore_row_if": "never",
        "column_list": ["amount", "lines"],
        "sum_total": 3,
    }
    asked = []
    for name, arguments in EXPECTATIONS.items():
        assert set(arguments) <= set(get_expectation_impl(name).__fields__)
        chosen = {argument: given[argument] for argument in arguments}
        if name.startswith("expect_column_pair"):
            chosen["ignore_row_if"] = "neither"
        if name in COLUMN_EXPECTATIONS:
            chosen["column"] = "status" if "length" in name or "regex" in name else "amount"
        asked.append(expectation(name, "warning", **chosen))
    report = shop.check([orders(8)], asked)
    results = [r for r in report.tables["orders"].results if r.severity == "warning"]
    assert sorted(result.expect for result in results) == sorted(EXPECTATIONS)
    assert [result.error for result in results if result.error] == []


def test_pages_name_no_other_machine_and_earlier_runs_stay(shop: Shop) -> None:
    rule = expectation(BETWEEN, "warning", column="amount", max_value=11)
    shop.check([orders()], [rule])
    shop.check([orders()], [rule], at=AT + timedelta(days=1))
    site = shop.home / "data_docs"
    pages = [page.read_text("utf-8") for page in site.rglob("*.html")]
    assert len(pages) == 4  # the index, the suite, two validations
    for page in pages:
        assert not re.findall(r"<(?:script|link|img)[^>]*https?://", page)
        assert not re.findall(r"url\(['\"]?https?:", page)
    index = (site / "index.html").read_text("utf-8")
    links = set(re.findall(r"'_table_row_link_path': '([^']+)'", index))
    assert len(links) == 3
    assert "window.$ = function" in index


def test_only_the_newest_validations_keep_their_pages(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagline.quality.validation.Judge.KEPT_PAGES", 2)
    for day in range(4):
        shop.check([orders()], at=AT + timedelta(days=day))
    site = shop.home / "data_docs"
    kept = {page.parent.name for page in (site / "validations").rglob("*.html")}
    assert kept == {"20260304T040000.000000Z", "20260305T040000.000000Z"}
    assert len([*(site / ".results" / "validations").rglob("orders.json")]) == 2


def test_chunks_join_small_files_and_split_large_ones(tmp_path: Path) -> None:
    files = []
    for number, count in enumerate((1, 2, 7, 0, 3)):
        files.append(str(tmp_path / f"{number}.parquet"))
        pq.write_table(orders(count), files[-1])
    sizes = [len(frame) for frame in chunks(files, ["amount"], rows=4)]
    assert sizes == [4, 4, 4, 1]
    assert [list(f.columns) for f in chunks(files, ["amount", "lines"], 100)] == [
        ["amount", "lines"]
    ]


def test_chunks_join_files_that_differ_in_which_columns_must_not_be_null(tmp_path: Path) -> None:
    files = []
    for number, nullable in enumerate((True, False)):
        schema = pa.schema([pa.field("kind", pa.string(), nullable=nullable)])
        files.append(str(tmp_path / f"{number}.parquet"))
        pq.write_table(pa.table([["phone"]], schema=schema), files[-1])
    assert [list(frame["kind"]) for frame in chunks(files, ["kind"])] == [["phone", "phone"]]


def test_a_plan_reads_only_the_columns_that_row_rules_name() -> None:
    definition = TableDefinition.model_validate(
        {
            **ORDERS,
            "expectations": [
                expectation(BETWEEN, column="amount", min_value=0),
                expectation("expect_column_mean_to_be_between", column="lines", min_value=0),
            ],
        }
    )
    plan = plan_table("orders", definition, lambda name: "values" in name)
    assert plan.columns == ("amount",)
    assert [figure.name for figure in plan.figures] == [
        "rows that share order_id, valid_at, loaded_at",
        "rows without order_id",
        "rows without ordered_at",
        "mean of lines",
    ]


def test_quality_limits_of_tags_are_judged_on_the_profile() -> None:
    from tagline.audit.profile import TagProfile
    from tagline.quality.validation import Judge

    def profile(slug: str, **figures: Any) -> TagProfile:
        given = {"rows": 100, "present": 100, "distinct": 10, **figures}
        return TagProfile(slug, DataType.NUMBER, "v1", **given)

    limits = {
        "good": Quality(coverage={"min": 0.99}, between=(0, 5), distinct={"min": 2, "max": 10}),
        "sparse": Quality(coverage={"min": 0.99}),
        "wide": Quality(between=(0, 5)),
        "flat": Quality(distinct={"min": 2}),
        "free": Quality(),
        "broken": Quality(),
        "odd": Quality(),
        "crowded": Quality(coverage={"max": 0.5}, distinct={"max": 3}),
    }
    profiles = [
        profile("good", minimum=0, maximum=5.0),
        profile("sparse", present=98),
        profile("wide", minimum=-0.5, maximum=7),
        profile("flat", distinct=1),
        profile("free", present=0, distinct=0),
        profile("broken", not_finite=3),
        profile("odd", undeclared=2),
        profile("crowded"),
    ]
    failures, results = judge_profile(Judge(), profiles, limits)
    assert failures == {
        "sparse": ("coverage is 0.98, at least 0.99 is allowed",),
        "wide": (
            "the least value is -0.5, at least 0 is allowed",
            "the greatest value is 7, at most 5 is allowed",
        ),
        "flat": ("there are 1 distinct values, at least 2 are allowed",),
        "broken": ("3 values are infinite or not a number, none is allowed",),
        "odd": ("2 values are not among the tag's declared values, none is allowed",),
        "crowded": (
            "coverage is 1, at most 0.5 is allowed",
            "there are 10 distinct values, at most 3 are allowed",
        ),
    }
    assert len(results) == 8, "the number of expectations does not grow with tags"


def test_rows_that_failed_are_judged_again_by_every_run_until_they_are_corrected(
    kiosk: Kiosk,
) -> None:
    orders = deepcopy(kiosk.tables["orders"])
    orders["expectations"].append(
        {
            "expect": BETWEEN,
            "column": "amount",
            "with": {"max_value": 100},
            "severity": "critical",
        }
    )
    kiosk.define(tables={"orders": orders})
    as_of = datetime(2017, 1, 3, tzinfo=UTC)

    def day(*rows: str) -> CheckReport:
        kiosk.sales(*rows)
        kiosk.run(as_of)
        (run,) = [run for run in runs(kiosk.deployment.registry) if run.status == "running"][-1:]
        return check(kiosk.deployment, run.id, as_of, kiosk.clock)

    good, bad = "1,ann,1,2017-01-01 20:00:00", "2,ann,999,2017-01-02 20:00:00"
    for _ in range(2):  # the second run adds nothing, and must not let the first one's rows pass
        with pytest.raises(ExpectationFailed, match="amount"):
            day(good, bad)
    assert day(good, bad.replace("999", "9")).critical == ()
    assert day(good, bad.replace("999", "9")).tables == {}


def runs(registry: Registry) -> list[Run]:
    with registry.session() as session:
        return list(session.scalars(select(Run).order_by(Run.started_at, Run.id)))
