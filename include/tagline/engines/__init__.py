"""Engines run SQL over lists of Parquet files and give Arrow tables or Parquet files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow

from tagline.definitions.types import DataType
from tagline.errors import WrongUsage
from tagline.settings import Settings


@dataclass(frozen=True)
class Relation:
    """Parquet files read as one table with exactly these columns.

    A column that a file lacks is null there; columns that are not named are not shown; without
    files the relation is empty. Those of `hidden` are shown as null whatever the files hold. Rows
    that do not meet `only`, a condition on the columns in SQL of any engine, are not shown.
    """

    files: tuple[str, ...]
    columns: Mapping[str, DataType] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()
    only: str | None = None


class Engine(Protocol):
    """SQL (in DuckDB's dialect) over relations; it keeps no state between calls."""

    @property
    def name(self) -> str:
        """What settings and reports call it."""

    def fetch(self, sql: str, relations: Mapping[str, Relation]) -> pyarrow.Table:
        """The rows of one SELECT, which reads the relations by their names."""

    def write(self, sql: str, relations: Mapping[str, Relation], path: str) -> int:
        """Write the rows of one SELECT as a Parquet file at `path`; the number of rows.

        The file appears under its name only when it is complete.
        """


def open_engine(settings: Settings) -> Engine:
    """The engine that the settings name for computing tags."""
    if settings.engine == "duckdb":
        from tagline.engines.duckdb import local_engine

        return local_engine(settings)
    if settings.engine.startswith(("spark://", "local[")):
        from tagline.engines.spark import spark_engine

        return spark_engine(settings)
    raise WrongUsage(
        f"TAGLINE_ENGINE={settings.engine!r} is not an engine. "
        "Known: duckdb, spark://host:port (a cluster), local[*] (Spark in this process)."
    )


def identifier(name: str) -> str:
    """A name quoted for SQL.

    >>> identifier("order")
    '"order"'
    """
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text quoted for SQL.

    >>> literal("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"
