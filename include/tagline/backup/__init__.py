"""Back up a deployment while it works, and restore it into an empty home and empty databases."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tagline import __version__
from tagline.backup.copies import LEFT_OUT, Copied, copy_file, copy_tree
from tagline.backup.dumps import BackupRefused, dump, frozen, load, not_empty
from tagline.registry.files import (
    files_of_loads,
    files_of_releases,
    local_path,
    metadata_of_tables,
)
from tagline.settings import Settings

__all__ = ["BackupRefused", "Manifest", "back_up", "restore"]

FORMAT = 1
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """What a backup holds; it is written last, so a backup without it is not whole."""

    format: int
    tagline: str
    business: str
    made_at: str
    home: str
    lake: str
    has_lake: bool  # False: its files are in an object store, which keeps them itself
    databases: tuple[str, ...]
    files: int
    bytes: int


def back_up(settings: Settings, folder: Path, at: datetime) -> Manifest:
    """Write databases and files to a new folder; a run may go on meanwhile.

    Databases come first, all as of one moment between two steps, then the files: those that the
    rows name were there before the rows were, and are neither changed nor deleted. At the end
    each of them is looked for in the backup.
    """
    folder = folder.absolute()
    _require_new(folder, settings)
    try:
        return _back_up(settings, folder, at)
    except OSError as error:
        where = error.filename or folder
        raise BackupRefused(f"{where}: {error.strerror}; mend it, and name a new folder") from error


def _back_up(settings: Settings, folder: Path, at: datetime) -> Manifest:
    places = _Places.of(settings, folder)
    with frozen(settings) as databases:
        if "registry" not in databases:
            raise BackupRefused(f"there is nothing to back up: {settings.business} has no registry")
        (folder / "databases").mkdir(parents=True)
        folder.chmod(0o700)  # it has personal data and Airflow's secrets
        named, metadata = _named(databases)
        copied = sum((_copy(places, path) for path in metadata), Copied())  # soon replaced ones
        for name, database in databases.items():
            dump(database, folder / "databases" / f"{name}.dump")
    copied += copy_tree(settings.home_path, folder / "home", LEFT_OUT)
    if places.lake and places.lake_apart:
        copied += copy_tree(places.lake, folder / "lake", ("derived",))  # made anew
    _require_whole(places, [*named, *_data_files(metadata)])
    manifest = Manifest(
        FORMAT,
        __version__,
        settings.business,
        at.isoformat(),
        str(settings.home_path),
        places.location,
        places.lake is not None,
        tuple(databases),
        copied.files,
        copied.bytes,
    )
    (folder / MANIFEST).write_text(json.dumps(asdict(manifest), indent=2) + "\n", "utf-8")
    return manifest


def restore(settings: Settings, folder: Path) -> Manifest:
    """Bring back what a backup holds, files first, into an empty home and empty databases.

    The home, the lake and the business must be those of the backup: the databases name files by
    their whole paths. Anything that is there already is refused, and left as it is.
    """
    from tagline.database import database_url

    folder = folder.absolute()
    manifest = _read(folder)
    _require_same(manifest, settings)
    places = _Places.of(settings, folder)
    _require_empty(settings, places)
    copy_tree(folder / "home", settings.home_path)
    if places.lake and places.lake_apart:
        copy_tree(folder / "lake", places.lake)
    for name in manifest.databases:
        load(database_url(settings, name), folder / "databases" / f"{name}.dump")
    with frozen(settings) as databases:
        named, metadata = _named(databases)
        gone = [path for path in [*named, *_data_files(metadata)] if not Path(path).is_file()]
    if gone:
        raise BackupRefused(f"restored, but {gone[0]} and {len(gone) - 1} more files are missing")
    return manifest


@dataclass(frozen=True)
class _Places:
    """Where files lie, and where their copies do."""

    home: Path
    location: str  # of the lake
    lake: Path | None  # None in an object store
    folder: Path

    @classmethod
    def of(cls, settings: Settings, folder: Path) -> _Places:
        location = settings.lake_url or str(settings.home_path / "lake")
        path = local_path(location)
        lake = None if path is None else Path(path).absolute()
        return cls(settings.home_path, location, lake, folder)

    @property
    def lake_apart(self) -> bool:
        """Whether the lake is a folder outside the home."""
        return self.lake is not None and not self.lake.is_relative_to(self.home)

    def copy_of(self, path: Path) -> Path | None:
        """The path in the backup, None for what lies neither in the home nor in the lake."""
        if path.is_relative_to(self.home):
            return self.folder / "home" / path.relative_to(self.home)
        if self.lake is not None and path.is_relative_to(self.lake):
            return self.folder / "lake" / path.relative_to(self.lake)
        return None


def _copy(places: _Places, path: str) -> Copied:
    goal = places.copy_of(Path(path))
    return Copied() if goal is None else copy_file(Path(path), goal)


def _named(databases: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The local files that rows name, and the metadata files of the Iceberg tables."""
    named: list[str] = []
    metadata: list[str] = []
    if "registry" in databases:
        registry = databases["registry"].connection
        named += files_of_loads(registry) + files_of_releases(registry, only_active=False)
    if "lake" in databases:
        metadata += metadata_of_tables(databases["lake"].connection).values()
    return _local(named), _local(metadata)


def _local(files: Iterable[str]) -> list[str]:
    return [path for file in files if (path := local_path(file)) is not None]


def _data_files(metadata: Iterable[str]) -> list[str]:
    from tagline.lake import files_of_metadata

    return [path for location in metadata for path in files_of_metadata(location)]


# Refusals


def _require_new(folder: Path, settings: Settings) -> None:
    if folder.is_relative_to(settings.home_path):
        raise BackupRefused(f"{folder} lies in the home: a backup belongs on another disk")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BackupRefused(f"{folder} is not empty; name a new folder for each backup")
    if settings.database_url is None and not (settings.home_path / "pg" / "PG_VERSION").is_file():
        raise BackupRefused(f"there is nothing to back up in {settings.home_path}")


def _require_whole(places: _Places, files: Iterable[str]) -> None:
    for path in files:
        goal = places.copy_of(Path(path))
        if goal is None:
            raise BackupRefused(f"{path} is outside of home and lake, so it is not in the backup")
        if not goal.is_file():
            raise BackupRefused(
                f"{path} is named by the databases but is not there to be copied: the backup is "
                "not whole. See `tagline doctor`; if it finds nothing, back up again."
            )


def _read(folder: Path) -> Manifest:
    file = folder / MANIFEST
    if not file.is_file():
        raise BackupRefused(f"{folder} is no whole backup: it has no {MANIFEST}")
    document: dict[str, Any] = json.loads(file.read_text("utf-8"))
    if document.get("format") != FORMAT:
        raise BackupRefused(
            f"{file} has format {document.get('format')}, this Tagline reads {FORMAT}; "
            f"restore with Tagline {document.get('tagline')}"
        )
    return Manifest(**(document | {"databases": tuple(document["databases"])}))


def _require_same(manifest: Manifest, settings: Settings) -> None:
    now = {
        "TAGLINE_BUSINESS": (manifest.business, settings.business),
        "TAGLINE_HOME": (manifest.home, str(settings.home_path)),
        "TAGLINE_LAKE_URL": (
            manifest.lake,
            settings.lake_url or str(settings.home_path / "lake"),
        ),
    }
    for variable, (then, here) in now.items():
        if then != here:
            raise BackupRefused(
                f"the backup is of {then}, but here it is {here}: set {variable}={then}"
            )


def _require_empty(settings: Settings, places: _Places) -> None:
    for place, allowed in ((settings.home_path, {"pg"}), (places.lake, set[str]())):
        there = sorted(each.name for each in place.iterdir()) if place and place.is_dir() else []
        if others := [name for name in there if name not in allowed]:
            raise BackupRefused(
                f"{place} is not empty (it has {others[0]}): stop everything, move it away, and "
                "restore again"
            )
    if full := not_empty(settings):
        remedy = "move the home away" if settings.database_url is None else "drop or rename them"
        raise BackupRefused(
            f"the databases {', '.join(full)} are not empty: stop everything, {remedy}, and "
            "restore again"
        )
