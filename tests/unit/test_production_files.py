"""Dockerfile, docker-compose.yml, .env.example: accepted, complete, without a default secret."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from tests.composed import (
    SECRETS,
    compose_config,
    composed_services,
    missing_program,
    postgres_version,
    secret_values,
)

from tagline.settings import PROJECT, Settings

FILE = (PROJECT / "docker-compose.yml").read_text("utf-8")
EXAMPLE = (PROJECT / ".env.example").read_text("utf-8")
DOCKERFILE = (PROJECT / "Dockerfile").read_text("utf-8")
SERVICES: dict[str, Any] = yaml.safe_load(FILE)["services"]
with_compose = pytest.mark.skipif(missing_program() is not None, reason=str(missing_program()))
each_service = pytest.mark.parametrize("name", sorted(SERVICES))
each_secret = pytest.mark.parametrize("name", SECRETS)


def variables(name: str) -> dict[str, str]:
    """The variables that the file names for a service, as it writes them."""
    return dict(SERVICES[name]["environment"])


# What docker-compose says


@with_compose
@pytest.mark.slow
def test_docker_compose_accepts_the_file_with_a_filled_env(tmp_path: Path) -> None:
    values = secret_values()
    services = composed_services(values, tmp_path)
    assert set(services) == {
        "api-server", "dag-processor", "mlflow", "postgres", "prepare", "redis", "scheduler",
        "triggerer", "worker",
    }  # fmt: skip
    worker = services["worker"]["environment"]
    assert worker["AIRFLOW__CORE__FERNET_KEY"] == values["AIRFLOW_FERNET_KEY"]
    assert values["POSTGRES_PASSWORD"] in worker["TAGLINE_DATABASE_URL"]
    assert worker["TAGLINE_LAKE_URL"] == "/var/lib/tagline/lake"


@with_compose
@pytest.mark.slow
@each_secret
def test_docker_compose_refuses_to_start_while_a_secret_is_empty(name: str, tmp_path: Path) -> None:
    done = compose_config(secret_values() | {name: ""}, tmp_path)
    assert done.returncode != 0
    assert f"{name} is not set. See .env.example" in done.stderr


@with_compose
@pytest.mark.slow
def test_a_lake_on_s3_reaches_the_services_that_use_it(tmp_path: Path) -> None:
    chosen = {"TAGLINE_LAKE_URL": "s3://bucket/lake", "AWS_ENDPOINT_URL": "http://store:9000"}
    services = composed_services(secret_values() | chosen, tmp_path)
    for name in ("worker", "api-server"):
        assert chosen.items() <= services[name]["environment"].items()


# What the file itself promises


@each_service
def test_each_service_has_a_health_check_or_is_waited_for(name: str) -> None:
    conditions = {
        condition["condition"]
        for service in SERVICES.values()
        for other, condition in service.get("depends_on", {}).items()
        if other == name
    }
    if name == "prepare":
        assert conditions == {"service_completed_successfully"}
    else:
        assert SERVICES[name]["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
        assert conditions <= {"service_healthy"}


@each_service
def test_no_service_runs_as_root_or_from_a_moving_image(name: str) -> None:
    service = SERVICES[name]
    assert service["user"] not in ("", "root", "0", 0)
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"[a-z]+:\d+\.\d+(\.\d+)?(-[a-z]+)?", service["image"])
    assert service["restart"] == ("no" if name == "prepare" else "unless-stopped")


@each_service
def test_a_service_is_published_on_this_host_alone_unless_asked_otherwise(name: str) -> None:
    published = SERVICES[name].get("ports", [])
    assert all(re.match(r"\$\{\w+_PUBLISH:-127\.0\.0\.1:", port) for port in published)
    assert bool(published) is (name in ("api-server", "mlflow"))


@each_secret
def test_no_secret_has_a_default(name: str) -> None:
    assert f"${{{name}:?" in FILE
    assert f"${{{name}:-" not in FILE
    assert f"\n{name}=\n" in EXAMPLE


def test_the_example_explains_every_variable_that_the_file_reads() -> None:
    read = set(re.findall(r"\$\{(\w+)", FILE)) | set(re.findall(r"^  (AWS_\w+):$", FILE, re.M))
    shown = set(re.findall(r"^#?([A-Z_]+)=", EXAMPLE, re.M))
    assert shown <= read
    rarely = {
        "AWS_CA_BUNDLE", "AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN", "TAGLINE_CUSTOMER_BUCKETS",
        "TAGLINE_REVIEW",
    }  # fmt: skip
    assert read - shown == rarely


def test_every_variable_is_one_that_its_program_knows() -> None:
    settings = {f"TAGLINE_{name}".upper() for name in Settings.model_fields}
    named = {key for name in SERVICES for key in variables(name)}
    assert {key for key in named if key.startswith("TAGLINE_")} <= settings
    assert {key.split("_")[0] for key in named} == {
        "AIRFLOW", "AWS", "DO", "GX", "MLFLOW", "PGDATA", "POSTGRES", "REDISCLI", "TAGLINE",
    }  # fmt: skip


OPTIONS = """
from airflow.configuration import conf
for section, described in conf.configuration_description.items():
    for option in described["options"]:
        print(f"AIRFLOW__{section}__{option}".upper())
"""


@pytest.mark.slow
def test_every_airflow_option_is_one_that_airflow_knows(tmp_path: Path) -> None:
    known = subprocess.run(  # Airflow reads its home at import
        [sys.executable, "-W", "ignore", "-c", OPTIONS],
        env=os.environ | {"AIRFLOW_HOME": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    named = {key for key in variables("worker") if key.startswith("AIRFLOW__")}
    assert named <= set(known)


def test_mlflow_answers_under_the_name_by_which_the_others_ask_it() -> None:
    asked = urlsplit(variables("worker")["TAGLINE_MLFLOW_URL"]).netloc
    allowed = variables("mlflow")["MLFLOW_SERVER_ALLOWED_HOSTS"]
    assert asked in allowed.removeprefix("${MLFLOW_ALLOWED_HOSTS:-").rstrip("}").split(",")


def test_every_folder_of_state_lies_on_a_volume_that_the_image_prepares() -> None:
    volumes = {volume.split(":")[1] for volume in SERVICES["worker"]["volumes"]}
    folders = set(re.findall(r"/var/lib/tagline/[a-z]+", str(SERVICES)))
    assert folders == volumes
    made = re.findall(r"mkdir -p (.*?) \\?\n", DOCKERFILE)[0].split()
    assert volumes < set(made)


def test_the_server_is_of_the_version_that_is_embedded() -> None:
    image = SERVICES["postgres"]["image"]
    assert image.startswith(f"postgres:{postgres_version()}.")
    assert f"/{postgres_version()}/" in variables("postgres")["PGDATA"]


# The image


def test_the_image_is_pinned_and_runs_as_a_user() -> None:
    assert re.search(r"^FROM python:3\.11\.\d+-slim-bookworm$", DOCKERFILE, re.M)
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.M) == ["tagline"]
    assert DOCKERFILE.index("\nUSER ") < DOCKERFILE.index("\nCMD ")


def test_everything_that_the_image_copies_is_there_and_is_sent_to_the_builder() -> None:
    copied = [
        source
        for line in re.findall(r"^COPY (.+)$", DOCKERFILE, re.M)
        for source in line.split()[:-1]
    ]
    assert copied
    sent = (PROJECT / ".dockerignore").read_text("utf-8").splitlines()
    for source in copied:
        assert (PROJECT / source).exists(), source
        assert f"!{PurePosixPath(source).parts[0]}" in sent
    assert "*" in sent


def test_the_secrets_of_a_deployment_are_not_for_git_or_the_image() -> None:
    assert ".env" in (PROJECT / ".gitignore").read_text("utf-8").splitlines()
    assert "!.env" not in (PROJECT / ".dockerignore").read_text("utf-8")
