"""The twenty tags by Spark SQL on this machine, as of 2021-12-31; prints the seconds.

Called with the files of the clean tables as JSON, and the Parquet file to write. The start of
the session is not counted.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path


def main(files: dict[str, list[str]], target: Path) -> None:
    """Start a session of two threads, read, aggregate, write one file."""
    from pyspark.sql import SparkSession

    folder = Path(tempfile.mkdtemp(dir=target.parent))
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.memory", "8g")
        .config("spark.local.dir", str(folder))
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "8")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    try:
        session.range(1).count()  # the session is up
        started = time.perf_counter()
        for table, paths in files.items():
            session.read.parquet(*paths).createOrReplaceTempView(table)
        query = Path(__file__).with_name("spark_tags.sql").read_text("utf-8")
        session.sql(query).coalesce(1).write.parquet(str(folder / "made"))
        seconds = time.perf_counter() - started
        next((folder / "made").glob("part-*.parquet")).rename(target)
    finally:
        session.stop()
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), Path(sys.argv[2]))
