"""`python -m examples.crane_works`: simulate the company into a database or into Parquet files."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

from examples.crane_works.parameters import Parameters, day_number
from examples.crane_works.parquet_files import ParquetFolder, without_truth
from examples.crane_works.postgres import SchemasExist, write_database
from examples.crane_works.world import Part, simulate


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate, write, and print the rows of each table; 1 where it refuses, 2 for wrong usage."""
    usual = Parameters()
    parser = argparse.ArgumentParser(prog="python -m examples.crane_works", description=__doc__)
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--database", metavar="URL", help="a PostgreSQL database")
    target.add_argument("--parquet", metavar="FOLDER", type=Path, help="a folder")
    parser.add_argument(
        "--truth", metavar="FOLDER", type=Path, help="write what is hidden there, for tests"
    )
    parser.add_argument("--customers", type=int, default=usual.customers)
    parser.add_argument("--machines", type=int, default=usual.machines)
    parser.add_argument("--years", type=int, default=usual.years)
    parser.add_argument("--start", type=date.fromisoformat, default=usual.start, metavar="DATE")
    parser.add_argument("--seed", type=int, default=usual.seed)
    parser.add_argument(
        "--until",
        type=date.fromisoformat,
        metavar="DATE",
        help="as the systems stood at the beginning of this day; the end by default",
    )
    parser.add_argument(
        "--replace", action="store_true", help="drop schemas of these names that are there"
    )
    given = parser.parse_args(arguments)
    try:
        parameters = Parameters(
            seed=given.seed,
            customers=given.customers,
            machines=given.machines,
            start=given.start,
            years=given.years,
        )
    except ValueError as error:
        parser.error(str(error))
    until = None if given.until is None else day_number(given.until)
    began = time.monotonic()
    parts = without_truth(simulate(parameters, until), given.truth)
    try:
        if given.database is not None:
            written = write_database(given.database, parts, given.replace)
        else:
            written = _write_folder(given.parquet, parts)
    except SchemasExist as error:
        print(error, file=sys.stderr)
        return 1
    for table, rows in written.items():
        print(f"{rows:>12,}  {table}")
    print(f"{written.total():>12,}  rows in {time.monotonic() - began:.0f} s")
    return 0


def _write_folder(path: Path, parts: Iterable[Part]) -> Counter[str]:
    written: Counter[str] = Counter()
    with ParquetFolder(path) as folder:
        for part in parts:
            folder.write(part)
            written[part.table.path] += part.rows.num_rows
    return written


if __name__ == "__main__":
    sys.exit(main())
