"""A part of Airflow with the libraries of the tasks imported beforehand.

`python -m tagline.servers.preloaded scheduler` (local executor) and `... celery worker` fork
their tasks, so a task finds in memory what is imported here. Tagline itself is not among it: a
task always runs the code as it is now.
"""

from __future__ import annotations

import importlib
import logging
import runpy
import sys

LIBRARIES = (
    "duckdb",
    "great_expectations",
    "great_expectations.expectations",
    "mlflow.sklearn",
    "pandas",
    "pyarrow.parquet",
    "pydantic_settings",
    "pyiceberg.catalog.sql",
    "sklearn.linear_model",
    "sqlalchemy.dialects.postgresql.psycopg2",
    "sqlglot.optimizer",
    "yaml",
)


def main() -> None:
    """Import the libraries, then become `airflow` with the same arguments."""
    logging.getLogger("great_expectations._docs_decorators").setLevel(logging.WARNING)
    for library in LIBRARIES:
        importlib.import_module(library)
    sys.argv[0] = "airflow"
    runpy.run_module("airflow", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
