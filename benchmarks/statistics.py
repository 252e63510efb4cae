"""Compiled SQL against the same tags written by hand: DuckDB, one query per tag, pandas, Spark."""

from __future__ import annotations

import json
import statistics as figures
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.deliveries import SEED, Sizes
from benchmarks.equality import require_equal
from benchmarks.measured import ProcessFailed, measured
from benchmarks.results import Line, Results, Row, this_machine, today, versions
from benchmarks.shop import Shop, loaded, shop
from tagline.compile import compile_tags
from tagline.compute import changed_tables, relations
from tagline.definitions import StatisticTag
from tagline.deployment import Deployment, open_deployment
from tagline.engines import Relation

REFERENCES = Path(__file__).with_name("references")
_SHOWN_OPERATORS = 8


@dataclass(frozen=True)
class Reference:
    """Another way to the same tags: `run` writes them to a file and returns its own seconds."""

    name: str
    columns: tuple[str, ...]
    run: Callable[[Path], float]


def statistics(
    work: Path,
    events: int,
    *,
    rounds: int = 5,
    spark_python: str | None = None,
    pandas_most: int = 15_000_000,
) -> Results:
    """Measure at one size; the results of other sizes stay in the document's tables."""
    with shop(work / f"statistics-{events}", Sizes(events)) as opened:
        loaded(opened)
        with open_deployment(opened.settings) as deployment:
            return _measure(opened, deployment, rounds, spark_python, pandas_most)


def _measure(
    opened: Shop,
    deployment: Deployment,
    rounds: int,
    spark_python: str | None,
    pandas_most: int,
) -> Results:
    tags = tuple(deployment.catalog.tags)
    plain = tuple(
        slug
        for slug, tag in deployment.catalog.tags.items()
        if isinstance(tag.definition, StatisticTag)
    )
    files = _files(opened, deployment)
    folder = opened.home.parent / "references"
    folder.mkdir(exist_ok=True)
    statistics_alone = statistics_by_hand()
    one = Reference("hand-written SQL", plain, _engine(deployment, statistics_alone, files))
    rows: list[Row] = []
    notes: list[str] = []
    ratio, ours = _in_turn(_ours(opened, deployment, plain), one, folder, rounds, rows)
    lines = [
        Line(
            key="statistics",
            what=f"{len(plain)} statistics of {opened.sizes.events / 1e6:g} M orders, compiled",
            measured=round(ratio, 2),
            unit="×",
            target=0.9,
            reference="hand-written SQL, two scans",
        )
    ]
    ours_of_all = _ours(opened, deployment, tags)
    others = [
        Reference("hand-written SQL", tags, _engine(deployment, by_hand(), files)),
        Reference("one query per tag", tags, _per_tag(deployment, files)),
    ]
    if opened.sizes.events <= pandas_most:
        others.append(Reference("pandas", tags, _script("pandas_tags.py", opened, files)))
    else:
        notes.append(
            f"pandas is left out: {opened.sizes.events:,} orders as frames do not fit beside "
            "the rest."
        )
    spark = _script("spark_tags.py", opened, files, spark_python)
    others.append(Reference("Spark, local", tags, spark))
    for other in others:
        slow = other.name in ("pandas", "Spark, local")
        try:
            ratio, _ = _in_turn(
                ours_of_all, other, folder, 1 if slow else max(1, rounds // 2), rows
            )
        except ProcessFailed as error:
            if "No module named 'pyspark'" not in str(error):
                raise
            notes.append("Spark is left out: pyspark is not installed (--spark-python names one).")
            print(notes[-1], flush=True)
            continue
        lines.append(
            Line(
                key="tags_against_" + "_".join(other.name.replace(",", "").lower().split()),
                what=f"all {len(tags)} tags of {opened.sizes.events / 1e6:g} M orders, compute",
                measured=round(ratio, 2),
                unit="×",
                reference=other.name,
            )
        )
    made = Results(
        name=f"statistics-{opened.sizes.events}",
        title=f"Compiled SQL and other ways, {opened.sizes.events / 1e6:g} M orders",
        description=(
            "The compiled query and each reference read the same clean files and write the same "
            "tags to Parquet, in turn; every value is compared first. Medians of the rounds; a "
            "ratio is ours over theirs. pandas and Spark are measured in a process of their own, "
            "without its start. The profile is of the statistics alone: seconds that each "
            "operator took, over all threads."
        ),
        command=f"python -m benchmarks statistics --events {opened.sizes.events}",
        measured_on=today(),
        seed=SEED,
        sizes={"events": opened.sizes.events, "customers": opened.sizes.customers, "tags": 20},
        machine=this_machine(),
        versions=versions(),
        lines=tuple(lines),
        tables={
            "Seconds": tuple(rows),
            "Profile, compiled": _profile(deployment, ours, files),
            "Profile, hand-written": _profile(deployment, statistics_alone, files),
        },
        notes=tuple(notes),
    )
    made.save()
    return made


@dataclass(frozen=True)
class _Compiled:
    deployment: Deployment
    sizes: Sizes
    slugs: tuple[str, ...]

    def sql(self) -> str:
        """The compiled query."""
        changed = changed_tables(self.deployment)
        catalog = self.deployment.catalog
        return compile_tags(catalog, self.sizes.as_of, self.slugs, changed=changed).sql

    def __call__(self, path: Path) -> float:
        """Compile, write, and return the seconds."""
        started = time.perf_counter()
        deployment, as_of = self.deployment, self.sizes.as_of
        changed = changed_tables(deployment)
        compiled = compile_tags(deployment.catalog, as_of, self.slugs, changed=changed)
        deployment.engine.write(compiled.sql, relations(deployment, compiled, as_of), str(path))
        return time.perf_counter() - started


def _ours(opened: Shop, deployment: Deployment, slugs: tuple[str, ...]) -> _Compiled:
    return _Compiled(deployment, opened.sizes, slugs)


def _in_turn(
    ours: _Compiled, other: Reference, folder: Path, rounds: int, rows: list[Row]
) -> tuple[float, str]:
    """The median ratio over the rounds; the first round warms up and compares the values."""
    mine, theirs = folder / "ours.parquet", folder / "theirs.parquet"
    pairs: list[tuple[float, float]] = []
    for number in range(rounds + 1):
        for path in (mine, theirs):
            path.unlink(missing_ok=True)
        pairs.append((ours(mine), other.run(theirs)))
        if number == 0:
            compared = require_equal(mine, theirs, other.columns, other.name)
    kept = pairs[1:]
    ratio = figures.median(a / b for a, b in kept)
    made: Row = {
        "tags": len(other.columns),
        "reference": other.name,
        "compiled, seconds": round(figures.median(a for a, _ in kept), 3),
        "its seconds": round(figures.median(b for _, b in kept), 3),
        "ratio": round(ratio, 2),
        "from": round(min(a / b for a, b in kept), 2),
        "to": round(max(a / b for a, b in kept), 2),
        "values equal": compared,
    }
    rows.append(made)
    print(
        f"{made['tags']} tags: compiled {made['compiled, seconds']} s, {other.name} "
        f"{made['its seconds']} s, ratio {made['ratio']} ({made['from']} to {made['to']}); "
        f"{compared:,} values equal",
        flush=True,
    )
    return ratio, ours.sql()


# The references


def statistics_by_hand() -> str:
    """The sixteen statistics in two scans."""
    return (REFERENCES / "statistics.sql").read_text("utf-8")


def by_hand() -> str:
    """All twenty tags: those statistics, then tags.sql over them."""
    head, _, rest = (REFERENCES / "tags.sql").read_text("utf-8").partition("WITH ")
    return f"{head}WITH statistics AS (\n{statistics_by_hand()}),\n\n{rest}"


def _files(opened: Shop, deployment: Deployment) -> dict[str, Relation]:
    """The clean tables, as the compiled queries read them."""
    compiled = compile_tags(deployment.catalog, opened.sizes.as_of)
    return dict(relations(deployment, compiled, opened.sizes.as_of))


def _engine(
    deployment: Deployment, sql: str, files: Mapping[str, Relation]
) -> Callable[[Path], float]:
    def run(path: Path) -> float:
        started = time.perf_counter()
        deployment.engine.write(sql, files, str(path))
        return time.perf_counter() - started

    return run


def _per_tag(deployment: Deployment, files: Mapping[str, Relation]) -> Callable[[Path], float]:
    """Each tag's own query in order of what it reads, then the wide table of all."""
    from tagline.engines.duckdb import local_engine

    folder = REFERENCES / "per_tag"
    order = [*deployment.catalog.tags, "wide_tags"]

    def run(path: Path) -> float:
        started = time.perf_counter()
        scratch = path.parent
        made = dict(files)
        for slug in order:
            text = (folder / f"{slug}.sql").read_text("utf-8")
            target = path if slug == "wide_tags" else scratch / f"{slug}.parquet"
            local_engine(deployment.settings).write(text, made, str(target))
            made[slug] = Relation((str(target),))
        for slug in deployment.catalog.tags:
            (scratch / f"{slug}.parquet").unlink()
        return time.perf_counter() - started

    return run


def _script(
    name: str, opened: Shop, files: Mapping[str, Relation], python: str | None = None
) -> Callable[[Path], float]:
    """A script of references/, which is told the files and the target and prints its seconds."""
    import sys

    def run(path: Path) -> float:
        told = {table: files[table].files for table in ("customers", "orders")}
        words: Sequence[Any] = (
            python or sys.executable,
            REFERENCES / name,
            json.dumps(told),
            path,
        )
        made = measured(words)
        return float(json.loads(made.stdout.splitlines()[-1])["seconds"])

    return run


def _profile(deployment: Deployment, sql: str, files: Mapping[str, Relation]) -> tuple[Row, ...]:
    """The operators that take most, by EXPLAIN ANALYZE."""
    table = deployment.engine.fetch(f"EXPLAIN (ANALYZE, FORMAT json) {sql}", files)
    found: list[tuple[float, str, int]] = []
    _operators(json.loads(table.column("explain_value")[0].as_py()), found)
    found.sort(reverse=True)
    return tuple(
        {"operator": name, "seconds": round(seconds, 3), "rows": rows}
        for seconds, name, rows in found[:_SHOWN_OPERATORS]
    )


def _operators(node: Any, found: list[tuple[float, str, int]]) -> None:
    for part in node.get("operator") or node.get("children") or ():
        shown = part.get("extra_info", {})
        detail = shown.get("Table") or shown.get("Function") or shown.get("Join Type") or ""
        name = f"{part['type']} {detail}".strip()
        found.append((float(part["timing"]), name, int(part["intermediate_rows"])))
        _operators(part, found)
