"""Files as a source: a local folder, an installed package or any fsspec URL."""

from __future__ import annotations

import fnmatch
import gzip
import importlib.util
import re
import shutil
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from tagline.definitions import FileSource
from tagline.definitions.source import FileTable
from tagline.errors import SourceUnavailable, TaglineError, did_you_mean
from tagline.sources import Incoming, Interval, expand_variables
from tagline.sources.shapes import STAGED
from tagline.sources.silence import unless_silent
from tagline.sources.text import stage_csv

if TYPE_CHECKING:
    from tagline.catalog import Catalog

HOME = "home://"
_DATE = re.compile(r"\{date(?::([^}]*))?\}")


@dataclass(frozen=True)
class FileReader:
    """Reads the tables of a `files` source; remote files are copied to scratch first."""

    source: str
    definition: FileSource
    catalog: Catalog
    home: Path | None = None  # the folder of the deployment's state

    def delivered(self, table: str, wanted: Interval) -> list[Interval]:
        """The whole interval; with `{date}` in the path, the days whose file is there."""
        definition = self.definition.tables[table]
        if not _DATE.search(definition.path):
            return [wanted]
        there = self._dated_files(definition)
        found: list[Interval] = []
        for day, part in self._days(wanted):
            if day not in there:
                continue
            if found and found[-1].end == part.start:
                found[-1] = Interval(found[-1].start, part.end)
            else:
                found.append(part)
        return found

    def state(self, table: str) -> dict[str, str] | None:
        """Name and version of each file; None with `{date}`, whose files are days of their own."""
        definition = self.definition.tables[table]
        if _DATE.search(definition.path):
            return None
        filesystem, _ = self._filesystem
        paths = self._list(definition.path)
        if "file" in _protocols(filesystem):
            return {Path(path).name: "-".join(map(str, _state(path))) for path in paths}
        return {PurePosixPath(path).name: str(filesystem.ukey(path)) for path in paths}

    @contextmanager
    def read(
        self, table: str, interval: Interval | None, as_of: datetime, scratch: Path
    ) -> Iterator[Incoming]:
        """The table's files; of a path with `{date}`, those of the interval or the newest."""
        definition = self.definition.tables[table]
        watermark = None
        dated = _DATE.search(definition.path) is not None
        if not dated:
            paths = self._list(definition.path)
        else:
            there = self._dated_files(definition)
            if interval:
                days = [day for day, _ in self._days(interval)]
                paths = [path for day in days for path in there.get(day, [])]
                later = [day for day in there if day > days[-1]]
                watermark = self.catalog.midnight(min(later)) if later else None
            else:
                last = _local_day(self.catalog, as_of - timedelta(microseconds=1))
                past = [day for day in there if day <= last]
                paths = there[max(past)] if past else []
        if not paths and not definition.optional:
            raise SourceUnavailable(
                f"{self.source}.{table}: no file matches {definition.path!r} in "
                f"{self._shown_location()}. Correct location or path in "
                f"sources/{self.source}.yaml, or deliver the file."
            )
        folder = scratch / uuid.uuid4().hex
        try:
            local = self._localise(paths, folder) or [_without_rows(definition, folder)]
            name = f"{self.source}.{table}"
            text = not paths or (definition.format or _format(local[0], name)) == "csv"
            _require_whole(local, name, text)
            before = [_state(path) for path in local]
            files = local
            if text:
                files = [
                    str(folder / str(n) / f"{Path(p).name}{STAGED}") for n, p in enumerate(local)
                ]
                for path, staged in zip(local, map(Path, files), strict=True):
                    staged.parent.mkdir(parents=True, exist_ok=True)
                    try:
                        stage_csv(path, staged, _expected(definition), name)
                    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                        raise _cut_off(path, name) from error
            yield Incoming(
                source=self.source,
                table=table,
                definition=definition,
                timezone=self.definition.timezone,
                files=tuple(files),
                text=text,
                watermark_at=watermark,
                exact=dated and interval is not None,
            )
            if [_state(path) for path in local] != before:
                raise SourceUnavailable(
                    f"{self.source}.{table}: a file changed while it was being read. "
                    "Run again when the delivery is complete."
                )
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _shown_location(self) -> str:
        """The folder in full; of another store only what is declared: it may hold a password."""
        filesystem, root = self._filesystem
        declared = self.definition.location
        if "file" not in _protocols(filesystem) or root == declared:
            return repr(declared)
        return f"{str(root)!r} (location {declared})"

    def _days(self, interval: Interval) -> Iterator[tuple[date, Interval]]:
        """The business days that the interval touches, with their part of it."""
        day = _local_day(self.catalog, interval.start)
        while (start := self.catalog.midnight(day)) < interval.end:
            end = self.catalog.midnight(day + timedelta(days=1))
            yield day, Interval(max(start, interval.start), min(end, interval.end))
            day += timedelta(days=1)

    def _dated_files(self, definition: FileTable) -> dict[date, list[str]]:
        """The files of a path with `{date}` by their date."""
        form = next(iter(_DATE.findall(definition.path))) or "%Y-%m-%d"
        head, tail = (fnmatch.translate(part) for part in _split_at_date(definition.path))
        pattern = re.compile(f"(?:^|.*/){_body(head)}(?P<date>[^/]+?){_body(tail)}$", re.DOTALL)
        found: dict[date, list[str]] = {}
        for path in self._list(_DATE.sub("*", definition.path)):
            match = pattern.match(path)
            try:
                day = datetime.strptime(match["date"], form).date() if match else None
            except ValueError:
                continue
            if day:
                found.setdefault(day, []).append(path)
        return found

    def _list(self, pattern: str) -> list[str]:
        """The files that match, as local paths or as URLs' paths, sorted."""
        filesystem, root = self._filesystem
        local = "file" in _protocols(filesystem)
        full = str(PurePosixPath(root) / pattern) if local else f"{root.rstrip('/')}/{pattern}"

        def listed() -> list[str]:
            if any(mark in pattern for mark in "*?["):
                return sorted(str(path) for path in filesystem.glob(full))
            return [full] if filesystem.exists(full) else []

        if local:
            return listed()
        try:
            return unless_silent(listed, self.definition.timeout, self._where)
        except SourceUnavailable:
            raise
        except Exception as error:  # each file system has errors of its own
            raise SourceUnavailable(
                f"source {self.source}: {self.definition.location!r} cannot be listed: {error}"
            ) from error

    def _localise(self, paths: list[str], folder: Path) -> list[str]:
        filesystem, _ = self._filesystem
        if "file" in _protocols(filesystem):
            return paths
        copies = []
        for number, path in enumerate(paths):
            copy = folder / str(number) / PurePosixPath(path).name
            copy.parent.mkdir(parents=True)
            try:
                unless_silent(
                    partial(filesystem.get_file, path, str(copy)),
                    self.definition.timeout,
                    f"{self._where}, {path}",
                    partial(_size, copy),
                )
            except SourceUnavailable:
                raise
            except Exception as error:  # each file system has errors of its own
                raise SourceUnavailable(
                    f"source {self.source}: {path} cannot be read: {error}"
                ) from error
            copies.append(str(copy))
        return copies

    @property
    def _where(self) -> str:
        return f"source {self.source}: {self.definition.location!r}"

    @property
    def _filesystem(self) -> tuple[Any, str]:
        import fsspec.core

        location = expand_variables(
            self.definition.location, f"location of sources/{self.source}.yaml", "/data/deliveries"
        )
        if location.startswith("package://"):
            location = _package_folder(location, self.source)
        elif location.startswith(HOME):
            location = str(home_folder(location, self.home, self.source))
        elif "://" not in location:
            location = str((self.catalog.root / location).resolve())
        try:
            filesystem, root = fsspec.core.url_to_fs(location)
        except (ImportError, ValueError) as error:
            raise SourceUnavailable(
                f"source {self.source}: {self.definition.location!r} cannot be opened: {error}"
            ) from error
        return filesystem, str(root)


def _package_folder(location: str, source: str) -> str:
    """The folder of `package://name/folder`, without importing the package."""
    name, _, folder = location.removeprefix("package://").partition("/")
    found = importlib.util.find_spec(name) if name.isidentifier() else None
    if found is None or not found.submodule_search_locations:
        raise SourceUnavailable(
            f"source {source}: the package {name!r} is not installed. "
            f"Install it, or correct location in sources/{source}.yaml."
        )
    return str(Path(found.submodule_search_locations[0]) / folder)


def home_folder(location: str, home: Path | None, source: str) -> Path:
    """The folder that `home://folder` names; it is made where it is not there yet."""
    name = location.removeprefix(HOME)
    if home is None or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise SourceUnavailable(
            f"source {source}: {location!r} is no folder of a deployment's state. "
            f"Write {HOME} and a name of letters in location of sources/{source}.yaml."
        )
    folder = home / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _without_rows(definition: FileTable, folder: Path) -> str:
    """A file that has the declared columns and no row."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "nothing.csv"
    path.write_text(",".join(definition.columns) + "\n", "utf-8")
    return str(path)


def _format(path: str, name: str) -> Literal["parquet", "csv"]:
    plain = path.lower().removesuffix(".gz")
    if plain.endswith((".parquet", ".pq")):
        return "parquet"
    if plain.endswith((".csv", ".tsv", ".txt")):
        return "csv"
    ending = PurePosixPath(path).suffix
    raise TaglineError(
        f"{name}: the format of {PurePosixPath(path).name!r} is not known by its ending."
        f"{did_you_mean(ending, ['.parquet', '.csv', '.csv.gz'])} Or declare format: csv."
    )


def _expected(definition: FileTable) -> list[str]:
    """The names by which columns of a text file may be known."""
    return [*definition.columns, *(name for each in definition.aliases.values() for name in each)]


def _split_at_date(path: str) -> tuple[str, str]:
    match = _DATE.search(path)
    assert match
    return path[: match.start()], path[match.end() :]


def _body(translated: str) -> str:
    """The pattern of `fnmatch.translate` without its anchors."""
    return re.sub(r"^\(\?s:(.*)\)(\\Z|\\z)$", r"(?:\1)", translated, flags=re.DOTALL)


def _protocols(filesystem: Any) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


def _local_day(catalog: Catalog, instant: datetime) -> date:
    """The business day that holds an instant."""
    from zoneinfo import ZoneInfo

    return instant.astimezone(ZoneInfo(catalog.definition.timezone)).date()


def _require_whole(paths: list[str], name: str, text: bool) -> None:
    """Refuse a Parquet file without its end, as a delivery that broke off leaves it."""
    for path in () if text else paths:
        with Path(path).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - 4))
            if size < 12 or file.read() != b"PAR1":
                raise _cut_off(path, name)


def _cut_off(path: str, name: str) -> SourceUnavailable:
    return SourceUnavailable(
        f"{name}: {Path(path).name} ends before its end: it was cut off, or is still being "
        "written. Run again when the delivery is complete."
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _state(path: str) -> tuple[int, int]:
    found = Path(path).stat()
    return found.st_size, found.st_mtime_ns
