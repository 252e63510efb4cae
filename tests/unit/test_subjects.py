"""A small fleet from its files to releases: subjects, owners as of the event, judgements."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest
from tests.conftest import drop_databases
from tests.fleet.expected import Fleet, expected, fleet, graded

from tagline.catalog import load_catalog
from tagline.compute import feature_table
from tagline.database import open_database
from tagline.definitions.tag import Quality
from tagline.deployment import Deployment, open_deployment
from tagline.doctor.finding import Finding
from tagline.doctor.state import check_released_tables
from tagline.errors import ExpressionError, UnknownCustomer
from tagline.pipeline import run_day
from tagline.plan import planned
from tagline.registry.schema import Release
from tagline.release import rollback
from tagline.serve.audiences import audience, ids
from tagline.serve.exports import export
from tagline.serve.profiles import profile
from tagline.serve.released import files_of
from tagline.settings import PROJECT, Settings
from tagline.subjects import CUSTOMER, SUBJECTS

pytestmark = pytest.mark.slow

DEFINITIONS = PROJECT / "tests" / "fleet"
MACHINE, OPPORTUNITY = SUBJECTS["machine"], SUBJECTS["opportunity"]
NOW = datetime(2026, 4, 2, tzinfo=UTC)
DAYS = (datetime(2026, 3, 2), datetime(2026, 3, 3), datetime(2026, 3, 29))  # local midnights


@dataclass(frozen=True)
class World:
    """The fleet with its days released, in order."""

    deployment: Deployment
    data: Fleet

    def as_of(self, day: datetime) -> datetime:
        return self.deployment.catalog.midnight(day.date())

    def released(self, day: datetime, subject: str) -> dict[str, dict[str, Any]]:
        """The values of a subject's table by its key, without the hidden columns."""
        release = self.deployment.registry.release_at(self.as_of(day))
        assert release is not None
        about = SUBJECTS[subject]
        rows = parquet.read_table(list(files_of(release, about))).to_pylist()
        return {
            row[about.key]: {
                name: value
                for name, value in row.items()
                if name not in (about.key, "as_of") and "__" not in name
            }
            for row in rows
        }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("fleet")
    definitions, data = folder / "definitions", fleet()
    shutil.copytree(DEFINITIONS, definitions)
    data.write(definitions / "data")
    settings = Settings(
        business="fleet", definitions=definitions, home=folder / "home", database_url=postgres_url
    )
    with open_deployment(settings) as deployment:
        for day in DAYS:
            as_of = deployment.catalog.midnight(day.date())
            report = run_day(deployment, as_of, f"run-{day:%m%d}", lambda: NOW)
            assert (report.status, report.gate["verdict"]) == ("released", "pass")
        yield World(deployment, data)
    drop_databases(settings)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_each_subject_is_released_as_plain_pandas_counts_it(world: World, subject: str) -> None:
    seen: dict[str, set[Any]] = {}
    grades = graded(world.data, DAYS) if subject == "customer" else {}
    for day in DAYS:
        wanted, got = expected(world.data, day)[subject], world.released(day, subject)
        wanted = {key: values | grades.get((day, key), {}) for key, values in wanted.items()}
        assert got.keys() == wanted.keys()
        for key, values in wanted.items():
            lists = {slug: value for slug, value in values.items() if isinstance(value, list)}
            single = {slug: value for slug, value in values.items() if slug not in lists}
            assert {slug: got[key].pop(slug) for slug in lists} == lists, f"{key} as of {day}"
            assert got[key] == pytest.approx(single), f"{subject} {key} as of {day}"
            for slug, value in values.items():
                seen.setdefault(slug, set()).add(str(value))
    assert set(seen) == set(world.deployment.catalog.tags_of(SUBJECTS[subject]))
    assert all(len(values) > 1 for values in seen.values()), "a tag with one value shows nothing"


def test_buckets_of_customers_change_no_value(
    tmp_path: Path, postgres_url: str, world: World
) -> None:
    """What is the customer's by a machine may lie in any bucket."""
    definitions = tmp_path / "definitions"
    shutil.copytree(world.deployment.settings.definitions, definitions)
    business = definitions / "businesses" / "fleet.yaml"
    business.rename(business.with_name("fleet_in_buckets.yaml"))
    settings = Settings(
        business="fleet_in_buckets",
        definitions=definitions,
        home=tmp_path / "home",
        database_url=postgres_url,
        customer_buckets=3,
    )
    try:
        with open_deployment(settings) as deployment:
            run_day(deployment, world.as_of(DAYS[0]), "run", lambda: NOW)
            apart = World(deployment, world.data)
            for subject in SUBJECTS:
                assert apart.released(DAYS[0], subject) == world.released(DAYS[0], subject)
    finally:
        drop_databases(settings)


def test_a_sold_machine_gives_its_events_to_the_owner_of_their_time(world: World) -> None:
    """The report that comes in the very instant of a sale is the new owner's."""
    data = world.data
    reports = data.reports.merge(
        data.sales, left_on=["machine", "reported"], right_on=["machine", "sold"]
    )
    reports = reports[(reports["hours"] == 100.0) & reports["owner"].notna()]
    assert len(reports)
    customer = dict(zip(data.people["keys"], data.people["customer"], strict=True))
    last = world.released(DAYS[-1], "customer")
    for key in reports["owner"]:
        assert last[customer[key]]["owned_hours_total"] >= 100.0


def test_a_profile_an_audience_and_an_export_are_of_one_subject(
    world: World, tmp_path: Path
) -> None:
    deployment, last = world.deployment, world.released(DAYS[-1], "machine")
    key = sorted(last)[0]
    told = profile(deployment, key, None, NOW, MACHINE)
    assert told["machine_id"] == key
    assert {slug: tag["value"] for slug, tag in told["tags"].items()} == last[key]
    assert "hours in 30 days" in told["tags"]["is_idle"]["because"]
    name = sorted(world.released(DAYS[-1], "customer"))[0]
    of_customer = profile(deployment, name, None, NOW)["tags"]
    assert set(of_customer) == set(deployment.catalog.tags_of(CUSTOMER))
    idle = sorted(name for name, tags in last.items() if tags["is_idle"])
    assert ids(deployment, "is_idle", None, MACHINE) == idle
    assert audience(deployment, "not is_idle", None, MACHINE)["count"] == len(last) - len(idle)
    target = tmp_path / "opportunities.parquet"
    assert export(deployment, str(target), None, OPPORTUNITY) == len(
        parquet.read_table(target, columns=["opportunity_id", "as_of", "is_stale"])
    )


def test_what_is_asked_of_the_wrong_subject_says_so(world: World) -> None:
    with pytest.raises(UnknownCustomer, match=r"unknown machine 'C00'.*--ids --subject machine"):
        profile(world.deployment, "C00", None, NOW, MACHINE)
    with pytest.raises(ExpressionError, match="ask for machines with --subject machine"):
        audience(world.deployment, "is_idle")


def test_the_command_line_takes_the_subject(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tagline.cli import main

    settings = world.deployment.settings
    for name in ("home", "definitions", "database_url"):
        monkeypatch.setenv(f"TAGLINE_{name.upper()}", str(getattr(settings, name)))
    arguments = ["--business", "fleet", "audience", "is_idle", "--ids", "--subject"]

    def code(*last: str) -> int:
        with pytest.raises(SystemExit) as ended:
            main([*arguments, *last])
        return int(str(ended.value.code))

    assert code("machine", "--json") == 0
    idle = [key for key, tags in world.released(DAYS[-1], "machine").items() if tags["is_idle"]]
    assert json.loads(capsys.readouterr().out)["ids"] == sorted(idle)
    assert code("machin") == 2
    assert "Did you mean 'machine'" in capsys.readouterr().err


def test_the_tags_of_every_subject_are_audited_and_judged(world: World) -> None:
    release = world.deployment.registry.live()
    assert release is not None
    tags = world.deployment.catalog.tags
    assert set(release.profile) == set(release.gate["tags"]) == set(tags)
    sizes = {subject: len(world.released(DAYS[-1], subject)) for subject in SUBJECTS}
    assert {slug: release.profile[slug]["rows"] for slug in tags} == {
        slug: sizes[tag.subject.name] for slug, tag in tags.items()
    }
    assert release.profile["machine_hours_30d"]["changed"] is None  # no release in the week before
    second = world.deployment.registry.release_at(world.as_of(DAYS[1]))
    assert second is not None
    before, after = (world.released(day, "machine") for day in DAYS[:2])
    moved = [before[key] != after[key] for key in before.keys() & after.keys()]
    assert 0 < second.profile["machine_hours_30d"]["changed"] <= sum(moved) / len(moved)


def test_a_withheld_machine_tag_keeps_its_values_and_withholds_what_reads_it(
    world: World,
) -> None:
    """The limit on hours is broken on purpose; the customers' tags over machines follow."""
    deployment = world.deployment
    catalog = deployment.catalog
    tag = catalog.tags["machine_hours_30d"]
    strict = tag.definition.model_copy(update={"quality": Quality(between=(0, 1))})
    tags = {**catalog.tags, tag.slug: replace(tag, definition=strict)}
    broken = replace(deployment, catalog=replace(catalog, tags=tags))
    day = DAYS[1] + timedelta(days=1)
    run_day(broken, world.as_of(day), "run-broken", lambda: NOW)
    release = deployment.registry.release_at(world.as_of(day))
    assert release is not None
    state = {slug: entry["state"] for slug, entry in release.tags.items()}
    assert state["machine_hours_30d"] == state["idle_machine_count"] == "withheld"
    assert state["machine_model"] == state["owned_hours_total"] == "current"
    assert release.tags["machine_hours_30d"]["subject"] == "machine"
    earlier, now = world.released(DAYS[1], "machine"), world.released(day, "machine")
    for key, values in now.items():
        before = earlier.get(key, {"machine_hours_30d": None})["machine_hours_30d"]
        assert values["machine_hours_30d"] == before


def test_a_plan_follows_a_changed_machine_tag_to_the_customers(
    world: World, tmp_path: Path
) -> None:
    root = tmp_path / "definitions"
    shutil.copytree(world.deployment.catalog.root, root)
    (path,) = root.glob("tags/machines/*/is_idle.yaml")
    path.write_text(path.read_text("utf-8").replace("< 20", "< 5000"), "utf-8")
    changed = replace(world.deployment, catalog=load_catalog(root, "fleet"))
    last = world.released(DAYS[-1], "machine")
    idle = sorted(key for key, tags in last.items() if tags["machine_hours_30d"] >= 20)
    assert idle
    target = tmp_path / "plan.parquet"
    with planned(changed) as plan:
        told = {tag["tag"]: tag for tag in plan.as_json()["tags"]}
        found = {slug: plan.ids(slug) for slug in told}
        assert plan.export(str(target)) == sum(map(len, found.values()))
    assert found["is_idle"] == idle
    assert (told["is_idle"]["subject"], told["is_idle"]["population"]) == ("machine", len(last))
    assert told["is_idle"]["examples"][0]["machine_id"] == idle[0]
    assert "idle_machine_count" in told["is_idle"]["downstream"]["tags"]
    counted = feature_table(changed, world.as_of(DAYS[-1]), ["idle_machine_count"]).to_pylist()
    before = world.released(DAYS[-1], "customer")
    assert found["idle_machine_count"] == sorted(
        row["customer_id"]
        for row in counted
        if row["idle_machine_count"] != before[row["customer_id"]]["idle_machine_count"]
    )
    assert found["idle_machine_count"]
    assert {row["subject"] for row in parquet.read_table(target).to_pylist()} == {
        "machine",
        "customer",
    }


def test_a_rollback_takes_every_subject_back_at_once(world: World) -> None:
    deployment = world.deployment
    live = deployment.registry.live()
    assert live is not None
    run_day(deployment, live.as_of, "run-superseding", lambda: NOW)
    newest = deployment.registry.live()
    assert newest is not None and newest.id != live.id

    def in_lake() -> set[str]:
        lake = deployment.lake
        return {
            file
            for subject in SUBJECTS.values()
            for file in lake.relation(subject.lake_table, {}).files
        }

    def named(release: Release) -> set[str]:
        return {file for files in release.files.values() for file in files}

    assert set(newest.files) == set(SUBJECTS)
    assert named(newest) <= in_lake()
    rollback(deployment, "a test", "tester", NOW)
    after = deployment.registry.live()
    assert after is not None and after.id == live.id
    assert named(live) <= in_lake() and not named(newest) & in_lake()
    findings = {each.where: each.what for each in check_released(deployment)}
    assert findings == {
        f"lake table {subject.lake_table}": "follows the active releases"
        for subject in SUBJECTS.values()
    }


def check_released(deployment: Deployment) -> list[Finding]:
    lake = open_database(deployment.settings, "lake")
    try:
        with deployment.registry.engine.connect() as registry, lake.connect() as tables:
            return list(check_released_tables(registry, tables))
    finally:
        lake.dispose()
