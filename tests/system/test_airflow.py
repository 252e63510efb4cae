"""The real scheduler on a real PostgreSQL: backfills, reruns, days without data, rollback."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlalchemy import select

from tagline.deployment import Deployment, open_deployment
from tagline.registry.schema import Release, Run
from tagline.release import rollback
from tagline.serve.profiles import profile
from tagline.servers.airflow_api import FINISHED
from tagline.servers.stack import Stack, running
from tagline.settings import PROJECT, Settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
LIVE = datetime(2017, 12, 1, tzinfo=UTC)
PAST = [datetime(2017, 11, 22 + number, tzinfo=UTC) for number in range(3)]
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class World:
    """Running servers, and a deployment opened beside them as the command line would."""

    stack: Stack
    deployment: Deployment

    def wait(self, dag: str, run_id: str, seconds: float = 600) -> dict[str, Any]:
        """The run once it has ended."""
        return self._until(lambda: self.stack.airflow.run(dag, run_id), seconds)

    def trigger(self, dag: str, day: date) -> dict[str, Any]:
        """Run a DAG for one day by hand, to its end."""
        return self.wait(dag, self.stack.airflow.trigger(dag, {"as_of": day.isoformat()}))

    def backfill(self) -> list[dict[str, Any]]:
        """Run the past days through one backfill with two active runs; returns its runs."""
        first, last = PAST[0] - ONE_DAY, PAST[-1] - ONE_DAY
        airflow = self.stack.airflow
        number = airflow.backfill("customer_tags", first, last, reprocess="completed", active=2)
        self._until(lambda: _ended(airflow.request("GET", f"/backfills/{number}")), 900)
        return airflow.runs("customer_tags", first, last)

    def _until(self, look: Callable[[], dict[str, Any]], seconds: float) -> dict[str, Any]:
        limit = time.monotonic() + seconds
        while (seen := look())["state"] not in FINISHED:
            self.stack.supervisor.watch()
            assert time.monotonic() < limit, f"still {seen['state']} after {seconds} s"
            time.sleep(0.5)
        return seen

    def states(self, run: dict[str, Any]) -> dict[str, set[str]]:
        """The states of a run's task instances, by task."""
        states: dict[str, set[str]] = {}
        for task in self.stack.airflow.tasks(run["dag_id"], run["dag_run_id"]):
            states.setdefault(task["task_id"], set()).add(task["state"])
        return states

    def log(self, run: dict[str, Any], task: str) -> str:
        """The log of one task of a run."""
        found = self.stack.airflow.tasks(run["dag_id"], run["dag_run_id"])
        return self.stack.airflow.log(next(item for item in found if item["task_id"] == task))


def _ended(backfill: dict[str, Any]) -> dict[str, Any]:
    return {"state": "success" if backfill["completed_at"] else "running"}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Servers whose DAG folder also holds customer_tags with one line more."""
    home = Path(tempfile.mkdtemp(prefix="tl", dir="/tmp"))  # a socket path must be short
    dags = home / "dags"
    shutil.copytree(PROJECT / "dags", dags, ignore=shutil.ignore_patterns("__pycache__"))
    for name, after, line in (
        ("customer_tags_and_more", CHECK, MORE),
        ("customer_tags_refused", EXTRACT, REFUSE),
    ):
        (dags / f"{name}.py").write_text(with_one_line_more(name, after, line))
    (dags / "extras.py").write_text(EXTRAS)
    settings = Settings(home=home)
    known = ("customer_tags", "customer_tags_and_more", "customer_tags_refused", "tag_models")
    try:
        with (
            running(settings, print, known, dags) as stack,
            open_deployment(settings) as deployment,
        ):
            for dag in known:
                stack.airflow.unpause(dag)
            yield World(stack, deployment)
    finally:
        shutil.rmtree(home, ignore_errors=True)


CHECK = '        step("check", "tagline.quality:check"),\n'
MORE = '        step("count_customers", "extras:count_customers"),\n'
EXTRACT = "        extract(),\n"
REFUSE = '        step("refuse", "extras:refuse"),\n'
EXTRAS = '''
def count_customers(deployment, run_id, as_of, at):
    """A user's own function: any report, as a list or with as_json()."""
    return [f"customers known to {deployment.catalog.business}"]


def refuse(deployment, run_id, as_of, at):
    """A user's own function that refuses for good."""
    from tagline.errors import TaglineError

    raise TaglineError("the moon is in the wrong house; wait for a better one")
'''


def with_one_line_more(name: str, after: str, line: str) -> str:
    """The text of customer_tags with one line added after another, under another DAG's name."""
    text = (PROJECT / "dags" / "customer_tags.py").read_text()
    assert after in text
    return text.replace('"customer_tags",', f'"{name}",').replace(after, after + line)


@pytest.fixture(scope="module")
def live(world: World) -> int:
    """The id of a live release, made by a run by hand."""
    run = world.trigger("customer_tags", LIVE.date())
    assert run["state"] == "success", world.states(run)
    released = world.deployment.registry.live()
    assert released is not None
    assert released.as_of == LIVE
    return released.id


@pytest.fixture(scope="module")
def first(world: World, live: int) -> dict[datetime, Release]:
    """The releases of a first backfill of the past days."""
    runs = world.backfill()
    assert [run["state"] for run in runs] == ["success"] * len(PAST)
    return releases(world)


def releases(world: World) -> dict[datetime, Release]:
    """The active release of each past day."""
    found = {as_of: world.deployment.registry.release_at(as_of) for as_of in PAST}
    assert all(found.values())
    return {as_of: release for as_of, release in found.items() if release}


def test_a_backfill_releases_its_days_and_leaves_live_alone(
    world: World, live: int, first: dict[datetime, Release]
) -> None:
    assert [release.as_of for release in first.values()] == PAST
    now_live = world.deployment.registry.live()
    assert now_live is not None
    assert now_live.id == live


def test_a_second_identical_backfill_changes_no_value(
    world: World, first: dict[datetime, Release]
) -> None:
    world.backfill()
    for as_of, again in releases(world).items():
        before = first[as_of]
        assert again.id != before.id
        assert again.supersedes_id == before.id
        assert different_rows(before, again) == 0


def different_rows(one: Release, other: Release) -> int:
    """How many rows of either release the other does not have."""
    files = [[str(path) for path in release.files["customer"]] for release in (one, other)]
    count = """select count(*) from (
        (select * from read_parquet($1) except all select * from read_parquet($2)) union all
        (select * from read_parquet($2) except all select * from read_parquet($1)))"""
    with duckdb.connect() as memory:
        ((number,),) = memory.execute(count, files).fetchall()
    return int(number)


def test_the_log_of_a_task_shows_its_report_as_a_table(
    world: World, first: dict[datetime, Release]
) -> None:
    run = world.stack.airflow.runs("customer_tags", PAST[0] - ONE_DAY, PAST[0])[0]
    log = world.log(run, "release")
    assert "status      : released" in log or "status" in log
    assert f"{first[PAST[0]].customers:,}" in log


def test_the_lines_of_a_task_say_of_which_run_they_are(
    world: World, first: dict[datetime, Release]
) -> None:
    run = world.stack.airflow.runs("customer_tags", PAST[0] - ONE_DAY, PAST[0])[0]
    task = next(
        task
        for task in world.stack.airflow.tasks("customer_tags", run["dag_run_id"])
        if task["task_id"] == "release"
    )
    made = releases(world)[PAST[0]]
    lines = [line for line in world.stack.airflow.messages(task) if isinstance(line, dict)]
    (said,) = (line for line in lines if str(line["event"]).startswith(f"release {made.id} as of"))
    assert said["run"] == made.run_id
    assert said["as_of"] == made.as_of.isoformat()


def test_a_task_added_by_one_line_runs_between_two_of_the_steps(world: World, live: int) -> None:
    run = world.trigger("customer_tags_and_more", LIVE.date() - ONE_DAY)
    assert run["state"] == "success", world.states(run)
    tasks = {
        task["task_id"]: task
        for task in world.stack.airflow.tasks("customer_tags_and_more", run["dag_run_id"])
    }
    assert tasks["check"]["end_date"] <= tasks["count_customers"]["start_date"]
    assert tasks["count_customers"]["end_date"] <= tasks["compute"]["start_date"]
    assert "customers known to grocer" in world.log(run, "count_customers")


@pytest.mark.parametrize("day", [date(2018, 2, 1), date(2016, 12, 1), date(2040, 1, 1)])
def test_a_run_for_a_day_without_data_ends_as_no_data(world: World, live: int, day: date) -> None:
    run = world.trigger("customer_tags", day)
    assert run["state"] == "success"
    assert world.states(run)["release"] == {"skipped"}
    as_of = datetime(day.year, day.month, day.day, tzinfo=UTC)
    with world.deployment.registry.session() as session:
        assert list(session.scalars(select(Run.status).filter_by(as_of=as_of))) == ["no_data"]
    now_live = world.deployment.registry.live()
    assert now_live is not None
    assert now_live.id == live


def test_a_refusal_fails_the_run_at_once_with_its_reason_and_leaves_live_alone(
    world: World, live: int
) -> None:
    run = world.trigger("customer_tags_refused", LIVE.date() - 2 * ONE_DAY)
    assert run["state"] == "failed"
    tasks = world.stack.airflow.tasks("customer_tags_refused", run["dag_run_id"])
    refused = next(task for task in tasks if task["task_id"] == "refuse")
    assert (refused["state"], refused["try_number"]) == ("failed", 1)
    assert "the moon is in the wrong house" in world.stack.airflow.log(refused)
    with world.deployment.registry.session() as session:
        rows = session.execute(
            select(Run.status, Run.reason).filter_by(as_of=LIVE - 2 * ONE_DAY)
        ).all()
    assert [row.status for row in rows] == ["failed"]
    assert rows[0].reason.startswith("refuse: the moon")
    now_live = world.deployment.registry.live()
    assert now_live is not None
    assert now_live.id == live


def test_nothing_runs_by_itself_on_days_that_are_over(world: World, live: int) -> None:
    for dag in ("customer_tags", "tag_models"):
        runs = world.stack.airflow.request("GET", f"/dags/{dag}/dagRuns", run_type="scheduled")
        assert runs["total_entries"] == 0


def test_a_rollback_serves_the_release_before(
    world: World, live: int, first: dict[datetime, Release]
) -> None:
    run = world.trigger("customer_tags", (LIVE + ONE_DAY).date())
    assert run["state"] == "success", world.states(run)
    deployment, now = world.deployment, datetime.now(UTC)
    assert profile(deployment, "1", None, now)["as_of"].startswith("2017-12-02")
    rolled_back = rollback(deployment, "a test of the rollback", "tester", now)
    assert rolled_back.id == live
    shown = profile(deployment, "1", None, now)
    assert shown["release"] == live
    assert shown["as_of"].startswith("2017-12-01")
