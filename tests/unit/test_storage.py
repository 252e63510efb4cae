"""Files of the lake: the same few operations on local paths and in an object store."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.object_store import ENVIRONMENT, ObjectStore, object_store

from tagline import storage
from tagline.definitions.types import DataType
from tagline.engines import Relation
from tagline.engines.duckdb import DuckDBEngine
from tagline.errors import LakeUnavailable, TaglineError, WrongUsage
from tagline.quality.frames import chunks
from tagline.serve.released import file_columns

slow = pytest.mark.slow
BUCKET = "lake"
WRITER = """
import sys
from tagline.storage import appearing_whole
with appearing_whole(sys.argv[1], sys.argv[2]) as unfinished:
    with open(unfinished, "wb") as file:
        file.truncate(30_000_000)
"""


@pytest.fixture(scope="module")
def served() -> Iterator[ObjectStore]:
    with object_store() as store:
        store.make_bucket(BUCKET)
        yield store


@pytest.fixture
def store(served: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    """The store, as this process's environment names it; undisturbed again afterwards."""
    for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": served.url}.items():
        monkeypatch.setenv(name, value)
    yield served
    served.is_down, served.holds = False, None


@pytest.fixture(params=["local", pytest.param("s3", marks=slow)])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder for one test, of either kind."""
    if request.param == "local":
        return str(tmp_path / "lake")
    request.getfixturevalue("store")
    return f"s3://{BUCKET}/{tmp_path.name}"


@pytest.fixture
def engine(tmp_path: Path) -> DuckDBEngine:
    return DuckDBEngine("500MB", 2, str(tmp_path / "spilled"))


def content(path: str) -> bytes:
    with storage.opened(path) as file:
        return bytes(file.read())


def written(path: str, data: bytes, scratch: Path) -> None:
    with storage.appearing_whole(path, str(scratch)) as unfinished:
        Path(unfinished).write_bytes(data)


def test_a_file_appears_whole_and_can_be_removed(folder: str, tmp_path: Path) -> None:
    path = storage.below(folder, "raw", "a.parquet")
    with storage.appearing_whole(path, str(tmp_path / "scratch")) as unfinished:
        Path(unfinished).write_bytes(b"rows")
        with pytest.raises(FileNotFoundError):
            content(path)
    assert content(path) == b"rows"
    assert not Path(unfinished).exists()
    storage.remove(path)
    storage.remove(path)  # what is gone already is no error
    with pytest.raises(FileNotFoundError):
        content(path)


def test_a_write_that_fails_leaves_nothing(folder: str, tmp_path: Path) -> None:
    path = storage.below(folder, "a.parquet")
    with (
        pytest.raises(ValueError, match="half-way"),
        storage.appearing_whole(path, str(tmp_path / "scratch")) as unfinished,
    ):
        Path(unfinished).write_bytes(b"half")
        raise ValueError("half-way")
    with pytest.raises(FileNotFoundError):
        content(path)
    assert not Path(unfinished).exists()


@slow
def test_what_the_engine_wrote_is_read_by_all_readers(folder: str, engine: DuckDBEngine) -> None:
    path = storage.beside(storage.below(folder, "b.parquet"), "a.parquet")
    query = "SELECT range AS i, hash(range)::VARCHAR AS t FROM range(300000)"
    assert engine.write(query, {}, path) == 300_000
    relation = Relation((path,), {"i": DataType.INTEGER, "t": DataType.TEXT})
    check = "SELECT count(*) AS n, sum(i)::BIGINT AS s, bit_xor(hash(t)) AS x FROM t"
    assert engine.fetch(check, {"t": relation}) == engine.fetch(
        check.replace("FROM t", f"FROM ({query})"), {}
    )
    assert file_columns(path)["t"] is DataType.TEXT
    assert sum(len(frame) for frame in chunks([path], ["i"])) == 300_000


@pytest.mark.parametrize("place", ["gs://bucket/lake", "s3://", "s3:///lake", "http://host/lake"])
def test_a_url_of_no_lake_is_refused_with_what_to_give(place: str) -> None:
    with pytest.raises(WrongUsage, match="give a folder, or s3://bucket/prefix"):
        storage.location_of(place)


@slow
def test_a_query_reads_no_object_that_is_none_of_its_relations(
    store: ObjectStore, engine: DuckDBEngine
) -> None:
    mine, other = f"s3://{BUCKET}/mine.parquet", f"s3://{BUCKET}/other.parquet"
    for path in (mine, other):
        engine.write("SELECT 1 AS i", {}, path)
    with pytest.raises(TaglineError, match="disabled by configuration"):
        engine.fetch(f"SELECT * FROM read_parquet('{other}')", {"t": Relation((mine,))})


@slow
def test_a_killed_upload_leaves_no_object(store: ObjectStore, tmp_path: Path) -> None:
    store.holds = "/killed"
    path = f"s3://{BUCKET}/killed.parquet"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, path, str(tmp_path)])
    assert store.has_held.wait(60), "the upload never began"
    writer.kill()
    writer.wait()
    store.goes_on.set()
    assert store.has_ended.wait(60)
    assert "killed.parquet" not in store.objects(BUCKET)


@slow
def test_a_missing_bucket_is_said_with_the_fix(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(TaglineError, match=r"there is no bucket 'lost'.*Create the bucket or cor"):
        storage.prepare("s3://lost/grocer")
    with pytest.raises(TaglineError, match=r"NO_SUCH_BUCKET.*Create the bucket") as refused:
        written("s3://lost/a.parquet", b"rows", tmp_path)
    assert not isinstance(refused.value, LakeUnavailable)  # another attempt would not help


@slow
def test_a_store_that_is_down_can_be_tried_again(
    store: ObjectStore, engine: DuckDBEngine, tmp_path: Path
) -> None:
    path = f"s3://{BUCKET}/down.parquet"
    engine.write("SELECT 1 AS i", {}, path)
    store.is_down = True
    with pytest.raises(LakeUnavailable, match=rf"down\.parquet does not answer.*{store.url}"):
        engine.fetch("SELECT * FROM t", {"t": Relation((path,))})
    with pytest.raises(LakeUnavailable, match="Nothing was written there; run again"):
        written(f"s3://{BUCKET}/new.parquet", b"rows", tmp_path)
    store.is_down = False
    assert engine.fetch("SELECT * FROM t", {"t": Relation((path,))}).to_pylist() == [{"i": 1}]
    assert "new.parquet" not in store.objects(BUCKET)


@slow
def test_an_endpoint_without_a_server_is_named(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    with pytest.raises(LakeUnavailable, match=r"AWS_ENDPOINT_URL http://127\.0\.0\.1:1"):
        storage.prepare(f"s3://{BUCKET}")


@slow
def test_an_account_that_the_store_does_not_know_is_said(
    store: ObjectStore, tmp_path: Path
) -> None:
    store.require_credentials()
    try:
        with pytest.raises(TaglineError, match="AWS_ACCESS_KEY_ID and AWS_SECRET") as refused:
            written(f"s3://{BUCKET}/a.parquet", b"rows", tmp_path)
        assert not isinstance(refused.value, LakeUnavailable)
    finally:
        store.require_credentials(1_000_000)
