"""What the servers are told: ports, secrets and the environment variables of Airflow and MLflow."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tagline.database import database_url, server_url
from tagline.settings import PROJECT, Settings

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Ports:
    """The ports of a deployment; kept in its home, so that links stay good over restarts."""

    airflow: int = 8080
    mlflow: int = 5000
    task_logs: int = 8793
    trigger_logs: int = 8794


# Several tasks train at once: threads of the learners that wait for each other by spinning would
# take the processors from all of them.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@contextmanager
def chosen_ports(home: Path) -> Iterator[Ports]:
    """The ports of last time (or the usual ones) where they are free, else any free ones.

    They are kept from other deployments of this machine until the block ends: a server binds its
    port only seconds after the choice.
    """
    memory = home / "ports.json"
    wanted = Ports()
    if memory.is_file():
        wanted = Ports(**json.loads(memory.read_text()))
    with ExitStack() as held:
        ports = Ports(**{name: _free_port(port, held) for name, port in asdict(wanted).items()})
        memory.parent.mkdir(parents=True, exist_ok=True)
        memory.write_text(json.dumps(asdict(ports)))
        yield ports


def _free_port(wanted: int, held: ExitStack) -> int:
    for port in (wanted, *[0] * 20):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            number: int = probe.getsockname()[1]
        if _reserve(number, held):
            return number
    raise OSError("no free port")


def _reserve(port: int, held: ExitStack) -> bool:
    """Lock the port's file; the lock is freed with this process, even by a kill."""
    path = Path(tempfile.gettempdir()) / f"tagline-port-{port}"
    try:
        file = held.enter_context(path.open("w"))
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # another deployment's, or another user's
        return False
    return True


def server_environment(settings: Settings, ports: Ports, dags: Path) -> dict[str, str]:
    """The whole environment of a server's process; starts the embedded PostgreSQL if it is used."""
    environment = dict(os.environ)
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    environment["PYTHONPATH"] = str(PROJECT / "include")
    environment["PYTHONUNBUFFERED"] = "1"
    environment.update(_tagline(settings, ports))
    environment.update(_airflow(settings, ports, dags))
    environment.update(_mlflow(settings))
    environment["GX_ANALYTICS_ENABLED"] = "False"
    for variable, value in ONE_THREAD.items():
        environment.setdefault(variable, value)
    return environment


def _tagline(settings: Settings, ports: Ports) -> dict[str, str]:
    """The same settings as this process, with the servers it started in place of defaults."""
    values: Mapping[str, object] = settings.model_dump() | {
        "home": settings.home_path,
        "database_url": server_url(settings),
        "mlflow_url": f"http://{HOST}:{ports.mlflow}",
    }
    return {f"TAGLINE_{name.upper()}": str(value) for name, value in values.items() if value}


def _airflow(settings: Settings, ports: Ports, dags: Path) -> dict[str, str]:
    home = settings.home_path / "airflow"
    url = f"http://{HOST}:{ports.airflow}"
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database_url(settings, "airflow"),
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(ports.airflow),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": _secret(home / "jwt_secret"),
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "15",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
        # A task whose end is missed by its supervisor is seen after this many seconds (default 5).
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(ports.task_logs),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(ports.trigger_logs),
    }


def _mlflow(settings: Settings) -> dict[str, str]:
    return {
        "MLFLOW_BACKEND_STORE_URI": database_url(settings, "mlflow"),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
    }


def _secret(path: Path) -> str:
    """A secret of 96 characters, made once and readable by its owner alone."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(48))
    return path.read_text()
