"""The deployment that the portal shows, opened once per process."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from threading import RLock
from time import monotonic
from typing import TYPE_CHECKING, Any

from tagline.errors import DefinitionError, Fault
from tagline.settings import Settings

if TYPE_CHECKING:
    from tagline.catalog import Catalog
    from tagline.deployment import Deployment
    from tagline.registry import Registry
    from tagline.registry.schema import Release
    from tagline.serve.profiles import ProfileReader
    from tagline.serve.store import ProfileStore

_LOOK_AGAIN = 5.0  # seconds between two looks at the definition files
_FOLDERS = ("businesses", "labels", "models", "sources", "sql", "tables", "tags")
log = logging.getLogger(__name__)


class Opened:
    """A deployment with its connection pools, the profile store, and what is cheap to remember.

    A changed definition file is seen within seconds. While the files have faults, the last good
    catalog is shown, and `faults` says what is wrong.
    """

    def __init__(self, settings: Settings | None = None, deployment: Deployment | None = None):
        self._settings = settings
        self._given = deployment
        self._held = ExitStack()
        self._lock = RLock()
        self._looked = monotonic()
        self._reader: tuple[Catalog, ProfileReader] | None = None
        self._memory: dict[tuple[Any, ...], Any] = {}
        self.faults: tuple[Fault, ...] = ()
        self.edition = 0  # of the catalog, to remember by

    @property
    def deployment(self) -> Deployment:
        """The deployment, with the catalog of the present definition files."""
        with self._lock:
            opened = self._opened
        if self._given is None and monotonic() - self._looked > _LOOK_AGAIN:
            self._look(opened)
            opened = self._opened
        return opened

    @property
    def catalog(self) -> Catalog:
        """The catalog of the present definition files."""
        return self.deployment.catalog

    @property
    def registry(self) -> Registry:
        """The registry."""
        return self.deployment.registry

    @cached_property
    def store(self) -> ProfileStore:
        """The profile store, with a pool of connections of its own."""
        from tagline.serve.store import open_profile_store

        return self._held.enter_context(open_profile_store(self.deployment.settings))

    @property
    def reader(self) -> ProfileReader:
        """What reads profiles by the present catalog."""
        from tagline.serve.profiles import ProfileReader

        deployment = self.deployment
        if self._reader is None or self._reader[0] is not deployment.catalog:
            self._reader = (deployment.catalog, ProfileReader(deployment, self.store))
        return self._reader[1]

    def release(self, release_id: int) -> Release:
        """A release by id, as it is now."""
        return self.registry.release(release_id)

    def live(self) -> Release | None:
        """The live release."""
        return self.registry.live()

    def remembered(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """What `make` gave for this key before, or gives now; a few hundred are kept.

        For what follows from immutable things alone: files of releases, texts of versions.
        """
        if key not in self._memory:
            made = make()
            if len(self._memory) >= 300:
                self._memory.pop(next(iter(self._memory)), None)
            self._memory[key] = made
        return self._memory[key]

    def now(self) -> datetime:
        """The wall clock, read at this edge only."""
        return datetime.now(UTC)

    def close(self) -> None:
        """Give all connections back."""
        self._held.close()

    @cached_property
    def _opened(self) -> Deployment:
        if self._given is not None:
            return self._given
        from tagline.deployment import open_deployment

        settings = self._settings or Settings()
        self._seen = _fingerprint(settings.definitions)
        return self._held.enter_context(open_deployment(settings))

    def _look(self, opened: Deployment) -> None:
        """Load the catalog again if a file has changed; others go on with the old one."""
        from tagline.catalog import load_catalog

        if not self._lock.acquire(blocking=False):
            return
        try:
            settings = opened.settings
            seen = _fingerprint(settings.definitions)
            self._looked = monotonic()
            if seen == self._seen:
                return
            self._seen = seen
            try:
                catalog = load_catalog(settings.definitions, settings.business)
            except DefinitionError as error:
                self.faults = error.faults
                log.warning("the definitions have faults, the last good ones are shown: %s", error)
                return
            self.faults = ()
            self._opened = replace(opened, catalog=catalog)
            self.edition += 1
        finally:
            self._lock.release()


def _fingerprint(root: Path) -> frozenset[tuple[str, int]]:
    """Name and time of change of every definition file."""
    return frozenset(_files(root))


def _files(root: Path) -> Iterator[tuple[str, int]]:
    tops = [root / name for name in _FOLDERS]
    single = root / "standards.yaml"
    if single.is_file():
        yield str(single), single.stat().st_mtime_ns
    for top in tops:
        for folder, _, names in os.walk(top):
            for name in names:
                path = Path(folder) / name
                yield str(path), path.stat().st_mtime_ns
