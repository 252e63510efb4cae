"""The doctor: each fault is found and told with its fix, and nothing is made by looking."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from tests.definition_copies import copied_definitions
from tests.object_store import ENVIRONMENT, object_store

from tagline.cli import main
from tagline.doctor import Finding, Level, examine, surroundings
from tagline.doctor.engine import check_engine, check_java
from tagline.doctor.packages import check_direct, check_lock, check_python
from tagline.doctor.server import airflow_head, check_airflow_schema, check_embedded
from tagline.doctor.surroundings import check_database_url, check_folder, check_salt
from tagline.release import release
from tagline.settings import Settings

if TYPE_CHECKING:
    from tests.conftest import SmallShop

slow = pytest.mark.slow
AS_OF = datetime(2017, 10, 1, tzinfo=UTC)
ROWS = [{"customer_id": "1", "recency_days": 3}, {"customer_id": "2", "recency_days": 91}]


def now() -> datetime:
    return datetime.now(UTC)


def bad(findings: list[Finding]) -> dict[str, Finding]:
    """What is not well, by where."""
    return {found.where: found for found in findings if found.level is not Level.OK}


def versions(**known: str) -> Callable[[str], str | None]:
    return known.get


# Packages and settings


def test_a_package_of_another_version_than_the_lock_is_a_warning(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.txt"
    lock.write_text("good==1.0\n    # via x\nother==2.0 ; python_version > '3'\nabsent==1\n")
    found = check_lock(lock, versions(good="1.0", other="2.1"))
    assert found.level is Level.WARNING
    assert found.what == "not as locked: other 2.1 (locked ==2.0)"
    assert check_lock(lock, versions(good="1.0", other="2.0")).what == "2 packages as locked"


def test_a_package_that_tagline_itself_needs_is_a_fault() -> None:
    found = list(check_direct(["good>1", "old==3.3.*", "gone"], versions(good="2", old="3.2.1")))
    assert [each.level for each in found] == [Level.FAULT, Level.FAULT]
    assert "old is 3.2.1, but Tagline needs ==3.3.*" in found[0].what
    assert "gone is missing" in found[1].what


def test_a_python_that_is_too_new_is_a_fault() -> None:
    assert check_python(">=3.11,<3.14", "3.14.1").level is Level.FAULT
    assert check_python(">=3.11,<3.14", "3.12.3").level is Level.OK


@pytest.mark.parametrize(
    ("url", "level"),
    [
        (None, Level.OK),
        ("postgresql://ann:secret@db.example/", Level.OK),
        ("postgresql://ann@localhost/", Level.OK),
        ("postgresql://postgres:@/postgres?host=/tmp/x", Level.OK),
        ("postgresql://ann@db.example/", Level.WARNING),
        ("no url", Level.FAULT),
    ],
)
def test_a_server_elsewhere_without_a_password_is_a_warning(url: str | None, level: Level) -> None:
    (found,) = check_database_url(Settings(database_url=url))
    assert found.level is level
    assert "secret" not in found.what


@slow
def test_the_default_salt_is_a_fault_where_direct_personal_data_is_hashed(
    shop: SmallShop,
) -> None:
    from dataclasses import replace

    from tagline.definitions import TableDefinition

    column = {"type": "text", "description": "Where to write to.", "pii": "direct"}
    table = TableDefinition.model_validate(
        {
            "name": {"en": "A", "zh": "甲"},
            "description": "Made for a test.",
            "key": ["mail"],
            "columns": {"mail": column},
        }
    )
    catalog = shop.deployment.catalog
    personal = replace(catalog, tables={"people": table})
    assert check_salt(Settings(), catalog).level is Level.OK
    assert "people.mail" in check_salt(Settings(), personal).what
    assert check_salt(Settings(), personal).level is Level.FAULT
    assert check_salt(Settings(hash_salt="of our own"), personal).level is Level.OK


def test_little_space_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = check_folder("home", tmp_path / "new" / "home")
    assert found.level is Level.OK
    assert "made by the first run" in found.what
    free = shutil.disk_usage(tmp_path).free
    monkeypatch.setattr(surroundings, "NEARLY_FULL", free + 10**12)
    assert next(iter(check_folder("home", tmp_path))).level is Level.WARNING
    monkeypatch.setattr(surroundings, "TOO_FULL", free + 10**12)
    assert next(iter(check_folder("home", tmp_path))).level is Level.FAULT


def test_the_newest_revision_of_airflow_is_read_from_its_files() -> None:
    head = airflow_head()
    assert head is not None
    assert len(head) == 12


# Servers


def test_a_killed_embedded_server_is_told_before_it_is_started(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, database_url=None)
    assert "none in" in next(iter(check_embedded(settings))).what
    (tmp_path / "pg").mkdir()
    (tmp_path / "pg" / "PG_VERSION").write_text("18")
    assert "stopped properly" in next(iter(check_embedded(settings))).what
    (tmp_path / "pg" / "postmaster.pid").write_text(f"{2**22 + 1}\n")
    assert next(iter(check_embedded(settings))).level is Level.WARNING


def test_looking_makes_nothing(tmp_path: Path) -> None:
    settings = Settings(business="grocer", home=tmp_path / "home", database_url=None)
    assert not bad(list(examine(settings, now())))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_lake_in_an_object_store_is_asked_whether_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=tmp_path / "home", database_url=None, lake_url="s3://clinic/shop")
    with object_store() as store:
        for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": store.url}.items():
            monkeypatch.setenv(name, value)
        assert "there is no bucket 'clinic'" in bad(list(examine(settings, now())))["lake"].what
        store.make_bucket("clinic")
        assert "lake" not in bad(list(examine(settings, now())))
        assert store.objects("clinic") == []
        store.is_down = True
        assert "does not answer" in bad(list(examine(settings, now())))["lake"].what


def test_a_server_that_is_down_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAGLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TAGLINE_DATABASE_URL", "postgresql://ann:secret@127.0.0.1:1/")
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--json"])
    assert ended.value.code == 1
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    (found,) = (each for each in said["findings"] if each["level"] == "fault")
    assert found["where"] == "database"
    assert "does not answer" in found["what"]
    assert found["fix"]
    assert "secret" not in json.dumps(said)
    assert list(tmp_path.iterdir()) == []


def test_settings_that_are_wrong_are_a_finding(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAGLINE_THREADS", "many")
    with pytest.raises(SystemExit) as ended:
        main(["doctor"])
    assert ended.value.code == 1
    out = capsys.readouterr().out
    assert "TAGLINE_THREADS" in out
    assert "1 fault" in out


def test_faults_of_definitions_are_findings(tmp_path: Path) -> None:
    copied = tmp_path / "include"
    copied_definitions(copied)
    (copied / "standards.yaml").write_text("dormant_days: 3\n")
    found = list(
        examine(Settings(business="grocer", definitions=copied, home=tmp_path / "h"), now())
    )
    assert any(where.startswith("standards.yaml:") for where in bad(found))


# State


@slow
def test_a_deployment_that_is_well_has_no_fault(shop: SmallShop) -> None:
    at = now() + timedelta(seconds=5)
    shop.audited("r1", AS_OF, ROWS)
    release(shop.deployment, "r1", at)
    found = list(examine(shop.deployment.settings, at))
    wrong = bad(found)
    assert set(wrong) == {"definitions"}  # the shop's business is no file
    said = {each.where: each.what for each in found}
    assert said["registry"].startswith("at revision")
    assert said["files of releases"] == "all 1 exist"
    assert said["lake table tags.customers"] == "follows the active releases"


@slow
def test_a_missing_file_a_killed_run_and_a_held_release_are_told(shop: SmallShop) -> None:
    settings, registry = shop.deployment.settings, shop.deployment.registry
    at = now() + timedelta(hours=30)
    file = shop.audited("r1", AS_OF, ROWS)
    release(shop.deployment, "r1", now())
    shop.audited("r2", AS_OF + timedelta(days=1), ROWS, verdict="hold", reasons=["too few"])
    held = release(shop.deployment, "r2", now())
    registry.start_run("killed", AS_OF + timedelta(days=2), at - timedelta(hours=20))
    registry.start_run("alive", AS_OF + timedelta(days=3), at - timedelta(hours=1))
    Path(file).unlink()

    wrong = bad(list(examine(settings, at)))
    assert file in wrong["files of releases"].what
    assert wrong["files of releases"].level is Level.FAULT
    assert file in wrong["files of the lake"].what
    assert "never ended" in wrong["run killed"].what
    assert "run alive" not in wrong
    assert f"`tagline release {held.release} " in wrong[f"release {held.release}"].fix
    assert "let both follow a time server" in wrong["clock"].fix  # `at` is a day ahead


@slow
def test_a_lake_table_that_does_not_follow_is_told(shop: SmallShop) -> None:
    shop.audited("r1", AS_OF, ROWS)
    release(shop.deployment, "r1", now())
    with shop.deployment.registry.session() as session:
        session.execute(text("update lake_publications set release_id = null"))
    wrong = bad(list(examine(shop.deployment.settings, now())))
    assert "does not follow the releases as of 2017-10-01" in (
        wrong["lake table tags.customers"].what
    )


@slow
def test_a_metadata_file_that_is_gone_is_told(shop: SmallShop) -> None:
    shop.audited("r1", AS_OF, ROWS)
    release(shop.deployment, "r1", now())
    for file in Path(shop.deployment.lake.location).rglob("*.metadata.json"):
        file.unlink()
    wrong = bad(list(examine(shop.deployment.settings, now())))
    assert "cannot be read" in wrong["lake table tags.customers"].what


@slow
@pytest.mark.parametrize(
    ("revision", "level", "says"),
    [("0001", Level.WARNING, "migrates it"), ("9999", Level.FAULT, "install the Tagline")],
)
def test_a_registry_of_another_version_is_told(
    shop: SmallShop, revision: str, level: Level, says: str
) -> None:
    with shop.deployment.registry.session() as session:
        session.execute(text("update alembic_version set version_num = :to"), {"to": revision})
        session.execute(text("alter table locks rename to gone"))
    wrong = bad(list(examine(shop.deployment.settings, now())))
    assert wrong["registry"].level is level
    assert says in wrong["registry"].fix
    assert set(wrong) == {"definitions", "registry"}  # no check reads tables of another version


@slow
def test_files_of_a_registry_that_is_lost_are_told(settings: Settings) -> None:
    embedded = settings.model_copy(update={"database_url": None})
    for chosen in (settings, embedded):
        assert "registry" not in bad(list(examine(chosen, now())))
    file = settings.home_path / "lake" / "raw" / "a.parquet"
    file.parent.mkdir(parents=True)
    file.touch()
    for chosen in (settings, embedded):
        found = bad(list(examine(chosen, now())))["registry"]
        assert found.level is Level.FAULT
        assert "it was lost" in found.what


@slow
def test_what_airflow_has_not_migrated_is_told(shop: SmallShop) -> None:
    with shop.deployment.registry.engine.connect() as connection:
        found = check_airflow_schema(connection)  # the registry's own revision is none of Airflow's
    assert found.level is Level.WARNING
    assert str(airflow_head()) in found.what


@slow
def test_a_clock_behind_what_was_written_is_a_fault(shop: SmallShop) -> None:
    shop.deployment.registry.start_run("r1", AS_OF, now() + timedelta(days=2))
    found = [each for each in examine(shop.deployment.settings, now()) if each.where == "clock"]
    assert [each.level for each in found] == [Level.OK, Level.FAULT]


@slow
def test_what_killed_steps_left_is_told(settings: Settings) -> None:
    left = settings.home_path / "scratch" / "extract-till.sales-1"
    left.mkdir(parents=True)
    old = time.time() - timedelta(days=1).total_seconds()
    fresh = settings.home_path / "scratch" / "fresh"
    fresh.mkdir()
    os.utime(left, (old, old))
    wrong = bad(list(examine(settings, now())))
    assert f"such as {left}" in wrong["scratch"].what
    assert wrong["scratch"].what.startswith("1 left")


# The engine


@pytest.mark.parametrize(
    ("said", "level"),
    [
        (None, Level.FAULT),
        ('openjdk version "11.0.2" 2019-01-15', Level.FAULT),
        ("no such thing", Level.FAULT),
        ('openjdk version "17.0.15" 2025-04-15', Level.OK),
        ('openjdk version "21" 2023-09-19', Level.OK),
    ],
)
def test_spark_needs_a_java_that_is_new_enough(said: str | None, level: Level) -> None:
    found = check_java(said)
    assert found.level is level
    assert ("default-jre-headless" in found.fix) == (level is Level.FAULT)


def test_a_spark_engine_is_asked_for_its_master_and_a_lake_that_workers_can_see() -> None:
    settings = Settings(engine="spark://127.0.0.1:1", lake_url="s3://bucket/shop")
    said = " ".join(f"{each.what} {each.fix}" for each in check_engine(settings))
    assert "no Spark master answers at 127.0.0.1:1" in said
    assert "a folder that all workers share" in said
    (duck,) = check_engine(Settings())
    assert duck.level is Level.OK
    (unknown,) = check_engine(Settings(engine="sprak://a:1"))
    assert unknown.level is Level.FAULT
