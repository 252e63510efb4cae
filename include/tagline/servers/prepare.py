"""What comes before the servers of a production deployment: databases, migrations, accounts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

from sqlalchemy import NullPool, create_engine, inspect

from tagline.database import DATABASES, database_url
from tagline.deployment import open_deployment
from tagline.errors import TaglineError
from tagline.settings import PROJECT, Settings


class PreparationFailed(TaglineError):
    """A step that must precede the start of the servers failed; its own output says why."""


def prepare(settings: Settings, say: Callable[[str], None]) -> None:
    """Create what is missing and migrate what is old; done again, it changes nothing.

    Airflow must be configured by the environment as it will run. The first administrator is made
    of AIRFLOW_ADMIN_USERNAME and AIRFLOW_ADMIN_PASSWORD where no such user exists. Stop the
    servers before an upgrade; a second `prepare` at the same time waits or fails cleanly.
    """
    for name in DATABASES:
        database_url(settings, name)
    say(f"The databases {', '.join(f'{settings.business}_{name}' for name in DATABASES)} exist")
    with open_deployment(settings) as deployment:
        say(f"The registry is migrated; {len(deployment.catalog.tags)} tags are defined")
    _upgrade_mlflow(database_url(settings, "mlflow"))
    say("MLflow's database is migrated")
    _complete("airflow", "db", "migrate")
    say("Airflow's database is migrated")
    _complete("tagline_airflow.accounts")
    say("Airflow's roles and its first administrator exist")


def _upgrade_mlflow(url: str) -> None:
    """Migrate MLflow's tables; it creates them itself in an empty database when it starts."""
    engine = create_engine(url, poolclass=NullPool)
    if not inspect(engine).has_table("alembic_version"):
        return
    from mlflow.db import commands

    commands.main(["upgrade", url], standalone_mode=False)


def _complete(*module: str) -> None:
    paths = (PROJECT / "include", PROJECT / "plugins")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))}
    done = subprocess.run([sys.executable, "-m", *module], env=environment, check=False)
    if done.returncode != 0:
        raise PreparationFailed(f"{' '.join(module)} ended with exit code {done.returncode}")
