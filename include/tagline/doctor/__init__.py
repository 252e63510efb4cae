"""Looks at everything that a deployment needs, and says what to mend. It mends nothing itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from importlib import metadata
from pathlib import Path

from tagline import storage
from tagline.doctor import engine, packages, server, state, surroundings
from tagline.doctor.finding import Finding, Level, fault, ok
from tagline.registry.files import local_path
from tagline.settings import PROJECT, Settings

__all__ = ["Finding", "Level", "examine", "examine_packages"]


def examine_packages() -> Iterator[Finding]:
    """Python and the packages; this needs no settings."""
    yield from _guarded("packages", _packages)


def examine(settings: Settings, at: datetime) -> Iterator[Finding]:
    """Everything that needs settings, in the order in which to mend it.

    Nothing is made: no folder, no database, no table. An embedded server that exists is started,
    as each command does. A check that cannot be done is a fault, never an exception.
    """
    catalog, found = surroundings.check_definitions(settings)
    yield from found
    if catalog is not None:
        yield surroundings.check_salt(settings, catalog)
    yield from surroundings.check_database_url(settings)
    yield from _guarded("engine", lambda: engine.check_engine(settings))
    yield from _guarded("home", lambda: surroundings.check_folder("home", settings.home_path))
    yield from _guarded("lake", lambda: _lake_folder(settings))
    yield from _guarded("scratch", lambda: state.check_leftovers(settings.home_path))
    yield from _guarded("embedded server", lambda: server.check_embedded(settings))
    if not server.has_server(settings):
        yield from _guarded("registry", lambda: state.check_lost(_lake_path(settings)))
        return
    databases, found = server.check_server(settings, at)
    yield from found
    if all(each.level is not Level.FAULT for each in found):
        yield from _guarded("databases", lambda: _databases(settings, databases, at))


def _packages() -> Iterator[Finding]:
    about = metadata.metadata("tagline")
    yield packages.check_python(about["Requires-Python"])
    yield from packages.check_direct(metadata.requires("tagline") or [])
    yield packages.check_lock(PROJECT / "requirements.txt")


def _lake_folder(settings: Settings) -> Iterable[Finding]:
    path = _lake_path(settings)
    if path is not None:
        return surroundings.check_folder("lake", path)
    location = storage.location_of(settings.lake_url or "")
    storage.prepare(location)  # of a bucket, it only looks
    return [ok("lake", f"{location} answers; its files are not looked at one by one")]


def _lake_path(settings: Settings) -> Path | None:
    path = local_path(settings.lake_url or str(settings.home_path / "lake"))
    return None if path is None else Path(path)


def _databases(settings: Settings, there: frozenset[str], at: datetime) -> Iterator[Finding]:
    if "airflow" in there:
        with server.connected(settings, "airflow") as airflow:
            yield server.check_airflow_schema(airflow)
    if "registry" not in there:
        yield from state.check_lost(_lake_path(settings))
        return
    with server.connected(settings, "registry") as registry:
        schema = server.check_registry_schema(registry)
        yield schema
        yield from server.check_sessions(registry)
        if schema.what.startswith("empty"):
            yield from state.check_lost(_lake_path(settings))
            return
        if schema.level is not Level.OK:
            return  # the checks below read tables of this version
        yield state.check_future(registry, at)
        yield from state.check_runs(registry, at)
        yield from state.check_named_files(registry)
        if "lake" in there:
            with server.connected(settings, "lake") as lake:
                yield from state.check_catalog(lake)
                yield from state.check_released_tables(registry, lake)


def _guarded(where: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except Exception as error:  # the examination goes on
        said = f"could not be examined: {type(error).__name__}: {str(error).strip()}"
        yield fault(where, said, "mend this first, then ask again")
