"""Spark as an engine: on a standalone cluster, or in this process.

Each call has a session of its own, so that its views are nobody else's; all of them share this
process's one application on the cluster.
"""

from __future__ import annotations

import re
import shutil
import socket
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow
import pyarrow.parquet as pq

from tagline.definitions.types import DataType
from tagline.engines import Relation
from tagline.engines.transpile import Transpiled, transpile
from tagline.errors import EngineUnavailable, QueryRefused, TaglineError, WrongUsage
from tagline.settings import Settings
from tagline.storage import appearing_whole, is_remote

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

INSTALL = "Install it: make spark, or pip install 'tagline[spark]'; Spark also needs Java 17."
_LOCAL = ("localhost", "127.0.0.1", "::1")
_UNITS = {"KB": 1 / 1024, "MB": 1, "GB": 1024, "TB": 1024 * 1024}
_TYPES = {
    DataType.BOOLEAN: "BOOLEAN",
    DataType.INTEGER: "BIGINT",
    DataType.NUMBER: "DOUBLE",
    DataType.TEXT: "STRING",
    DataType.DATE: "DATE",
    DataType.TIMESTAMP: "TIMESTAMP",
    DataType.TEXT_LIST: "ARRAY<STRING>",
}
_MEANING = {  # what the values depend on
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.decimalOperations.allowPrecisionLoss": "false",
    "spark.sql.caseSensitive": "false",
    "spark.sql.parser.escapedStringLiterals": "false",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.compression.codec": "zstd",
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.files.ignoreCorruptFiles": "false",
}
_RUNNING = {
    "spark.app.name": "tagline",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
    "spark.sql.adaptive.enabled": "true",
    "spark.sql.catalogImplementation": "in-memory",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "100000",
    "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
}


@dataclass(frozen=True)
class SparkEngine:
    """SQL over Parquet files on a Spark master: `spark://host:port`, or `local[n]` threads here.

    The lake must lie in a folder that the driver and all workers see under the same path.
    """

    master: str
    memory_limit: str
    temp_directory: str

    @property
    def name(self) -> str:
        """What settings and reports call it."""
        return "spark"

    def fetch(self, sql: str, relations: Mapping[str, Relation]) -> pyarrow.Table:
        """The rows of one SELECT, which reads the relations by their names."""
        with self._frame(sql, relations) as (frame, made):
            return frame.toArrow().cast(made.schema)

    def write(self, sql: str, relations: Mapping[str, Relation], path: str) -> int:
        """Write the rows of one SELECT as a Parquet file at `path`; the number of rows."""
        _local_only([path])
        target = Path(path)
        folder = target.with_name(f".{target.name}.{uuid.uuid4().hex}.parts")
        with appearing_whole(path, self.temp_directory) as unfinished:
            try:
                with self._frame(sql, relations) as (frame, _):
                    frame.coalesce(1).write.parquet(folder.as_uri())
                parts = sorted(folder.glob("part-*.parquet"))
                if len(parts) != 1:
                    raise TaglineError(
                        f"Spark wrote {len(parts)} files in {folder} instead of one; the "
                        "folder must be one that this machine and all workers share."
                    )
                parts[0].replace(unfinished)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            return int(pq.read_metadata(unfinished).num_rows)

    @contextmanager
    def _frame(
        self, sql: str, relations: Mapping[str, Relation]
    ) -> Iterator[tuple[DataFrame, Transpiled]]:
        """A query's rows, not computed yet; what it keeps in memory is let go at the end."""
        for name, relation in relations.items():
            _local_only(relation.files)
            if not relation.columns:
                raise WrongUsage(f"the relation {name!r} needs its columns; name them.")
        made = transpile(sql, relations)
        kept: list[DataFrame] = []
        session = _session(self.master, self.memory_limit, self.temp_directory)
        with _explained(self.master):
            try:
                for name, relation in relations.items():
                    _view(session, name, relation)
                for name, text in made.kept:
                    frame = session.sql(text).persist()
                    kept.append(frame)
                    frame.createOrReplaceTempView(_quoted(name))
                yield session.sql(made.sql), made
            finally:
                for frame in kept:
                    frame.unpersist()


def spark_engine(settings: Settings) -> SparkEngine:
    """The Spark engine that the settings name, within their limits."""
    return SparkEngine(
        master=settings.engine,
        memory_limit=settings.memory_limit,
        temp_directory=str(settings.home_path / "spark_tmp"),
    )


def stop() -> None:
    """End this process's application, so that the cluster's memory is free again."""
    from pyspark.sql import SparkSession

    running = SparkSession._instantiatedSession
    if running is not None:
        running.stop()


def address(master: str) -> tuple[str, int] | None:
    """Host and port of a cluster's master; None for Spark in this process.

    >>> address("spark://analytics:7077")
    ('analytics', 7077)
    """
    if not master.startswith("spark://"):
        return None
    host, _, port = master.removeprefix("spark://").partition(",")[0].rpartition(":")
    if not host or not port.isdigit():
        raise WrongUsage(f"TAGLINE_ENGINE={master!r} names no master. Write spark://host:7077.")
    return host, int(port)


def megabytes(limit: str) -> int:
    """A memory limit such as 4GB in megabytes.

    >>> megabytes("1.5GB")
    1536
    """
    match = re.fullmatch(r"\s*([0-9.]+)\s*([KMGT])(?:i?B)?\s*", limit, re.IGNORECASE)
    if not match:
        raise WrongUsage(f"TAGLINE_MEMORY_LIMIT={limit!r} is no size. Write for example 4GB.")
    return int(float(match[1]) * _UNITS[f"{match[2].upper()}B"])


def _session(master: str, memory_limit: str, temp_directory: str) -> SparkSession:
    """A new session of this process's application, which is started where there is none."""
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise WrongUsage(f"TAGLINE_ENGINE={master!r} needs PySpark. {INSTALL}") from error
    running = SparkSession._instantiatedSession
    if running is not None and running.sparkContext._jsc is not None:
        if running.sparkContext.master == master:
            return _new_session(running)
        running.stop()
    where = address(master)
    if where is not None:
        _reachable(where)
    memory = f"{max(megabytes(memory_limit), 512)}m"
    settings = {
        **_MEANING,
        **_RUNNING,
        "spark.driver.memory": memory,
        "spark.executor.memory": memory,
        "spark.sql.warehouse.dir": str(Path(temp_directory) / "warehouse"),
    }
    if where is None or where[0] in _LOCAL:
        settings |= dict.fromkeys(("spark.driver.host", "spark.driver.bindAddress"), "127.0.0.1")
    builder = SparkSession.builder.master(master)
    for name, value in settings.items():
        builder = builder.config(name, value)
    try:
        made = builder.getOrCreate()
    except (PySparkException, OSError) as error:
        raise WrongUsage(f"Spark did not start: {_first_line(error)}. {INSTALL}") from error
    return _new_session(made)


def _new_session(running: SparkSession) -> SparkSession:
    """A session with views of its own; few shuffle partitions where nobody asked for a number."""
    made, name = running.newSession(), "spark.sql.shuffle.partitions"
    if not running.sparkContext.getConf().contains(name):
        made.conf.set(name, str(max(2 * running.sparkContext.defaultParallelism, 4)))
    return made


def _reachable(where: tuple[str, int]) -> None:
    try:
        socket.create_connection(where, timeout=5).close()
    except OSError as error:
        raise EngineUnavailable(
            f"no Spark master answers at {where[0]}:{where[1]}: {error}. "
            "Start it, or correct TAGLINE_ENGINE."
        ) from error


def _view(session: SparkSession, name: str, relation: Relation) -> None:
    """Show a relation under its name: files are read as the types that it declares."""
    shown = {
        column: f"CAST(NULL AS {_TYPES[kind]}) AS {_quoted(column)}"
        for column, kind in relation.columns.items()
    }
    if not relation.files:
        frame = session.sql(f"SELECT {', '.join(shown.values())} WHERE false")
    else:
        read = [column for column in relation.columns if column not in relation.hidden]
        shown |= {column: _quoted(column) for column in read}
        schema = ", ".join(f"{_quoted(each)} {_TYPES[relation.columns[each]]}" for each in read)
        files = (Path(file).as_uri() for file in relation.files)
        frame = session.read.schema(schema).parquet(*files).selectExpr(*shown.values())
    if relation.only:
        frame = frame.where(relation.only)
    frame.createOrReplaceTempView(_quoted(name))


def _local_only(paths: Iterable[str]) -> None:
    for path in paths:
        if is_remote(path):
            raise WrongUsage(
                f"{path}: the Spark engine reads and writes folders, not s3://. Set "
                "TAGLINE_LAKE_URL to a folder that all workers share, or TAGLINE_ENGINE=duckdb."
            )
        if Path(path).name.startswith(("_", ".")):
            raise TaglineError(f"{path}: Spark leaves out files whose name begins so; rename it.")


@contextmanager
def _explained(master: str) -> Iterator[None]:
    """Say Spark's failures in the block as what they mean."""
    from py4j.protocol import Py4JError
    from pyspark.errors import AnalysisException, PySparkException

    try:
        yield
    except AnalysisException as error:
        raise QueryRefused(_first_line(error)) from error
    except (PySparkException, Py4JError) as error:
        raise TaglineError(f"Spark at {master} failed: {_first_line(error)}") from error


def _first_line(error: Any) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
