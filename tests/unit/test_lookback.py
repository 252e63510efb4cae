"""SQL of an interval that looks back, and lists that only grow."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tagline import quarantine
from tagline.catalog import load_catalog
from tagline.errors import DefinitionError
from tagline.loads import common
from tagline.settings import PROJECT
from tagline.sources import Interval

if TYPE_CHECKING:
    from tests.unit.conftest import Kiosk

pytestmark = pytest.mark.slow

SALES = [f"{n},ann,{n},2017-01-0{n} 20:00:00" for n in range(1, 8)]
WITH_THE_DAY_BEFORE = """
SELECT
  CAST(number AS VARCHAR) AS order_id,
  buyer AS customer_key,
  sold_at AS ordered_at,
  amount + 100 * coalesce(sum(amount) OVER (
    ORDER BY sold_at RANGE BETWEEN INTERVAL 1 DAY PRECEDING AND INTERVAL 1 SECOND PRECEDING
  ), 0) AS amount
FROM sales
"""
PRICED = """
SELECT
  CAST(s.number AS VARCHAR) AS order_id,
  s.buyer AS customer_key,
  s.sold_at AS ordered_at,
  CAST(a.price AS DOUBLE) AS amount
FROM sales AS s
LEFT JOIN articles AS a ON a.article = s.buyer
"""


def day(number: int) -> datetime:
    return datetime(2017, 1, 1, tzinfo=UTC) + timedelta(days=number - 1)


def defined(kiosk: Kiosk, sql: str, **tables: dict[str, Any]) -> None:
    source = kiosk.source
    for name, keys in tables.items():
        source["tables"][name] |= keys
    kiosk.define(source=source, sql={"orders": sql})


def amounts(kiosk: Kiosk, known_at: datetime | None = None) -> dict[str, float]:
    found = kiosk.read("orders", **({"known_at": known_at} if known_at else {}))
    return {row[0]: row[3] for row in found}


def test_rows_are_the_same_however_many_days_a_load_holds(kiosk: Kiosk) -> None:
    defined(kiosk, WITH_THE_DAY_BEFORE, sales={"lookback": "1 day"})
    kiosk.sales(*SALES)
    kiosk.run(day(4))
    assert amounts(kiosk) == {"1": 1, "2": 102, "3": 203}
    for number in (5, 6, 8):
        made = kiosk.run(day(number))
    assert (made["orders"].added, made["orders"].quarantined) == (2, {})
    assert amounts(kiosk) == {"1": 1, "2": 102, "3": 203, "4": 304, "5": 405, "6": 506, "7": 607}
    assert kiosk.run(day(8))["orders"].added == 0


def test_a_corrected_day_corrects_those_that_look_back_on_it(kiosk: Kiosk) -> None:
    defined(kiosk, WITH_THE_DAY_BEFORE, sales={"lookback": "1 day"})
    kiosk.sales(*SALES)
    kiosk.run(day(6))
    before, known = amounts(kiosk), kiosk.clock
    kiosk.sales(*SALES[:2], "3,ann,9,2017-01-03 20:00:00", *SALES[3:])
    made = kiosk.run(day(6))
    assert made["orders"].added == 2
    assert amounts(kiosk) == before | {"3": 209, "4": 904}
    assert amounts(kiosk, known) == before


def test_a_lookback_refuses_no_row_twice(kiosk: Kiosk) -> None:
    defined(kiosk, WITH_THE_DAY_BEFORE, sales={"lookback": "3 days"})
    kiosk.sales(SALES[0], "2,ann,-900,2017-01-02 20:00:00", *SALES[2:])
    kiosk.run(day(3))
    kiosk.run(day(5))
    assert quarantine.counts(kiosk.deployment)["orders"] == {"negative_amount": 2}
    assert [row["reason"] for row in quarantine.rows(kiosk.deployment, "orders")] == [
        "negative_amount"
    ] * 2


@pytest.mark.parametrize(("append_only", "first"), [(True, 1.5), (False, 3.0)])
def test_a_new_list_reaches_earlier_rows_unless_it_only_grows(
    kiosk: Kiosk, append_only: bool, first: float
) -> None:
    defined(kiosk, PRICED, articles={"append_only": append_only})
    kiosk.sales("1,apple,1,2017-01-01 20:00:00", "2,plum,1,2017-01-02 20:00:00")
    kiosk.articles("apple,1.5")
    kiosk.run(day(2))
    kiosk.articles("apple,3", "plum,2")
    kiosk.run(day(3))
    assert amounts(kiosk) == {"1": first, "2": 2.0}


def test_a_list_that_grew_too_late_helps_when_the_quarantine_is_replayed(kiosk: Kiosk) -> None:
    tables = kiosk.tables
    tables["orders"]["expectations"][0] |= {"limit": 1.0}
    kiosk.define(tables=tables)
    defined(kiosk, PRICED, articles={"append_only": True})
    kiosk.sales(
        *(f"{number},apple,1,2017-01-01 2{number}:00:00" for number in range(1, 4)),
        *(f"{number}0,apple,1,2017-01-01 1{number}:00:00" for number in range(1, 9)),
        *(f"{number}00,apple,1,2017-01-01 0{number}:00:00" for number in range(1, 10)),
        "2,plum,1,2017-01-01 23:30:00",
    )
    kiosk.articles("apple,1.5")
    kiosk.run(day(2))
    assert quarantine.counts(kiosk.deployment) == {"orders": {"missing_amount": 1}}
    kiosk.articles("apple,1.5", "plum,2")
    kiosk.run(day(2))
    assert quarantine.counts(kiosk.deployment) == {"orders": {"missing_amount": 1}}
    report = quarantine.replay(kiosk.deployment, None, kiosk.clock + timedelta(days=1))
    assert report.after == {}
    assert amounts(kiosk)["2"] == 2.0


def test_a_replay_cleans_all_that_was_cleaned_together(kiosk: Kiosk) -> None:
    """The refused rows of two days that were cleaned at once lie under the newer load."""
    tables = kiosk.tables
    tables["orders"]["expectations"][0] |= {"limit": 1.0}
    tables["orders"]["columns"]["amount"] |= {"nullable": True}
    tables["orders"]["expectations"] += [
        {
            "expect": "expect_column_values_to_not_be_null",
            "column": "amount",
            "severity": "row",
            "reason": "no_price",
            "limit": 0.9,
        }
    ]
    kiosk.define(tables=tables)
    defined(kiosk, PRICED, articles={"append_only": True})
    kiosk.sales(
        "1,plum,1,2017-01-01 20:00:00",
        "2,apple,1,2017-01-01 21:00:00",
        "3,apple,1,2017-01-02 20:00:00",
    )
    kiosk.articles("apple,1.5")
    kiosk.extract(day(2))
    kiosk.run(day(3))
    assert quarantine.counts(kiosk.deployment) == {"orders": {"no_price": 1}}
    kiosk.articles("apple,1.5", "plum,2")
    kiosk.run(day(3))
    report = quarantine.replay(kiosk.deployment, None, kiosk.clock + timedelta(days=1))
    assert report.after == {}
    assert amounts(kiosk) == {"1": 2.0, "2": 1.5, "3": 1.5}


def test_what_is_in_two_sets_of_intervals_is_common_to_them() -> None:
    mine = [Interval(day(1), day(4)), Interval(day(6), day(9))]
    others = [Interval(day(3), day(7)), Interval(day(8), day(12))]
    assert common(mine, others) == [
        Interval(day(3), day(4)),
        Interval(day(6), day(7)),
        Interval(day(8), day(9)),
    ]


def test_a_table_looks_back_by_its_time_and_grows_without_one(tmp_path: Path) -> None:
    root = shutil.copytree(PROJECT / "tests" / "fleet", tmp_path / "fleet")
    file = root / "sources" / "telematics.yaml"
    text = file.read_text("utf-8")
    text = text.replace("time: reported", "time: reported\n    append_only: true")
    text = text.replace("sales: {path", "sales: {lookback: 2 days, path")
    file.write_text(text, "utf-8")
    with pytest.raises(DefinitionError) as failed:
        load_catalog(root, "fleet")
    file_name = "sources/telematics.yaml"
    assert [str(fault) for fault in failed.value.faults] == [
        f"{file_name}:15: lookback needs `time`: without it the SQL sees all rows anyway",
        f"{file_name}:19: append_only is for tables without `time`: of one with it, only new rows "
        "are read anyway",
    ]
