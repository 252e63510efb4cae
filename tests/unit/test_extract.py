"""Extract: what is missing is loaded, what is there is not loaded again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select, text

from tagline.database import open_database
from tagline.errors import NoData, QuarantineLimitExceeded, SourceChanged, UnknownName
from tagline.extract import extract, require_data, source_tables
from tagline.loads import Part, covered, merged, newest_parts, without
from tagline.quarantine import counts, rows
from tagline.registry.schema import Load
from tagline.sources import Interval

if TYPE_CHECKING:
    from tests.unit.conftest import Kiosk


def day(number: int) -> datetime:
    return datetime(2017, 1, 1, tzinfo=UTC) + timedelta(days=number - 1)


def loads(kiosk: Kiosk, table: str = "sales") -> list[tuple[datetime | None, datetime | None, int]]:
    with kiosk.deployment.registry.session() as session:
        found = session.scalars(
            select(Load).where(Load.table_name == table).order_by(Load.id)
        ).all()
    return [(load.start_at, load.end_at, load.rows) for load in found]


def raw_rows(kiosk: Kiosk, table: str) -> int:
    relation = kiosk.deployment.lake.relation(f"raw.till__{table}", {})
    if not relation.files:
        return 0
    made = kiosk.deployment.engine.fetch("SELECT count(*) AS n FROM t", {"t": relation})
    return int(made.to_pylist()[0]["n"])


SALES = [f"{n},ann,1,2017-01-0{n} 20:00:00" for n in range(1, 7)]


@pytest.mark.slow
def test_the_first_run_loads_all_history_and_a_daily_run_one_day(kiosk: Kiosk) -> None:
    kiosk.sales(*SALES)
    kiosk.extract(day(4))
    made = kiosk.extract(day(5))
    assert loads(kiosk) == [(day(1), day(4), 3), (day(4), day(5), 1)]
    assert made["till.sales"].rows == 1
    assert loads(kiosk, "articles") == [(None, None, 2)]
    assert (raw_rows(kiosk, "sales"), raw_rows(kiosk, "articles")) == (4, 2)


@pytest.mark.slow
def test_the_same_content_again_writes_nothing(kiosk: Kiosk) -> None:
    kiosk.sales(*SALES)
    kiosk.extract(day(5))
    for as_of in (day(5), day(3)):
        assert kiosk.extract(as_of)["till.sales"].loads == ()
    assert loads(kiosk) == [(day(1), day(5), 4)]
    with kiosk.deployment.registry.session() as session:
        assert session.scalar(select(func.min(Load.checked_at))) == kiosk.clock


@pytest.mark.slow
def test_the_changed_days_of_a_changed_file_are_loaded_again_and_no_others(kiosk: Kiosk) -> None:
    kiosk.sales(*SALES)
    kiosk.extract(day(5))
    kiosk.sales(SALES[0].replace("ann", "bob"), *SALES[1:3], "4,eve,9,2017-01-04 20:00:00")
    made = kiosk.extract(day(5))["till.sales"]
    assert made.revised_days == ("2017-01-01",)
    assert loads(kiosk) == [(day(1), day(5), 4), (day(1), day(2), 1), (day(4), day(5), 1)]
    assert kiosk.extract(day(2))["till.sales"].loads == ()
    assert raw_rows(kiosk, "sales") == 6


@pytest.mark.slow
def test_a_source_that_stands_still_is_asked_again_and_has_no_data(kiosk: Kiosk) -> None:
    kiosk.sales(*SALES[:2])
    kiosk.extract(day(9))
    with pytest.raises(NoData, match=r"till\.sales reaches 2017-01-02 20:00 UTC"):
        require_data(kiosk.deployment, "run-1", day(9))
    require_data(kiosk.deployment, "run-1", day(3))
    kiosk.sales(*SALES, "7,ann,1,2017-01-08 23:00:00")
    kiosk.extract(day(9))
    assert loads(kiosk) == [(day(1), day(9), 2), (day(3), day(9), 5)]
    require_data(kiosk.deployment, "run-2", day(9))


@pytest.mark.slow
def test_a_source_without_rows_has_no_data(kiosk: Kiosk) -> None:
    kiosk.sales()
    kiosk.extract(day(2))
    assert loads(kiosk) == [(day(1), day(2), 0)]
    with pytest.raises(NoData, match=r"till\.sales has no rows"):
        require_data(kiosk.deployment, "run-1", day(2))


@pytest.mark.slow
def test_a_renamed_column_stops_that_table_and_no_other(kiosk: Kiosk) -> None:
    kiosk.sales(*SALES, header="number,customer,amount,sold_at")
    with pytest.raises(SourceChanged, match="buyer is missing; the closest new column is 'cust"):
        kiosk.extract(day(3))
    assert loads(kiosk) == []
    assert loads(kiosk, "articles") == [(None, None, 2)]
    run = kiosk.deployment.registry.run("run-1")
    assert list(run.stages["extract"]["tables"]) == ["till.articles"]


@pytest.mark.slow
def test_a_new_column_is_kept_in_raw_and_reported(kiosk: Kiosk) -> None:
    kiosk.sales(*SALES[:2])
    kiosk.extract(day(3))
    new = [f"{row},cash" for row in SALES[:4]]
    kiosk.sales(*new, header="number,buyer,amount,sold_at,paid_by")
    made = kiosk.extract(day(4), "till.sales")
    assert made["till.sales"].new_columns == ("paid_by",)
    relation = kiosk.deployment.lake.relation("raw.till__sales", {})
    found = kiosk.deployment.engine.fetch("SELECT paid_by FROM t ORDER BY number", {"t": relation})
    assert found.column("paid_by").to_pylist() == [None, None, "cash"]


@pytest.mark.slow
def test_refused_rows_are_kept_once_with_reason_line_and_run(kiosk: Kiosk) -> None:
    many = [f"{n},ann,1,2017-01-01 10:00:00" for n in range(60)]
    kiosk.sales(*many, "x,ann,1,2017-01-01 11:00:00", "1,2,3", '7,"open,1,2017-01-01', *SALES[1:])
    for as_of in (day(2), day(3), day(3)):
        kiosk.extract(as_of)
    found = counts(kiosk.deployment)
    assert found == {
        "till__sales": {"broken_quotes": 1, "unparsable_number": 1, "wrong_number_of_fields": 1}
    }
    kept = {row["reason"]: row for row in rows(kiosk.deployment, "till__sales")}
    assert kept["wrong_number_of_fields"]["row"] == '{"text":"1,2,3"}'
    assert kept["wrong_number_of_fields"]["position"] == '{"file":"sales.csv","line":63}'
    assert (kept["unparsable_number"]["run_id"], kept["unparsable_number"]["source"]) == (
        "run-1",
        "till",
    )


@pytest.mark.slow
def test_too_many_refused_rows_stop_the_load(kiosk: Kiosk) -> None:
    kiosk.sales(*SALES[:3], "x,ann,1,2017-01-01 11:00:00")
    with pytest.raises(QuarantineLimitExceeded, match=r"25\.0% of the rows are unparsable_number"):
        kiosk.extract(day(4), "till.sales")
    assert (loads(kiosk), raw_rows(kiosk, "sales")) == ([], 0)
    assert counts(kiosk.deployment) == {"till__sales": {"unparsable_number": 1}}


@pytest.mark.slow
def test_a_kill_before_the_load_is_remembered_leaves_nothing_behind(
    kiosk: Kiosk, monkeypatch: pytest.MonkeyPatch
) -> None:
    kiosk.sales(*SALES)
    with monkeypatch.context() as patch:
        patch.setattr(Load, "__init__", _killed)
        with pytest.raises(KeyboardInterrupt):
            kiosk.extract(day(4), "till.sales")
    kiosk.extract(day(4), "till.sales")
    assert (loads(kiosk), raw_rows(kiosk, "sales")) == ([(day(1), day(4), 3)], 3)


@pytest.mark.slow
def test_a_kill_before_the_lake_follows_is_made_good_by_the_next_run(
    kiosk: Kiosk, monkeypatch: pytest.MonkeyPatch
) -> None:
    kiosk.sales(*SALES)
    with monkeypatch.context() as patch:
        patch.setattr(type(kiosk.deployment.lake), "follow", _killed)
        with pytest.raises(KeyboardInterrupt):
            kiosk.extract(day(4), "till.sales")
    assert raw_rows(kiosk, "sales") == 0
    kiosk.extract(day(4), "till.sales")
    assert (loads(kiosk), raw_rows(kiosk, "sales")) == ([(day(1), day(4), 3)], 3)


def _killed(*_args: Any, **_options: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.slow
def test_two_runs_of_the_same_day_at_once_load_it_once(kiosk: Kiosk) -> None:
    from concurrent.futures import ThreadPoolExecutor

    kiosk.sales(*SALES)
    runs = [kiosk.start(day(4)) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda run: extract(kiosk.deployment, run[0], day(4), run[1]), runs))
    assert loads(kiosk) == [(day(1), day(4), 3)]


@pytest.mark.slow
def test_days_are_cut_in_the_zone_of_the_business(kiosk: Kiosk) -> None:
    catalog = kiosk.deployment.catalog
    business = catalog.definition.model_copy(update={"timezone": "Asia/Shanghai"})
    kiosk.deployment = replace(kiosk.deployment, catalog=replace(catalog, definition=business))
    kiosk.sales(*SALES)
    kiosk.extract(day(4) - timedelta(hours=8))
    kiosk.extract(day(4) - timedelta(hours=8))
    assert loads(kiosk) == [(day(1) - timedelta(hours=8), day(4) - timedelta(hours=8), 2)]


@pytest.mark.slow
def test_dated_files_that_come_late_are_loaded_when_they_come(kiosk: Kiosk) -> None:
    source = kiosk.source
    source["tables"]["sales"]["path"] = "sales-{date}.csv"
    kiosk.define(source)

    def deliver(number: int) -> None:
        header = "number,buyer,amount,sold_at"
        (kiosk.folder / f"sales-2017-01-0{number}.csv").write_text(
            f"{header}\n{SALES[number - 1]}\n"
        )

    deliver(1)
    deliver(3)
    kiosk.extract(day(4), "till.sales")
    deliver(2)
    kiosk.extract(day(4), "till.sales")
    assert loads(kiosk) == [(day(1), day(2), 1), (day(3), day(4), 1), (day(2), day(4), 2)]


@pytest.mark.slow
def test_a_database_is_compared_with_what_is_loaded_back_to_late_by(kiosk: Kiosk) -> None:
    engine = open_database(kiosk.deployment.settings, "mlflow")  # any database of the business
    url = engine.url.render_as_string(hide_password=False).replace("%2F", "/")
    source = {key: kept for key, kept in kiosk.source.items() if key != "location"}
    sales = source["tables"]["sales"]
    del sales["path"], source["tables"]["articles"], source["feeds"]["products"]
    sales |= {"table": "sales", "late_by": "2 days"}
    kiosk.define(source=source | {"type": "sql", "url": url})
    with engine.begin() as connection:
        connection.execute(
            text("create table sales (number int, buyer text, amount float, sold_at timestamp)")
        )
        for sale in SALES:
            number, buyer, amount, sold_at = sale.split(",")
            connection.execute(
                text("insert into sales values (:number, :buyer, :amount, :sold_at)"),
                {"number": number, "buyer": buyer, "amount": amount, "sold_at": sold_at},
            )
    kiosk.extract(day(6))
    with engine.begin() as connection:
        connection.execute(text("update sales set amount = 7 where number in (2, 4)"))
    made = kiosk.extract(day(6))["till.sales"]
    engine.dispose()
    assert made.revised_days == ("2017-01-04",)  # the 2nd lies further back than two days
    assert loads(kiosk) == [(day(1), day(6), 5), (day(4), day(6), 2)]


@pytest.mark.slow
def test_an_unknown_table_is_named_with_the_closest(kiosk: Kiosk) -> None:
    assert source_tables(kiosk.deployment.catalog) == ("till.sales", "till.articles")
    with pytest.raises(UnknownName, match=r"Did you mean 'till\.sales'"):
        kiosk.extract(day(4), "till.sale")


def a_load(number: int, start: int, end: int, watermark: datetime | None = None) -> Load:
    return Load(
        id=number,
        start_at=day(start),
        end_at=day(end),
        files=[f"{number}.parquet"],
        watermark_at=watermark,
    )


def test_intervals_are_merged_and_cut() -> None:
    one, two, three = Interval(day(1), day(3)), Interval(day(2), day(5)), Interval(day(7), day(8))
    assert merged([three, two, one]) == [Interval(day(1), day(5)), three]
    assert without([Interval(day(1), day(9))], [two, three]) == [
        Interval(day(1), day(2)),
        Interval(day(5), day(7)),
        Interval(day(8), day(9)),
    ]


def test_the_newest_load_wins_for_each_instant() -> None:
    loads = [a_load(1, 1, 5), a_load(2, 5, 6), a_load(3, 3, 4)]
    assert newest_parts(loads, None) == [
        Part(("3.parquet", "2.parquet"), None),
        Part(("1.parquet",), Interval(day(1), day(3))),
        Part(("1.parquet",), Interval(day(4), day(5))),
    ]
    assert newest_parts(loads, [Interval(day(4), day(6))]) == [
        Part(("2.parquet",), None),
        Part(("1.parquet",), Interval(day(4), day(5))),
    ]


def test_a_load_covers_the_days_that_its_source_had_reached() -> None:
    def midnight(each: Any) -> datetime:
        return datetime(each.year, each.month, each.day, tzinfo=UTC)

    idle = timedelta(hours=6)
    for watermark, end in (
        (day(9), day(5)),
        (day(5) - timedelta(hours=5), day(5)),
        (day(5) - timedelta(hours=7), day(4)),
        (day(3) - timedelta(hours=7), day(2)),
    ):
        assert covered([a_load(1, 1, 5, watermark)], idle, midnight) == [Interval(day(1), end)]
    assert covered([a_load(1, 1, 5, None)], idle, midnight) == []
