"""`python -m benchmarks COMMAND`: measure, and write docs/performance.md from what was found.

    standard            what `make bench` measures, within ten minutes, then the page
    grocer              the grocer's full year of real data
    statistics          compiled SQL against SQL by hand, one query per tag, pandas and Spark
    process             compute to release as a whole process, against dbt
    growth              time and memory of every stage by number of events
    days                a day after 400 days against a day after 800
    serving             profiles, audiences, in process and over HTTP
    report              write the page from the results

Generated data lies in the folder --work until its benchmark has ended.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path


def main() -> None:
    """Run one command."""
    options = _parser().parse_args()
    work: Path = options.work
    work.mkdir(parents=True, exist_ok=True)
    command = options.command
    if command == "growth":
        from benchmarks.growth import growth

        limits = ["none", "2 GB"] if options.limit == "both" else [options.limit]
        growth(
            work,
            options.events or [12_500_000],
            limits,
            options.buckets,
            again=options.again,
            keep=options.keep,
        )
    elif command == "statistics":
        from benchmarks.statistics import statistics

        for events in options.events or [1_500_000]:
            statistics(work, events, rounds=options.rounds, spark_python=options.spark_python)
    elif command == "process":
        from benchmarks.process import process

        for events in options.events or [1_500_000]:
            process(work, events, rounds=options.rounds)
    elif command == "serving":
        from benchmarks.serving import serving

        for events in options.events or [1_500_000]:
            serving(work, events)
    elif command == "grocer":
        from benchmarks.grocer import grocer

        grocer()
    if command != "report":
        print("measured; `python -m benchmarks report` writes docs/performance.md")
    else:
        from benchmarks.report import write

        write()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "command",
        choices=["grocer", "statistics", "process", "growth", "serving", "report"],
    )
    parser.add_argument("--events", type=int, nargs="+", help="numbers of orders")
    parser.add_argument("--rounds", type=int, default=3, help="of each comparison")
    parser.add_argument("--limit", default="both", choices=["both", "none", "2 GB"])
    parser.add_argument("--buckets", type=int, default=8, help="of customers, under a limit")
    parser.add_argument("--again", action="store_true", help="measure what is known already")
    parser.add_argument("--keep", action="store_true", help="keep the data of growth")
    parser.add_argument("--spark-python", metavar="PYTHON", help="a Python that has pyspark")
    parser.add_argument(
        "--work",
        type=Path,
        default=Path(tempfile.gettempdir()) / "tagline-benchmarks",
        help="folder of the generated data",
    )
    return parser


if __name__ == "__main__":
    main()
