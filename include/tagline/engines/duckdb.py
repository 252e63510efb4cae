"""DuckDB as an engine: a fresh in-memory connection for each call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow

from tagline.engines import Relation, identifier, literal
from tagline.errors import QueryRefused, TaglineError
from tagline.scratch import held_folder
from tagline.settings import Settings
from tagline.storage import appearing_whole, is_remote

if TYPE_CHECKING:
    from tagline.engines.remote import RemoteFiles


@dataclass(frozen=True)
class DuckDBEngine:
    """SQL over Parquet files in this process, within `memory_limit`, spilling to a folder."""

    memory_limit: str
    threads: int
    temp_directory: str

    @property
    def name(self) -> str:
        """What settings and reports call it."""
        return "duckdb"

    def fetch(self, sql: str, relations: Mapping[str, Relation]) -> pyarrow.Table:
        """The rows of one SELECT, which reads the relations by their names."""
        with self._connection(relations) as connection:
            return connection.sql(sql).to_arrow_table()

    def write(self, sql: str, relations: Mapping[str, Relation], path: str) -> int:
        """Write the rows of one SELECT as a Parquet file at `path`; the number of rows."""
        with (
            appearing_whole(path, self.temp_directory) as unfinished,
            self._connection(relations, [unfinished]) as connection,
        ):
            return copy_to_parquet(connection, sql, unfinished)

    @contextmanager
    def open(
        self,
        paths: Sequence[str] = (),
        timezone: str = "UTC",
        folders: Sequence[str] = (),
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection that can touch these paths and folders, and nothing else.

        It spills to a folder of its own: names of spilled files are unique in a process only.
        """
        with (
            held_folder(Path(self.temp_directory), "spill") as spill,
            self._opened(paths, timezone, folders, str(spill)) as connection,
        ):
            yield connection

    @contextmanager
    def _opened(
        self, paths: Sequence[str], timezone: str, folders: Sequence[str], spill: str
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        connection = duckdb.connect(
            config={
                "memory_limit": self.memory_limit,
                "threads": self.threads,
                "temp_directory": spill,
                "preserve_insertion_order": False,
                "autoload_known_extensions": False,
                "autoinstall_known_extensions": False,
                "allow_community_extensions": False,
            }
        )
        remote = _remote_files(paths)
        try:
            if remote is not None:
                connection.register_filesystem(remote)
            connection.execute(f"SET TimeZone = {literal(timezone)}")
            connection.execute("SET enable_progress_bar = false")  # stdout is for results
            connection.execute(f"SET allowed_paths = [{', '.join(map(literal, paths))}]")
            connection.execute(f"SET allowed_directories = [{', '.join(map(literal, folders))}]")
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            yield connection
        except duckdb.OutOfMemoryException as error:
            raise TaglineError(
                f"the engine ran out of memory at {self.memory_limit}: {error}\n"
                "Raise TAGLINE_MEMORY_LIMIT, or split customers with TAGLINE_CUSTOMER_BUCKETS."
            ) from error
        except duckdb.Error as error:
            if remote is not None and remote.failure is not None:
                raise remote.failure from error
            raise QueryRefused(str(error)) from error
        finally:
            connection.close()

    @contextmanager
    def _connection(
        self, relations: Mapping[str, Relation], targets: Sequence[str] = ()
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        files = {file for relation in relations.values() for file in relation.files}
        with self.open([*sorted(files), *targets]) as connection:
            for name, relation in relations.items():
                view = relation_sql(connection, relation)
                connection.execute(f"CREATE TEMP VIEW {identifier(name)} AS {view}")
            yield connection


def _remote_files(paths: Sequence[str]) -> RemoteFiles | None:
    """What the engine reads objects with; None where all paths are local."""
    found = [path for path in paths if is_remote(path)]
    if not found:
        return None
    from tagline.engines.remote import RemoteFiles

    return RemoteFiles(found)


def relation_sql(connection: duckdb.DuckDBPyConnection, relation: Relation) -> str:
    """The SELECT that shows a relation's files with exactly its columns and types."""
    if not relation.files:
        nulls = (
            f"CAST(NULL AS {kind.sql}) AS {identifier(column)}"
            for column, kind in relation.columns.items()
        )
        return f"SELECT {', '.join(nulls)} WHERE false"
    files = ", ".join(literal(file) for file in relation.files)
    source = f"read_parquet([{files}], union_by_name = true)"
    if not relation.columns:
        return f"SELECT * FROM {source}"
    found = {
        str(row[0]): str(row[1])
        for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
    }
    shown = []
    for column, kind in relation.columns.items():
        name = identifier(column)
        if column not in found or column in relation.hidden:
            shown.append(f"CAST(NULL AS {kind.sql}) AS {name}")
        elif _SAME_TYPE.get(found[column], found[column]) == kind.sql:
            shown.append(name)
        else:
            shown.append(f"CAST({name} AS {kind.sql}) AS {name}")
    where = f" WHERE {relation.only}" if relation.only else ""
    return f"SELECT {', '.join(shown)} FROM {source}{where}"


_SAME_TYPE = {"TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ"}


def copy_to_parquet(connection: duckdb.DuckDBPyConnection, sql: str, path: str) -> int:
    """Write the rows of one SELECT at `path` as zstd Parquet; the number of rows."""
    row = connection.execute(
        f"COPY ({sql}) TO {literal(path)} (FORMAT parquet, COMPRESSION zstd)"
    ).fetchone()
    return int(row[0]) if row else 0


def local_engine(settings: Settings) -> DuckDBEngine:
    """The DuckDB engine within the settings' limits, whatever engine computes the tags."""
    return DuckDBEngine(
        memory_limit=settings.memory_limit,
        threads=settings.threads,
        temp_directory=str(settings.home_path / "duckdb_tmp"),
    )
