"""Derived tables as files: made once from a state of their inputs, and read by later queries.

A file lies at `derived/<table>/<key>.parquet` in the lake. The key is a digest of the query that
makes the rows (the definitions, the identity of the business, known_at), of the data files that
it reads, and of as_of where a row of those files does not lie before it. So a changed definition,
a late row or a superseded one leads to another file, and a day without new rows to the same one.
Old files are swept; who finds one gone makes the rows in the query itself. Spark always does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from tagline import storage
from tagline.compile import Compiled, DerivedRows, compile_derived
from tagline.compute import changed_tables, column_types, relations, superseded_columns
from tagline.definitions import DataType
from tagline.engines import Relation
from tagline.errors import TaglineError

if TYPE_CHECKING:
    from tagline.deployment import Deployment
    from tagline.lake import StoredFile

KEPT = 12  # newest files of a table; more than the panels of a training and a few days
SPARED = timedelta(days=1)  # no file is swept that is not so much older than the newest
_ALWAYS = datetime(9999, 1, 1, tzinfo=UTC)  # in the place of every as_of after all rows
_FOLDER = "derived"

Answer = TypeVar("Answer")


class Compiler(Protocol):
    """Compiles a query with some of the derived tables that it reads materialised."""

    def __call__(self, *, materialised: frozenset[str]) -> Compiled:
        """The query over relations of the named tables."""


@dataclass(frozen=True)
class DerivedTables:
    """The derived tables as of an instant, from the tables as they are or as of `snapshots`."""

    deployment: Deployment
    as_of: datetime
    changed: frozenset[str]
    known_at: datetime | None = None
    snapshots: Mapping[str, int] | None = None

    def answer(
        self,
        compiler: Compiler,
        action: Callable[[str, Mapping[str, Relation]], Answer],
        *,
        make: bool,
    ) -> tuple[Compiled, Answer]:
        """Run a query over files of the derived tables that it reads; what was compiled, too.

        Files that are not there yet are made first, or with `make` false done without. Where one
        is swept before it is read, the query makes its rows itself.
        """
        compiled, files = self.compiled(compiler, make=make)
        if files:
            try:
                return compiled, self._run(compiled, files, action)
            except (TaglineError, FileNotFoundError):
                if all(map(_exists, files.values())):
                    raise
            compiled = compiler(materialised=frozenset())
        return compiled, self._run(compiled, {}, action)

    def compiled(
        self, compiler: Compiler, *, make: bool, of: Iterable[str] | None = None
    ) -> tuple[Compiled, dict[str, str]]:
        """The query over the derived tables that have a file, and their files.

        `of` are the tables that may be read from one; otherwise all are.
        """
        wanted = frozenset(self.deployment.catalog.derived if of is None else of)
        if self.deployment.settings.engine != "duckdb" or not wanted:
            return compiler(materialised=frozenset()), {}
        found = compiler(materialised=wanted)
        paths = {name: self.file(name, make=make) for name in found.materialised}
        files = {name: path for name, path in paths.items() if path}
        if len(files) < len(paths):
            found = compiler(materialised=frozenset(files))
        return found, {name: files[name] for name in found.materialised}

    def file(self, table: str, *, make: bool) -> str | None:
        """The file of a derived table's rows; None if it is not there, or is not made.

        Rows of other types than declared are not kept: reading them back would change them.
        """
        lake, catalog = self.deployment.lake, self.deployment.catalog
        made = self._rows(table, self.as_of)
        found, is_past = self._inputs(made)
        same = self._rows(table, _ALWAYS) if is_past else made
        folder = storage.below(lake.location, _FOLDER, table)
        path = storage.below(folder, f"{_key(same.sql, found)}.parquet")
        if path in storage.listed(folder):
            return path
        columns = {name: column.type for name, column in catalog.tables[table].columns.items()}
        if not make or not self._has_types(made, found, columns):
            return None
        # once, also where several processes want it: a file that is read must not be replaced
        with self.deployment.registry.lock(f"derived:{table}"):
            if path not in storage.listed(folder):
                self.deployment.engine.write(made.sql, found, path)
                sweep(folder)
        return path

    def _run(
        self,
        compiled: Compiled,
        files: Mapping[str, str],
        action: Callable[[str, Mapping[str, Relation]], Answer],
    ) -> Answer:
        return action(compiled.sql, relations(self.deployment, compiled, self.as_of, files))

    def _rows(self, table: str, as_of: datetime) -> DerivedRows:
        return compile_derived(
            self.deployment.catalog, table, as_of, self.known_at, changed=self.changed
        )

    def _inputs(self, rows: DerivedRows) -> tuple[dict[str, Relation], bool]:
        """What the rows are made from, and whether all of it lies before as_of."""
        catalog = self.deployment.catalog
        found: dict[str, Relation] = {}
        is_past = not rows.nested
        for name, columns in rows.tables.items():
            files = self._files(name, "valid_at")
            found[name] = _relation(files, column_types(catalog, name, columns))
            is_past = is_past and self._lie_before(files, rows.before_as_of[name])
            if name in rows.superseded:
                entries, ended = f"{name}__superseded", ("until_at",)
                files = self._files(entries, *ended)
                found[entries] = _relation(files, superseded_columns(catalog, name))
                is_past = is_past and self._lie_before(files, ended)
        return found, is_past

    def _files(self, name: str, column: str) -> list[StoredFile]:
        """The files of a stored table that may hold rows with column < as_of."""
        snapshot = self.snapshots.get(name) if self.snapshots is not None else None
        if self.snapshots is not None and snapshot is None:  # no such table by then
            return []
        return self.deployment.lake.files(f"clean.{name}", column, self.as_of, snapshot)

    def _lie_before(self, files: list[StoredFile], columns: tuple[str, ...]) -> bool:
        return all(
            column in file.highest and file.highest[column] < self.as_of
            for file in files
            for column in columns
        )

    def _has_types(
        self, rows: DerivedRows, found: Mapping[str, Relation], columns: Mapping[str, DataType]
    ) -> bool:
        empty = {name: Relation((), relation.columns) for name, relation in found.items()}
        sql = f"SELECT m.*, d.* FROM ({rows.sql}) AS m CROSS JOIN declared_columns AS d LIMIT 0"
        empty["declared_columns"] = Relation((), columns)
        types = self.deployment.engine.fetch(sql, empty).schema.types
        return bool(types[: len(columns)] == types[len(columns) :])


def derived_tables(
    deployment: Deployment, as_of: datetime, known_at: datetime | None = None
) -> DerivedTables:
    """The derived tables as of an instant, from the tables as they are."""
    return DerivedTables(deployment, as_of, changed_tables(deployment), known_at)


def sweep(folder: str) -> None:
    """Remove files that are neither among the newest few nor nearly as new as the newest."""
    written = storage.listed(folder)
    newest = sorted(written, key=lambda path: written[path], reverse=True)
    for path in newest[KEPT:]:
        if written[newest[0]] - written[path] > SPARED:
            storage.remove(path)


def _relation(files: list[StoredFile], columns: Mapping[str, DataType]) -> Relation:
    return Relation(tuple(sorted(file.path for file in files)), columns)


def _exists(path: str) -> bool:
    return path in storage.listed(path.rpartition("/")[0])


def _key(sql: str, inputs: Mapping[str, Relation]) -> str:
    read: dict[str, Any] = {
        name: (relation.files, dict(relation.columns)) for name, relation in inputs.items()
    }
    # an engine of another version may give other rows
    text = json.dumps([version("duckdb"), sql, read], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
