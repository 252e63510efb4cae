"""The crane maker's simulated world in the lake of a deployment of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as parquet
from tests.crane_world import CraneWorld

from tagline.deployment import Deployment, open_deployment
from tagline.settings import Settings
from tagline.versions import entry_columns, row_columns


@contextmanager
def crane_deployment(world: CraneWorld, home: Path, database_url: str) -> Iterator[Deployment]:
    """A deployment whose lake has the world's tables, as if loads had left them there."""
    settings = Settings(
        business="crane_works", home=home, database_url=database_url, mlflow_url=None, threads=1
    )
    with open_deployment(settings) as deployment:
        fill_lake(deployment, world)
        yield deployment


def fill_lake(deployment: Deployment, world: CraneWorld) -> None:
    """Give an empty lake the world's tables and their superseded versions."""
    for path in sorted((world.folder / "tables").glob("*.parquet")):
        name, _, superseded = path.stem.partition("__")
        definition = deployment.catalog.tables[name]
        columns = entry_columns(definition) if superseded else row_columns(definition)
        deployment.lake.ensure(f"clean.{path.stem}", columns)
        if parquet.read_metadata(path).num_rows:
            deployment.lake.append(f"clean.{path.stem}", [str(path)])
