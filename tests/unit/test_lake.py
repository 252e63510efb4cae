"""The lake: Iceberg tables whose files the engine reads and writes."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from tagline.definitions.types import DataType
from tagline.engines import open_engine
from tagline.errors import TaglineError, WrongUsage
from tagline.lake import Lake, open_lake
from tagline.settings import Settings

pytestmark = pytest.mark.slow
COLUMNS: Mapping[str, DataType] = {
    "id": DataType.TEXT,
    "valid_at": DataType.TIMESTAMP,
    "interests": DataType.TEXT_LIST,
    "customer_bucket": DataType.INTEGER,
}


@pytest.fixture
def lake(settings: Settings) -> Lake:
    return open_lake(settings)


def day(number: int) -> datetime:
    return datetime(2017, 1, number, tzinfo=UTC)


def written(lake: Lake, settings: Settings, number: int, bucket: int = 0) -> str:
    """A file of one row that is valid from a day on."""
    path = lake.new_file("clean.things")
    open_engine(settings).write(
        f"SELECT '{number}' AS id, TIMESTAMPTZ '{day(number)}' AS valid_at, "
        f"['a', 'b'] AS interests, {bucket}::BIGINT AS customer_bucket",
        {},
        path,
    )
    return path


def ids(lake: Lake, settings: Settings) -> list[str]:
    relation = lake.relation("clean.things", COLUMNS)
    made = open_engine(settings).fetch("SELECT id FROM t ORDER BY id", {"t": relation})
    return [row["id"] for row in made.to_pylist()]


def test_a_table_that_does_not_exist_is_empty(lake: Lake) -> None:
    assert lake.relation("clean.nothing", COLUMNS).files == ()
    assert not lake.exists("clean.nothing")
    assert lake.last_commit("clean.nothing") == {}


def test_appended_files_are_read_and_pruned_by_instants(lake: Lake, settings: Settings) -> None:
    lake.ensure("clean.things", COLUMNS, partition_by="customer_bucket")
    files = [written(lake, settings, number, number % 2) for number in (1, 2, 3)]
    lake.append("clean.things", files, {"tagline.note": "three"})
    assert ids(lake, settings) == ["1", "2", "3"]
    before = lake.relation("clean.things", COLUMNS, before=("valid_at", day(2)))
    after = lake.relation("clean.things", COLUMNS, after=("valid_at", day(2)))
    assert before.files == (files[0],)
    assert set(after.files) == set(files[1:])
    assert lake.last_commit("clean.things")["tagline.note"] == "three"


def test_appending_the_same_file_again_adds_nothing(lake: Lake, settings: Settings) -> None:
    lake.ensure("clean.things", COLUMNS)
    file = written(lake, settings, 1)
    lake.append("clean.things", [file])
    lake.append("clean.things", [file])
    assert ids(lake, settings) == ["1"]


def test_replacing_touches_only_the_rows_of_that_value(lake: Lake, settings: Settings) -> None:
    lake.ensure("clean.things", COLUMNS)
    lake.append("clean.things", [written(lake, settings, 1), written(lake, settings, 2)])
    new = written(lake, settings, 2)
    lake.replace("clean.things", "valid_at", day(2), [new])
    lake.replace("clean.things", "valid_at", day(2), [new])
    assert ids(lake, settings) == ["1", "2"]
    lake.replace("clean.things", "valid_at", day(2), [])
    lake.replace("clean.things", "valid_at", day(2), [])
    assert ids(lake, settings) == ["1"]


def test_following_leaves_exactly_the_files_named(lake: Lake, settings: Settings) -> None:
    lake.ensure("clean.things", COLUMNS)
    one, two, three = (written(lake, settings, number) for number in (1, 2, 3))
    lake.append("clean.things", [one, two])
    lake.follow("clean.things", [two, three])
    assert ids(lake, settings) == ["2", "3"]


def test_a_new_column_is_null_in_older_files(lake: Lake, settings: Settings) -> None:
    lake.ensure("clean.things", COLUMNS)
    lake.append("clean.things", [written(lake, settings, 1)])
    more = {**COLUMNS, "weight": DataType.NUMBER}
    lake.ensure("clean.things", more)
    relation = lake.relation("clean.things", more)
    made = open_engine(settings).fetch("SELECT id, weight FROM t", {"t": relation})
    assert made.to_pylist() == [{"id": "1", "weight": None}]


def test_a_column_cannot_change_its_type(lake: Lake) -> None:
    lake.ensure("clean.things", COLUMNS)
    with pytest.raises(TaglineError, match=r"clean\.things\.id is stored as string"):
        lake.ensure("clean.things", {**COLUMNS, "id": DataType.INTEGER})


def test_concurrent_commits_all_arrive(settings: Settings) -> None:
    open_lake(settings).ensure("clean.things", COLUMNS)

    def add(number: int) -> None:
        lake = open_lake(settings)
        lake.append("clean.things", [written(lake, settings, number)])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(1, 9)))
    assert ids(open_lake(settings), settings) == [str(number) for number in range(1, 9)]


def test_a_place_that_is_neither_folder_nor_s3_is_refused() -> None:
    with pytest.raises(WrongUsage, match=r"TAGLINE_LAKE_URL='gs://bucket' is no place for a lake"):
        Lake("postgresql://", "gs://bucket")
