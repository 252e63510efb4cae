"""Is what the engine of TAGLINE_ENGINE needs there?"""

from __future__ import annotations

import importlib.util
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator

from tagline.doctor.finding import Finding, fault, ok
from tagline.errors import TaglineError
from tagline.settings import Settings
from tagline.storage import is_remote

WHERE = "TAGLINE_ENGINE"
OLDEST_JAVA = 17


def check_engine(settings: Settings) -> Iterator[Finding]:
    """Whether the engine can be opened; for Spark the package, Java, the master and the lake."""
    from tagline.engines import open_engine

    if settings.engine == "duckdb":
        yield ok(WHERE, "duckdb, in this process")
        return
    try:
        open_engine(settings)
    except TaglineError as error:
        yield fault(WHERE, str(error), "write duckdb, spark://host:7077 or local[*]")
        return
    if importlib.util.find_spec("pyspark") is None:
        yield fault(WHERE, "PySpark is missing", "make spark, or pip install 'tagline[spark]'")
    yield check_java(java_version())
    if is_remote(settings.lake_url or ""):
        fix = "set TAGLINE_LAKE_URL to a folder that all workers share, or TAGLINE_ENGINE=duckdb"
        yield fault(WHERE, "Spark reads and writes folders, and the lake is at s3://", fix)
    yield from _check_master(settings)


def java_version() -> str | None:
    """What `java -version` says, None where there is no Java."""
    program = shutil.which("java")
    if program is None:
        return None
    done = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)
    return done.stderr or done.stdout


def check_java(said: str | None) -> Finding:
    """Whether a Java is there that Spark runs on."""
    fix = "apt-get install default-jre-headless"
    if said is None:
        return fault(WHERE, f"Spark needs Java {OLDEST_JAVA} or newer; there is none", fix)
    found = re.search(r'version "(\d+)', said)
    if found is None or int(found[1]) < OLDEST_JAVA:
        line = said.splitlines()[0] if said else "nothing"
        return fault(WHERE, f"Spark needs Java {OLDEST_JAVA} or newer; java says {line}", fix)
    return ok(WHERE, f"Java {found[1]}")


def _check_master(settings: Settings) -> Iterator[Finding]:
    from tagline.engines.spark import address

    try:
        where = address(settings.engine)
    except TaglineError as error:
        yield fault(WHERE, str(error), "write spark://host:7077")
        return
    if where is None:
        yield ok(WHERE, f"Spark in this process, {settings.engine}")
        return
    try:
        socket.create_connection(where, timeout=5).close()
    except OSError as error:
        said = f"no Spark master answers at {where[0]}:{where[1]}: {error}"
        yield fault(WHERE, said, "start the master and its workers, or correct TAGLINE_ENGINE")
        return
    yield ok(WHERE, f"a Spark master answers at {where[0]}:{where[1]}")
