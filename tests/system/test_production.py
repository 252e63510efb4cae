"""The services of docker-compose.yml on this machine, and a day of the grocer through them.

The lake lies in an object store, as where workers run on several hosts.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis
import requests
from sqlalchemy import NullPool, create_engine, make_url, text
from sqlalchemy.exc import OperationalError
from tests.composed import ADMIN, Composed, composed, missing_program
from tests.object_store import ENVIRONMENT, ObjectStore, object_store

from tagline.database import server_url
from tagline.registry import Registry, open_registry
from tagline.servers.airflow_api import FINISHED, AirflowApi
from tagline.servers.stack import DAGS
from tagline.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
BUCKET = "lake"
DAY, DAY_BEFORE = datetime(2017, 12, 1, tzinfo=UTC), datetime(2017, 11, 30, tzinfo=UTC)
ROLLBACK = "/tagline/api/releases/rollback"
CELERY = ("celery", "--app", "airflow.providers.celery.executors.celery_executor.app")


@dataclass(frozen=True)
class World:
    """The running services with the day's run, and what a person or an operator has in hand."""

    stack: Composed
    store: ObjectStore
    airflow: AirflowApi
    registry: Registry
    run: Mapping[str, Any]

    def header(self, name: str, password: str) -> dict[str, str]:
        """A header with an API token of an account."""
        body = {"username": name, "password": password}
        answer = requests.post(f"{self.stack.url}/auth/token", json=body, timeout=30)
        answer.raise_for_status()
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def account(self, role: str) -> dict[str, str]:
        """A new account of a role, made as an administrator makes it; its header."""
        name, password = role.lower(), f"password-of-{role}"
        body = {
            "username": name,
            "password": password,
            "email": f"{name}@shop.example",
            "first_name": role,
            "last_name": "Tester",
            "roles": [{"name": role}],
        }
        address = f"{self.stack.url}/auth/fab/v1/users"
        answer = requests.post(address, headers=self.header(*ADMIN), json=body, timeout=30)
        assert answer.ok, answer.text
        return self.header(name, password)

    def ask(self, method: str, path: str, header: Mapping[str, str], **body: Any) -> Any:
        """An answer of the web server, to a question with or without a body."""
        return requests.request(
            method,
            self.stack.url + path,
            headers={**header, "X-Tagline-Portal": "1"},
            json=body or None,
            timeout=60,
        )

    def live(self) -> datetime:
        """The as_of of the live release."""
        found = self.registry.live()
        assert found is not None
        return found.as_of


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """All services, and the run of one day triggered by REST."""
    missing = missing_program()
    if missing is not None:
        pytest.skip(missing)
    home = Path(tempfile.mkdtemp(prefix="tl", dir="/tmp"))
    try:
        with object_store() as store, composed(home, variables=lake_in(store)) as stack:
            passwords = home / "passwords.json"
            passwords.write_text(json.dumps(dict([ADMIN])))
            airflow = AirflowApi(stack.url, passwords)
            watch = stack.supervisor.wait_until
            watch(airflow.healthy, "the start of Airflow")
            watch(lambda: airflow.has_dags(DAGS), "reading the DAGs")
            airflow.unpause("customer_tags")
            run_id = airflow.trigger("customer_tags", {"as_of": DAY.date().isoformat()})
            run = {"state": "queued"}
            while run["state"] not in FINISHED:
                stack.supervisor.watch()
                time.sleep(0.5)
                run = airflow.run("customer_tags", run_id)
            database = stack.environment("worker")["TAGLINE_DATABASE_URL"]
            registry = open_registry(Settings(home=home, database_url=database))
            yield World(stack, store, airflow, registry, run)
            registry.engine.dispose()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def lake_in(store: ObjectStore) -> dict[str, str]:
    """What .env says of a lake in a new bucket of the store."""
    store.make_bucket(BUCKET)
    place = {"TAGLINE_LAKE_URL": f"s3://{BUCKET}/shop", "AWS_ENDPOINT_URL": store.url}
    return {name: value for name, value in ENVIRONMENT.items() if "METADATA" not in name} | place


def tasks(world: World) -> list[dict[str, Any]]:
    """The task instances of the day's run."""
    return world.airflow.tasks("customer_tags", world.run["dag_run_id"])


def test_a_days_run_triggered_by_rest_is_live(world: World) -> None:
    states = {task["task_id"]: task["state"] for task in tasks(world)}
    assert world.run["state"] == "success", states
    assert set(states.values()) == {"success"}
    live = world.registry.live()
    assert live is not None
    assert (live.as_of, live.customers) == (DAY, 2_463)


def test_the_lake_and_the_release_lie_in_the_object_store(world: World) -> None:
    live = world.registry.live()
    assert live is not None
    objects = {f"s3://{BUCKET}/{key}" for key in world.store.objects(BUCKET)}
    assert objects.issuperset(live.files["customer"])
    assert any(path.startswith(f"s3://{BUCKET}/shop/clean/orders/data/") for path in objects)
    assert not list((world.stack.home / "tagline").rglob("*.parquet"))


def test_every_task_ran_on_the_celery_worker(world: World) -> None:
    worker = world.stack.environment("worker")
    answer = subprocess.run(
        [*CELERY, "inspect", "stats", "--json"],
        env=worker,
        check=True,
        capture_output=True,
        text=True,
    )
    (stats,) = json.loads(answer.stdout).values()
    tries = sum(task["try_number"] for task in tasks(world))
    assert sum(stats["total"].values()) == tries > len(DAGS)
    assert {task["queue"] for task in tasks(world)} == {"default"}
    assert stats["broker"]["transport"] == "redis"


def test_the_web_server_shows_the_log_of_a_task_of_the_worker(world: World) -> None:
    release = next(task for task in tasks(world) if task["task_id"] == "release")
    assert "2,463" in world.airflow.log(release)


@pytest.mark.parametrize(
    "name",
    [
        "api-server", "dag-processor", "mlflow", "postgres", "redis", "scheduler", "triggerer",
        "worker",
    ],
)  # fmt: skip
def test_the_health_check_of_each_service_succeeds(world: World, name: str) -> None:
    world.stack.supervisor.wait_until(lambda: world.stack.healthy(name), name)


def test_nobody_without_a_login_sees_the_portal(world: World) -> None:
    for path in ("/tagline/", "/tagline/api/session", "/tagline/static/main.js", "/tagline/none"):
        assert world.ask("GET", path, {}).status_code == 401, path
    assert world.ask("POST", ROLLBACK, {}, reason="because", expected_live=1).status_code == 401
    assert world.ask("GET", "/api/v2/dags", {}).status_code == 401


def test_a_viewer_may_look_but_only_an_op_may_roll_back(world: World) -> None:
    viewer, op = world.account("Viewer"), world.account("Op")
    by_command_line(world, "run", "--as-of", DAY_BEFORE.date().isoformat())
    released = world.ask("GET", "/tagline/api/releases", viewer).json()
    assert [release["day"] for release in released["releases"]] == ["2017-12-01", "2017-11-30"]
    assert world.ask("GET", "/tagline/api/session", viewer).json()["may_change"] is False
    # Airflow's navigation shows the portal's entry to those who may list the plugins.
    assert world.ask("GET", "/api/v2/plugins", viewer).status_code == 200

    wanted = {"reason": "prices were wrong", "expected_live": released["live"]["release"]}
    assert world.ask("POST", ROLLBACK, viewer, **wanted).status_code == 403
    assert world.live() == DAY
    answer = world.ask("POST", ROLLBACK, op, **wanted)
    assert answer.status_code == 200, answer.text
    assert world.live() == DAY_BEFORE
    shown = world.ask("GET", f"/tagline/api/releases/{wanted['expected_live']}", viewer).json()
    assert shown["events"][-1]["actor"] == "op"


def by_command_line(world: World, *words: str) -> None:
    """A command as an operator gives it, in the environment of the worker."""
    subprocess.run(
        ["tagline", *words],
        env=world.stack.environment("worker"),
        check=True,
        capture_output=True,
    )


def test_one_who_signs_in_by_the_form_may_use_the_portal(world: World) -> None:
    with requests.Session() as browser:
        page = browser.get(f"{world.stack.url}/auth/login/", timeout=30).text
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
        assert token is not None
        form = {"username": ADMIN[0], "password": ADMIN[1], "csrf_token": token[1]}
        browser.post(f"{world.stack.url}/auth/login/", data=form, timeout=30).raise_for_status()
        answer = browser.get(f"{world.stack.url}/tagline/api/session", timeout=30)
        assert answer.status_code == 200
        assert (answer.json()["user"], answer.json()["may_change"]) == (ADMIN[0], True)


def test_postgresql_and_redis_refuse_who_has_no_password(world: World) -> None:
    worker = world.stack.environment("worker")
    database = make_url(server_url(Settings(database_url=worker["TAGLINE_DATABASE_URL"])))
    wrong = create_engine(database.set(password="guessed"), poolclass=NullPool)
    with pytest.raises(OperationalError, match="password authentication failed"):
        wrong.connect()
    broker = make_url(worker["AIRFLOW__CELERY__BROKER_URL"])
    assert broker.port is not None
    with (
        redis.Redis(str(broker.host), broker.port) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()


def test_mlflow_answers_only_under_its_own_names(world: World) -> None:
    address = f"{world.stack.mlflow_url}/api/2.0/mlflow/experiments/search"
    for host, status in ((None, 200), ("rebound.example", 403)):
        headers = {"Host": host} if host else {}
        query = {"max_results": 1}
        answer = requests.get(address, params=query, headers=headers, timeout=30)
        assert answer.status_code == status, answer.text


def test_preparing_again_migrates_nothing_and_keeps_the_administrator(world: World) -> None:
    prepare = world.stack.services["prepare"]
    password = {"AIRFLOW_ADMIN_PASSWORD": "another password of the same name"}
    subprocess.run(prepare.command, env=prepare.environment | password, check=True)
    assert world.header(*ADMIN)
    engine = create_engine(
        server_url(Settings(database_url=prepare.environment["TAGLINE_DATABASE_URL"])),
        poolclass=NullPool,
    )
    with engine.connect() as connection:
        names = connection.scalars(text("select datname from pg_database where datname ~ '_'"))
        assert sorted(names) == [
            f"grocer_{name}" for name in ("airflow", "lake", "mlflow", "profiles", "registry")
        ]
