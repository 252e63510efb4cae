"""The registry: what was loaded, run, defined, trained and released, in PostgreSQL."""

from tagline.registry.migrate import upgrade
from tagline.registry.store import Registry, open_registry

__all__ = ["Registry", "open_registry", "upgrade"]
