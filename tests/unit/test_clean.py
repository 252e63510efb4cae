"""Clean: loaded rows become dated versions; what cannot be is refused with a reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from tagline import clean as cleaning
from tagline import cleanings, quarantine
from tagline.clean import canonical_tables, tables_read
from tagline.definitions import Expectation, TableDefinition
from tagline.definitions.types import DataType
from tagline.engines.duckdb import DuckDBEngine
from tagline.errors import QuarantineLimitExceeded, TaglineError, UnknownName
from tagline.registry.schema import Cleaning
from tagline.rules import broken_sql, limits

if TYPE_CHECKING:
    from tests.unit.conftest import Kiosk


def day(number: int) -> datetime:
    return datetime(2017, 1, 1, tzinfo=UTC) + timedelta(days=number - 1)


def evening(number: int) -> datetime:
    return day(number) + timedelta(hours=20)


SALES = [f"{n},ann,{n},2017-01-0{n} 20:00:00" for n in range(1, 7)]


@pytest.mark.slow
def test_loaded_rows_are_read_as_of_any_instant(kiosk: Kiosk) -> None:
    kiosk.sales(*SALES)
    made = kiosk.run(day(4))
    assert (made["orders"].rows, made["orders"].added, len(made["orders"].files)) == (3, 3, 1)
    assert kiosk.read("orders", day(3)) == [
        ("1", "ann", evening(1), 1.0),
        ("2", "ann", evening(2), 2.0),
    ]
    assert kiosk.read("products") == [("apple", 1.5), ("pear", 2.0)]
    assert kiosk.read("products", day(1)) == kiosk.read("products")


@pytest.mark.slow
def test_a_day_adds_only_its_rows_and_a_rerun_none(kiosk: Kiosk) -> None:
    kiosk.sales(*SALES)
    kiosk.run(day(4))
    made = kiosk.run(day(5))
    assert (made["orders"].added, made["products"].added) == (1, 0)
    assert [kiosk.run(day(5))["orders"].added for _ in range(2)] == [0, 0]
    assert len(kiosk.read("orders")) == 4


@pytest.mark.slow
def test_changed_vanished_and_late_rows_are_known_from_their_load_on(kiosk: Kiosk) -> None:
    kiosk.sales(*SALES[:3])
    kiosk.run(day(4))
    before = kiosk.clock
    kiosk.sales(*SALES[:2], "9,eve,9,2017-01-03 12:00:00", "8,eve,8,2017-01-03 13:00:00")
    made = kiosk.run(day(4))
    assert (made["orders"].added, made["orders"].superseded) == (2, 1)
    assert [row[0] for row in kiosk.read("orders")] == ["1", "2", "8", "9"]
    assert [row[0] for row in kiosk.read("orders", known_at=before)] == ["1", "2", "3"]


@pytest.mark.slow
def test_an_order_that_moves_to_another_day_counts_once(kiosk: Kiosk) -> None:
    kiosk.sales(*SALES[:3])
    kiosk.run(day(4))
    kiosk.sales(*SALES[:2], "3,ann,3,2017-01-04 09:00:00", *SALES[4:])
    kiosk.run(day(5))
    kiosk.run(day(4))
    assert [row[0] for row in kiosk.read("orders", day(9))] == ["1", "2", "3"]


@pytest.mark.slow
def test_an_undated_snapshot_is_versioned_by_its_loads(kiosk: Kiosk) -> None:
    kiosk.sales(*SALES)
    kiosk.run(day(4))
    kiosk.articles("apple,1.75", "plum,3")
    made = kiosk.run(day(5))
    changed = kiosk.clock
    assert (made["products"].added, made["products"].superseded) == (2, 2)
    assert kiosk.read("products", day(4)) == [("apple", 1.5), ("pear", 2.0), ("plum", 3.0)]
    assert kiosk.read("products", changed + timedelta(hours=1)) == [("apple", 1.75), ("plum", 3.0)]
    kiosk.articles("apple,1.75", "pear,2", "plum,3")
    kiosk.run(day(6))
    assert [row[0] for row in kiosk.read("products")] == ["apple", "pear", "plum"]


@pytest.mark.slow
def test_a_column_may_have_the_name_of_what_versions_are_made_with(kiosk: Kiosk) -> None:
    texts = ("action", "reason", "position", "row")
    named = dict.fromkeys(texts, "text") | dict.fromkeys(("fresh", "stale", "undated"), "boolean")
    named |= dict.fromkeys(("next_at", "ended_at", "old_loaded_at"), "timestamp")
    tables, values = kiosk.tables, {"text": "'replace'", "boolean": "true", "timestamp": "sold_at"}
    shapes = {name: {"type": kind, "description": "Made."} for name, kind in named.items()}
    tables["orders"]["columns"] |= shapes
    shown = ", ".join(f"{values[kind]} AS {name}" for name, kind in named.items())
    sql = (
        "SELECT CAST(number AS VARCHAR) AS order_id, buyer AS customer_key, sold_at AS ordered_at, "
        f"amount, {shown} FROM sales"
    )
    kiosk.define(tables=tables, sql={"orders": sql})
    kiosk.sales(*SALES[:3], "7,ann,-7,2017-01-03 20:00:00")
    made = kiosk.run(day(4))["orders"]
    assert (made.added, made.superseded, made.quarantined) == (3, 0, {"negative_amount": 1})
    kiosk.sales(*SALES[:1], "2,ann,20,2017-01-02 20:00:00", "3,ann,3,2017-01-02 09:00:00")
    kiosk.run(day(4))
    assert [row[0:4:3] for row in kiosk.read("orders")] == [("1", 1.0), ("2", 20.0), ("3", 3.0)]
    assert {row[4] for row in kiosk.read("orders")} == {"replace"}


@pytest.mark.slow
def test_each_reason_to_refuse_a_row_is_given(kiosk: Kiosk) -> None:
    kiosk.define(
        sql={
            "orders": "SELECT number || '' AS order_id, buyer AS customer_key, sold_at AS "
            "ordered_at, CASE number WHEN 2 THEN 'much' ELSE amount || '' END AS amount "
            "FROM sales UNION ALL SELECT '7', 'bob', sold_at, amount || '' FROM sales "
            "WHERE number = 7 UNION ALL SELECT '8', buyer, sold_at + INTERVAL 9 DAY, '1' "
            "FROM sales WHERE number = 1"
        },
    )
    tables = kiosk.tables
    tables["orders"]["expectations"] += [
        {
            "expect": "expect_column_values_to_not_be_null",
            "column": "customer_key",
            "severity": "row",
            "reason": "no_customer",
            "limit": 1,
        }
    ]
    kiosk.define(tables=tables)
    rows = [f"{n},ann,1,2017-01-01 10:00:00" for n in range(100, 220)]
    kiosk.sales(
        *rows,
        "1,ann,1,2017-01-01 10:00:00",
        "2,ann,1,2017-01-01 10:00:00",
        "3,,1,2017-01-01 10:00:00",
        "4,ann,-1,2017-01-01 10:00:00",
        "5,ann,,2017-01-01 10:00:00",
        "6,ann,1,2017-01-01 10:00:00",
        "6,ann,1,2017-01-01 10:00:00",
        "7,ann,1,2017-01-01 10:00:00",
    )
    made = kiosk.run(day(2))["orders"]
    expected = {
        "unparsable_amount": 1,
        "no_customer": 1,
        "negative_amount": 1,
        "missing_amount": 1,
        "conflicting_duplicate": 2,
        "outside_interval": 1,
    }
    assert made.quarantined == expected
    assert (made.rows, made.added) == (130, 122)  # 6 came twice and counts once
    assert quarantine.counts(kiosk.deployment) == {"orders": expected}
    kept = {row["reason"]: row for row in quarantine.rows(kiosk.deployment, "orders")}
    assert json.loads(kept["unparsable_amount"]["row"])["amount"] == "much"
    assert json.loads(kept["negative_amount"]["position"])["key"] == {"order_id": "4"}
    assert kept["negative_amount"]["load_id"] is not None


@pytest.mark.slow
def test_too_many_refused_rows_keep_nothing_and_other_tables_go_on(kiosk: Kiosk) -> None:
    kiosk.sales("1,ann,-1,2017-01-01 10:00:00", "2,ann,-2,2017-01-01 10:00:00", SALES[0])
    with pytest.raises(QuarantineLimitExceeded, match=r"66\.7% of 3 rows are negative_amount"):
        kiosk.run(day(2))
    assert (kiosk.read("orders"), len(kiosk.read("products"))) == ([], 2)
    assert quarantine.counts(kiosk.deployment) == {"orders": {"negative_amount": 2}}
    kiosk.sales(SALES[0])
    assert kiosk.run(day(2))["orders"].added == 1


@pytest.mark.slow
def test_direct_personal_data_is_stored_only_as_a_salted_hash(kiosk: Kiosk) -> None:
    tables = kiosk.tables
    tables["orders"]["columns"]["customer_key"]["pii"] = "direct"
    kiosk.define(tables=tables)
    kiosk.sales(*SALES[:2], "9,zoe,-1,2017-01-02 10:00:00")
    kiosk.run(day(3))
    found = {row[1] for row in kiosk.read("orders")}
    refused = quarantine.rows(kiosk.deployment, "orders")[0]["row"]
    assert len(found) == 1
    assert all(len(key) == 64 for key in found)
    assert "zoe" not in refused


@pytest.mark.slow
def test_a_changed_definition_cleans_all_that_is_loaded_again(kiosk: Kiosk) -> None:
    kiosk.sales(*SALES)
    kiosk.run(day(3))
    kiosk.run(day(4))
    kiosk.define(
        sql={
            "orders": "SELECT number || '' AS order_id, buyer AS customer_key, "
            "sold_at AS ordered_at, CASE WHEN number = 1 THEN 7 ELSE amount END AS amount "
            "FROM sales"
        }
    )
    made = kiosk.run(day(4))["orders"]
    assert (made.rows, made.added, made.superseded) == (3, 1, 1)
    assert [row[3] for row in kiosk.read("orders")] == [7.0, 2.0, 3.0]


@pytest.mark.slow
def test_an_interval_feed_is_cleaned_again_when_a_snapshot_that_it_reads_changes(
    kiosk: Kiosk,
) -> None:
    kiosk.define(
        sql={
            "orders": "SELECT number || '' AS order_id, buyer AS customer_key, sold_at AS "
            "ordered_at, amount * (SELECT max(price::DOUBLE) FROM articles) AS amount FROM sales"
        }
    )
    kiosk.sales(*SALES)
    kiosk.run(day(4))
    kiosk.articles("apple,10")
    kiosk.run(day(5))
    assert [row[3] for row in kiosk.read("orders")] == [10.0, 20.0, 30.0, 40.0]


@pytest.mark.slow
def test_the_rows_of_a_customer_lie_in_its_bucket(kiosk: Kiosk) -> None:
    from dataclasses import replace

    deployment = kiosk.deployment
    settings = deployment.settings.model_copy(update={"customer_buckets": 4})
    kiosk.deployment = replace(deployment, settings=settings)
    kiosk.sales(*(f"{n},buyer{n},1,2017-01-01 10:00:00" for n in range(40)))
    made = kiosk.run(day(2))["orders"]
    types = {"customer_key": DataType.TEXT, "customer_bucket": DataType.INTEGER}
    relation = deployment.lake.relation("clean.orders", types)
    found = deployment.engine.fetch(
        "SELECT count(DISTINCT customer_bucket) AS n, count(*) FILTER (customer_bucket <> "
        "('0x' || substr(md5(customer_key), 1, 4))::BIGINT % 4) AS wrong FROM t",
        {"t": relation},
    ).to_pylist()
    assert (found, len(made.files)) == ([{"n": 4, "wrong": 0}], 4)
    assert len(kiosk.read("orders")) == 40


def _kill_after(calls: int, action: Callable[..., Any]) -> Callable[..., Any]:
    """The action, until it is called once more than `calls`: then as if the process died."""
    left = [calls]

    def killed(*args: Any, **options: Any) -> Any:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return action(*args, **options)

    return killed


@pytest.mark.slow
@pytest.mark.parametrize("commits", [0, 1, 2])
def test_a_kill_between_the_commits_is_made_good_by_a_rerun(
    kiosk: Kiosk, monkeypatch: pytest.MonkeyPatch, commits: int
) -> None:
    kiosk.sales(*SALES[:3], "9,ann,-1,2017-01-03 10:00:00")
    kiosk.run(day(4))
    kiosk.sales(*SALES[:2], "3,ann,33,2017-01-03 20:00:00", "9,ann,-1,2017-01-03 10:00:00")
    kiosk.extract(day(4))
    run_id, at = kiosk.start(day(4))
    lake = type(kiosk.deployment.lake)
    with monkeypatch.context() as patch:
        if commits < 2:
            patch.setattr(lake, "append", _kill_after(commits, lake.append))
        else:
            patch.setattr(cleaning, "remember", _kill_after(0, cleanings.remember))
        with pytest.raises(KeyboardInterrupt):
            cleaning.clean(kiosk.deployment, run_id, day(4), at, ["orders"])
    later = at + timedelta(hours=1)
    made = cleaning.clean(kiosk.deployment, run_id, day(4), later, ["orders"]).tables["orders"]
    assert (made.added, made.superseded, len(made.files)) == (1, 1, 1)
    assert made.quarantined == {"negative_amount": 1}
    assert [row[3] for row in kiosk.read("orders")] == [1.0, 2.0, 33.0]
    assert quarantine.counts(kiosk.deployment) == {"orders": {"negative_amount": 1}}
    again = cleaning.clean(kiosk.deployment, run_id, day(4), later, ["orders"]).tables["orders"]
    assert again == made
    with kiosk.deployment.registry.session() as session:
        assert len(session.scalars(select(Cleaning)).all()) == 3


@pytest.mark.slow
def test_parallel_tasks_of_a_run_share_one_report(kiosk: Kiosk) -> None:
    from concurrent.futures import ThreadPoolExecutor

    kiosk.sales(*SALES)
    kiosk.extract(day(4))
    run_id, at = kiosk.start(day(4))
    with ThreadPoolExecutor(2) as pool:
        tasks = [
            pool.submit(cleaning.clean, kiosk.deployment, run_id, day(4), at, [name])
            for name in ("orders", "products")
        ]
        for task in tasks:
            task.result()
    stage = kiosk.deployment.registry.stage(run_id, "clean")
    assert {name: made["added"] for name, made in stage["tables"].items()} == {
        "orders": 3,
        "products": 2,
    }


@pytest.mark.slow
def test_sql_that_returns_no_such_column_is_named(kiosk: Kiosk) -> None:
    kiosk.define(sql={"products": "SELECT article AS product, price FROM articles"})
    kiosk.sales(*SALES)
    with pytest.raises(TaglineError, match=r"no column 'product_id'\. Did you mean 'product'"):
        kiosk.run(day(2))
    assert len(kiosk.read("orders")) == 1


def test_tables_and_what_they_read_are_known(kiosk: Kiosk) -> None:
    catalog = kiosk.deployment.catalog
    assert canonical_tables(catalog) == ("orders", "products")
    assert tables_read(catalog, "till", "orders") == ("sales",)
    with pytest.raises(UnknownName, match="Did you mean 'orders'"):
        cleaning.clean_table(kiosk.deployment, "order", "run", kiosk.clock)


def an_expectation(name: str, **options: Any) -> Expectation:
    return Expectation.model_validate(
        {
            "expect": f"expect_column_{name}",
            "column": "c",
            "with": options,
            "severity": "row",
            "reason": "bad",
        }
    )


@pytest.mark.parametrize(
    ("expectation", "kind", "good", "bad"),
    [
        (an_expectation("values_to_not_be_null"), DataType.TEXT, "'a'", "NULL"),
        (an_expectation("values_to_be_between", min_value=0), DataType.NUMBER, "0", "-0.5"),
        (
            an_expectation("values_to_be_between", min_value=1, max_value=5),
            DataType.INTEGER,
            "5",
            "0",
        ),
        (
            an_expectation("values_to_be_between", max_value="2017-06-01"),
            DataType.TIMESTAMP,
            "TIMESTAMPTZ '2017-06-01 00:00:00Z'",
            "TIMESTAMPTZ '2017-06-01 00:00:01Z'",
        ),
        (
            an_expectation("values_to_be_in_set", value_set=["a", "it's"]),
            DataType.TEXT,
            "'it''s'",
            "'b'",
        ),
        (an_expectation("values_to_be_in_set", value_set=[1, 2]), DataType.INTEGER, "2", "3"),
        (
            an_expectation("values_to_match_regex", regex="[a-z]+\\d"),
            DataType.TEXT,
            "'ab1x'",
            "'1ab1'",
        ),
        (
            an_expectation("value_lengths_to_be_between", min_value=2, max_value=3),
            DataType.TEXT,
            "'abc'",
            "'a'",
        ),
    ],
)
def test_row_expectations_become_sql(
    expectation: Expectation, kind: DataType, good: str, bad: str, tmp_path: Any
) -> None:
    engine = DuckDBEngine("200MB", 1, str(tmp_path))

    def broken(value: str) -> bool:
        condition = broken_sql(expectation, "c", kind)
        sql = f"SELECT coalesce({condition}, false) AS b FROM (SELECT {value} AS c)"
        return bool(engine.fetch(sql, {}).to_pylist()[0]["b"])

    assert (broken(good), broken(bad)) == (False, True)
    if bad != "NULL":
        assert not broken(f"CAST(NULL AS {kind.sql})")


def test_an_unsupported_row_expectation_lists_the_supported_ones() -> None:
    with pytest.raises(TaglineError) as caught:
        broken_sql(an_expectation("values_to_be_unique"), "c", DataType.TEXT)
    assert "expect_column_values_to_match_regex" in str(caught.value)
    with pytest.raises(TaglineError, match="does not know 'mostly'"):
        broken_sql(
            an_expectation("values_to_be_between", min_value=1, mostly=0.9), "c", DataType.NUMBER
        )


def test_a_row_expectation_sets_the_limit_of_its_columns_other_reasons() -> None:
    table = TableDefinition.model_validate(
        {
            "name": {"en": "A", "zh": "甲"},
            "description": "Made for a test.",
            "key": ["c"],
            "columns": {"c": {"type": "text", "description": "A column."}},
            "expectations": [
                {
                    "expect": "expect_column_values_to_not_be_null",
                    "column": "c",
                    "severity": "row",
                    "reason": "no_c",
                    "limit": 0.3,
                }
            ],
        }
    )
    assert limits(table) == {"no_c": 0.3, "missing_c": 0.3, "unparsable_c": 0.3}


@pytest.mark.slow
def test_a_nullable_column_that_the_sql_does_not_return_is_null(kiosk: Kiosk) -> None:
    kiosk.define(sql={"products": "SELECT article AS product_id FROM articles"})
    kiosk.sales(*SALES)
    kiosk.run(day(3))
    assert kiosk.read("products") == [("apple", None), ("pear", None)]
