"""`python -m benchmarks COMMAND`: measure, and write docs/performance.md from what was found.

    standard            what `make bench` measures
    large               what `make bench-large` measures
    grocer              the grocer's full year of real data
    statistics          compiled SQL against SQL by hand, one query per tag, pandas and Spark
    process             compute to release as a whole process, against dbt
    growth              time and memory of every stage by number of events
    days                a day after 400 days against a day after 800
    purchases           the purchase process of 10,000 to a million customers
    models              training and scoring of a binary model of as many customers
    cranes              the crane maker's first load and the day after, at a hundred times its size
    serving             profiles, audiences, in process and over HTTP; Airflow's own share
    report              write the page from the results
    clean               remove the generated data

Generated data lies in the folder --work; `growth` removes its own, the others keep theirs for the
next call.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

FEW, MANY = 1_500_000, 50_000_000
CUSTOMERS = (10_000, 100_000, 1_000_000)
LARGE = (12_500_000, 50_000_000, 200_000_000)


def main() -> None:
    """Run one command."""
    options = _parser().parse_args()
    COMMANDS[options.command](options)


def standard(options: argparse.Namespace) -> None:
    """Everything at sizes that fit into ten minutes, but growth."""
    grocer(options)
    for command in (statistics, process, days, serving, purchases):
        command(options)
    clean(options)


def large(options: argparse.Namespace) -> None:
    """Everything that has a size, at the large ones."""
    options.events = options.events or [MANY]
    for command in (statistics, process):
        command(options)
    clean(options)
    options.events = list(LARGE)
    growth(options)


def grocer(_options: argparse.Namespace) -> None:
    """The grocer's year."""
    from benchmarks.grocer import grocer

    grocer()


def statistics(options: argparse.Namespace) -> None:
    """Compiled SQL and other ways."""
    from benchmarks.statistics import statistics

    for events in _events(options, FEW):
        statistics(options.work, events, rounds=options.rounds, spark_python=options.spark_python)


def process(options: argparse.Namespace) -> None:
    """A whole process and dbt."""
    from benchmarks.process import process

    for events in _events(options, FEW):
        process(options.work, events, rounds=options.rounds)


def growth(options: argparse.Namespace) -> None:
    """Time and memory by size."""
    from benchmarks.growth import growth

    limits = ["none", "2 GB"] if options.limit == "both" else [options.limit]
    growth(
        options.work,
        _events(options, LARGE[0]),
        limits,
        options.buckets,
        again=options.again,
        keep=options.keep,
    )


def days(options: argparse.Namespace) -> None:
    """A day after many days."""
    from benchmarks.days import days

    days(options.work, options.per_day, counts=options.days, step=options.step)


def serving(options: argparse.Namespace) -> None:
    """Profiles, audiences and days run by Airflow."""
    from benchmarks.serving import serving

    for events in _events(options, FEW):
        serving(options.work, events)


def purchases(options: argparse.Namespace) -> None:
    """A model's time and memory by customers."""
    from benchmarks.purchases import purchases

    purchases(options.customers)


def models(options: argparse.Namespace) -> None:
    """Training and scoring by customers."""
    from benchmarks.models import KINDS, models

    models(options.customers, options.candidates or KINDS)


def cranes(options: argparse.Namespace) -> None:
    """The crane maker, at a size of --crane-customers."""
    from benchmarks.cranes import cranes

    machines = options.crane_customers * 5 // 2
    cranes(options.work, options.crane_customers, machines, options.memory, keep=options.keep)


def report(_options: argparse.Namespace) -> None:
    """The page."""
    from benchmarks.report import write

    write()


def clean(options: argparse.Namespace) -> None:
    """Remove generated data; the environment of dbt stays."""
    for pattern in ("statistics-*", "serving-*", "days-*", "growth-*", "cranes-*"):
        for folder in options.work.glob(pattern):
            shutil.rmtree(folder)


COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    each.__name__: each
    for each in (
        standard, large, grocer, statistics, process, growth, days, serving, purchases, models,
        cranes, report, clean,
    )
}  # fmt: skip


def _events(options: argparse.Namespace, default: int) -> Sequence[int]:
    found: Sequence[int] = options.events or [default]
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("command", choices=list(COMMANDS))
    parser.add_argument("--events", type=int, nargs="+", help="numbers of orders")
    parser.add_argument("--customers", type=int, nargs="+", default=CUSTOMERS, help="of models")
    parser.add_argument("--candidates", nargs="+", metavar="NAME", help="of models")
    parser.add_argument("--rounds", type=int, default=3, help="of each comparison")
    parser.add_argument("--limit", default="both", choices=["both", "none", "2 GB"])
    parser.add_argument("--buckets", type=int, default=8, help="of customers, under a limit")
    parser.add_argument("--again", action="store_true", help="measure what is known already")
    parser.add_argument("--keep", action="store_true", help="keep the data of growth and cranes")
    parser.add_argument("--crane-customers", type=int, default=200_000, help="of cranes")
    parser.add_argument("--memory", default="12GB", help="what cranes' engine may use")
    parser.add_argument("--per-day", type=int, default=5_000, help="orders a day, of days")
    parser.add_argument("--days", type=int, nargs=2, default=(400, 800), help="of days")
    parser.add_argument("--step", type=int, default=10, help="days delivered at once, of days")
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
