"""PostgreSQL, MLflow and Airflow together, as one with-block."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from tagline.errors import TaglineError
from tagline.servers.airflow_api import AirflowApi
from tagline.servers.environment import HOST, chosen_ports, server_environment
from tagline.servers.supervise import Supervisor
from tagline.settings import PROJECT, Settings

DAGS = ("customer_tags", "tag_models")
Say = Callable[[str], None]


class AlreadyRunning(TaglineError):
    """The servers of this business already run in another process."""


@dataclass(frozen=True)
class Stack:
    """The running servers."""

    supervisor: Supervisor
    airflow: AirflowApi
    mlflow_url: str
    environment: dict[str, str]

    def stay(self) -> None:
        """Wait until interrupted; raises ServerFailed if a server ends by itself."""
        while True:
            self.supervisor.watch()
            time.sleep(1)


@contextmanager
def running(
    settings: Settings, say: Say, dags: Sequence[str] = DAGS, folder: Path = PROJECT / "dags"
) -> Iterator[Stack]:
    """Start all servers of a deployment; they end with the block, whatever ends it.

    The block begins once Airflow has read `dags` from `folder`.
    """
    home = settings.home_path
    with _alone(home), chosen_ports(home) as ports:
        environment = server_environment(settings, ports, folder)
        say("PostgreSQL is ready")
        with Supervisor(environment, home / "logs") as supervisor:
            airflow = AirflowApi(
                f"http://{HOST}:{ports.airflow}",
                home / "airflow" / "simple_auth_manager_passwords.json.generated",
            )
            stack = Stack(supervisor, airflow, environment["TAGLINE_MLFLOW_URL"], environment)
            try:
                _start(stack, home, say, dags)
                yield stack
            finally:
                say("Stopping the servers")


def _start(stack: Stack, home: Path, say: Say, dags: Sequence[str]) -> None:
    supervisor = stack.supervisor
    port = stack.mlflow_url.rpartition(":")[2]
    artifacts = str(home / "mlflow" / "artifacts")
    supervisor.start(
        "mlflow", "mlflow", "server", "--host", HOST, "--port", port, "--workers", "1",
        "--no-serve-artifacts", "--default-artifact-root", artifacts,
    )  # fmt: skip
    supervisor.complete("airflow-migrate", "airflow", "db", "migrate")
    say("Airflow's database is migrated")
    supervisor.start("airflow-scheduler", "tagline.servers.preloaded", "scheduler")
    for part in ("api-server", "dag-processor", "triggerer"):
        supervisor.start(f"airflow-{part}", "airflow", part)
    supervisor.wait_until(stack.airflow.healthy, "the start of Airflow")
    say(f"Airflow is ready: {stack.airflow.url}")
    supervisor.wait_until(lambda: _answers(f"{stack.mlflow_url}/health"), "the start of MLflow")
    say(f"MLflow is ready: {stack.mlflow_url}")
    supervisor.wait_until(lambda: stack.airflow.has_dags(dags), f"reading the DAGs {dags}")
    say(f"Airflow has read {', '.join(dags)}")


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Hold the home's lock; it is freed with this process, even by a kill."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "servers.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(
                f"the servers of {home} already run; stop that `make demo` or `make up` first, "
                "or choose another TAGLINE_HOME"
            ) from None
        yield
