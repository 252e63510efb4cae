"""The grocer with its lake in an object store: the values, decisions and faults of a local lake."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as parquet
import pytest
from tests.conftest import drop_databases
from tests.object_store import ENVIRONMENT, ObjectStore, object_store

from tagline.catalog import load_catalog
from tagline.deployment import Deployment, open_deployment
from tagline.engines import open_engine
from tagline.errors import LakeUnavailable
from tagline.extract import extract
from tagline.lake import open_lake
from tagline.pipeline import RunReport, run_day
from tagline.registry import open_registry
from tagline.release import activate, rollback
from tagline.serve.audiences import ids
from tagline.serve.exports import export
from tagline.serve.profiles import profile
from tagline.settings import PROJECT, Settings

pytestmark = pytest.mark.slow
BUCKET = "shops"
AS_OF = datetime(2017, 3, 1, tzinfo=UTC)
NEXT = datetime(2017, 3, 2, tzinfo=UTC)
AT = datetime(2018, 1, 2, tzinfo=UTC)


@dataclass(frozen=True)
class Grocer:
    """A deployment that has released two days, the first after a kill."""

    deployment: Deployment
    reports: tuple[RunReport, RunReport]
    killed_after: tuple[str, ...]  # the objects that the killed attempt left


@pytest.fixture(scope="module")
def local_values(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export of the same day from a lake in a folder."""
    folder = tmp_path_factory.mktemp("local")
    path = folder / "tags.parquet"
    settings = Settings(business="grocer_here", home=folder / "home", database_url=postgres_url)
    registry = open_registry(settings)
    catalog = load_catalog(settings.definitions, "grocer")
    lake, engine = open_lake(settings), open_engine(settings)
    deployment = Deployment(settings, catalog, registry, lake, engine)
    run_day(deployment, AS_OF, "local", lambda: AT)
    export(deployment, str(path))
    registry.engine.dispose()
    drop_databases(settings)
    return path


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    with object_store() as served, pytest.MonkeyPatch.context() as patch:
        served.make_bucket(BUCKET)
        for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": served.url}.items():
            patch.setenv(name, value)
        yield served


@pytest.fixture(scope="module")
def grocer(
    store: ObjectStore, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Grocer]:
    """See Grocer."""
    home = tmp_path_factory.mktemp("s3") / "home"
    settings = Settings(
        business="grocer",
        home=home,
        database_url=postgres_url,
        lake_url=f"s3://{BUCKET}/grocer/",
    )
    kill_in_first_upload_of_clean(store, settings)
    left = tuple(store.objects(BUCKET))
    with open_deployment(settings) as deployment:
        days = ((AS_OF, "first"), (NEXT, "second"))
        first, second = (run_day(deployment, day, name, lambda: AT) for day, name in days)
        yield Grocer(deployment, (first, second), left)
    drop_databases(settings)


def kill_in_first_upload_of_clean(store: ObjectStore, settings: Settings) -> None:
    """Run the day by the command line, and kill it while it uploads rows of a clean table."""
    store.holds = "/grocer/clean/"
    assert settings.database_url and settings.lake_url
    environment = os.environ | {
        "TAGLINE_BUSINESS": "grocer",
        "TAGLINE_HOME": str(settings.home_path),
        "TAGLINE_DATABASE_URL": settings.database_url,
        "TAGLINE_LAKE_URL": settings.lake_url,
    }
    command = ["run", "--as-of", AS_OF.isoformat(), "--run-id", "first", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-c", "from tagline.cli import main; main()", *command],
        env=environment,
        cwd=PROJECT,
        stdout=subprocess.DEVNULL,
    )
    try:
        while not store.has_held.wait(0.2):
            assert process.poll() is None, "the run ended without an upload of clean rows"
    finally:
        process.kill()
        store.holds = None
        store.goes_on.set()
    assert process.wait() == -signal.SIGKILL


def test_a_killed_run_had_brought_raw_rows_into_the_store(grocer: Grocer) -> None:
    assert any(key.startswith("grocer/raw/") for key in grocer.killed_after)
    assert not any(key.startswith("grocer/candidates/") for key in grocer.killed_after)


def test_the_values_are_those_of_a_local_lake(
    grocer: Grocer, local_values: Path, tmp_path: Path
) -> None:
    path = tmp_path / "tags.parquet"
    assert grocer.reports[0].status == "released"
    assert export(grocer.deployment, str(path), AS_OF) == grocer.reports[0].customers > 2_000
    assert parquet.read_table(path).equals(parquet.read_table(local_values))


def test_all_of_the_lake_lies_in_the_bucket_and_nothing_on_the_disk(
    grocer: Grocer, store: ObjectStore
) -> None:
    keys = store.objects(BUCKET)
    for folder in ("raw", "clean", "candidates", "tags"):
        assert any(key.startswith(f"grocer/{folder}/") for key in keys), folder
    assert {key.split("/")[0] for key in keys} == {"grocer"}
    home = grocer.deployment.settings.home_path
    on_disk = [path for path in home.rglob("*") if path.suffix in (".parquet", ".avro")]
    left_by_the_kill = {path for path in on_disk if path.is_relative_to(home / "scratch")}
    assert set(on_disk) == left_by_the_kill
    assert not (home / "lake").exists()
    release = grocer.deployment.registry.release_at(AS_OF)
    assert release is not None
    assert all(file.startswith(f"s3://{BUCKET}/grocer/") for file in release.files["customer"])


def test_a_day_that_is_loaded_already_adds_no_object(grocer: Grocer, store: ObjectStore) -> None:
    before = {key for key in store.objects(BUCKET) if key.endswith(".parquet")}
    grocer.deployment.registry.start_run("again", NEXT, AT)
    made = extract(grocer.deployment, "again", NEXT, AT)
    assert sum(table.rows for table in made.tables.values()) > 0
    assert {key for key in store.objects(BUCKET) if key.endswith(".parquet")} == before


def test_profiles_audiences_and_rollback_work_on_objects(grocer: Grocer) -> None:
    deployment, (first, second) = grocer.deployment, grocer.reports
    chosen = ids(deployment, "recency_days <= 7")
    assert 0 < len(chosen) < second.customers
    newest = profile(deployment, chosen[0], None, AT)
    assert newest["release"] == second.release
    assert newest["tags"]["recency_days"]["value"] <= 7
    assert profile(deployment, chosen[0], AS_OF, AT)["release"] == first.release
    assert rollback(deployment, "prices were wrong", "steward", AT).id == first.release
    assert ids(deployment, "recency_days <= 7") != chosen
    shown = deployment.lake.relation("tags.customers", {})
    assert len(shown.files) == 1  # the lake follows: a file per active day
    assert second.release is not None
    assert activate(deployment, second.release, "they were right", "steward", AT).status == "active"
    assert ids(deployment, "recency_days <= 7") == chosen


def test_an_outage_is_said_and_the_same_call_succeeds_afterwards(
    grocer: Grocer, store: ObjectStore
) -> None:
    deployment, tables = grocer.deployment, ["complete_journey.products"]
    deployment.registry.start_run("outage", NEXT, AT)
    store.is_down = True
    try:
        with pytest.raises(LakeUnavailable, match=rf"does not answer.*{store.url}"):
            extract(deployment, "outage", NEXT, AT, tables)
        with pytest.raises(LakeUnavailable, match="does not answer"):
            ids(deployment, "recency_days <= 7")
    finally:
        store.is_down = False
    assert extract(deployment, "outage", NEXT, AT, tables).tables[tables[0]].rows > 0
    assert ids(deployment, "recency_days <= 7")
