"""A deployment: one business's catalog with the places where its state lies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from tagline.catalog import Catalog, load_catalog
from tagline.settings import Settings

if TYPE_CHECKING:
    from tagline.engines import Engine
    from tagline.lake import Lake
    from tagline.registry import Registry


@dataclass(frozen=True)
class Deployment:
    """What every stage works with; `engine` runs the SQL of all but the tags, in this process."""

    settings: Settings
    catalog: Catalog
    registry: Registry
    lake: Lake
    engine: Engine

    @cached_property
    def tag_engine(self) -> Engine:
        """What computes tags, features and labels: the engine that the settings name."""
        from tagline.engines import open_engine

        return self.engine if self.settings.engine == "duckdb" else open_engine(self.settings)


@contextmanager
def open_deployment(settings: Settings | None = None) -> Iterator[Deployment]:
    """Open the deployment that the settings name, creating its databases when they are missing.

    Raises DefinitionError when a definition is faulty: nothing runs on faulty definitions.
    """
    from tagline.engines.duckdb import local_engine
    from tagline.lake import open_lake
    from tagline.registry import open_registry

    settings = settings or Settings()
    catalog = load_catalog(settings.definitions, settings.business)
    settings.home_path.mkdir(parents=True, exist_ok=True)
    registry = open_registry(settings)
    try:
        yield Deployment(settings, catalog, registry, open_lake(settings), local_engine(settings))
    finally:
        registry.close()
