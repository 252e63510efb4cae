"""Compute, audit, gate and release as a whole process, against dbt with a model per tag."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.after_check import AFTER_CHECK
from benchmarks.deliveries import SEED, Sizes
from benchmarks.equality import require_equal
from benchmarks.measured import Measured, measured
from benchmarks.results import Line, Results, Row, this_machine, today, versions
from benchmarks.shop import Shop, clean_files, loaded, shop

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements.txt"
MANY, FEW = 50_000_000, 1_500_000  # the sizes that have a target


def process(work: Path, events: int, *, rounds: int = 3) -> Results:
    """Measure both at one size, in turn; the first round of dbt is compared with ours."""
    dbt = dbt_program(work)
    with shop(work / f"statistics-{events}", Sizes(events)) as opened:
        day = loaded(opened, and_before=True)
        ours, theirs = [], []
        compared = 0
        project = _project(opened)
        for number in range(rounds):
            mine = _release(opened)
            ours.append(mine)
            tags, made = _dbt(dbt, project, opened)
            theirs.append(made)
            print(
                f"round {number + 1}: ours {mine.seconds:.1f} s, dbt {made.seconds:.1f} s",
                flush=True,
            )
            if number == 0:
                path = Path(json.loads(mine.stdout)["path"])
                compared = require_equal(path, tags, _columns(project), "dbt")
        shutil.rmtree(project)
    return _results(opened, ours, theirs, compared, day)


def _release(opened: Shop) -> Measured:
    words = (sys.executable, "-m", "benchmarks.after_check", f"{opened.sizes.as_of:%Y-%m-%d}")
    made = measured(words, opened.environment)
    if json.loads(made.stdout)["status"] != "active":
        raise SystemExit(f"the candidate was not released: {made.stdout}")
    return made


# dbt


def dbt_program(work: Path) -> Path:
    """The dbt of an environment of its own, which is made on first use."""
    environment = work / "dbt"
    program = environment / "bin" / "dbt"
    wanted = REQUIREMENTS.read_text("utf-8")
    stamp = environment / "installed.txt"
    if not stamp.exists() or stamp.read_text("utf-8") != wanted:
        print("installing dbt into an environment of its own", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", environment], check=True)
        pip = (environment / "bin" / "python", "-m", "pip", "install", "--quiet", "--quiet")
        subprocess.run(
            [*pip, "--disable-pip-version-check", "-r", REQUIREMENTS],
            check=True,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        )
        stamp.write_text(wanted, "utf-8")
    return program


def _project(opened: Shop) -> Path:
    """A dbt project with a model per tag, beside the shop's home."""
    project = opened.home.parent / "dbt"
    shutil.rmtree(project, ignore_errors=True)
    shutil.copytree(HERE / "dbt", project)
    for query in (HERE / "references" / "per_tag").glob("*.sql"):
        shutil.copy(query, project / "models")
    return project


def _columns(project: Path) -> list[str]:
    models = (path.stem for path in (project / "models").glob("*.sql"))
    return sorted(slug for slug in models if slug != "wide_tags")


def _dbt(program: Path, project: Path, opened: Shop) -> tuple[Path, Measured]:
    """One `dbt build` into a new database: all models and their tests."""
    database, target = project / "shop.duckdb", project / "wide_tags.parquet"
    for path in (database, target):
        path.unlink(missing_ok=True)
    files = clean_files(opened)
    environment = {
        "CUSTOMERS_FILES": _sql_list(files["customers"]),
        "ORDERS_FILES": _sql_list(files["orders"]),
        "DBT_DATABASE": str(database),
        "DBT_MEMORY_LIMIT": opened.memory_limit,
        "DBT_PROFILES_DIR": str(project),
        "PYTHONPATH": "",
        "TAGS_FILE": str(target),
    }
    made = measured([program, "build", "--quiet"], environment, project)
    return target, made


def _sql_list(files: tuple[str, ...]) -> str:
    return "[" + ", ".join(f"'{file}'" for file in files) + "]"


def _results(
    opened: Shop, ours: list[Measured], theirs: list[Measured], compared: int, day: Row | None
) -> Results:
    events = opened.sizes.events
    faster = statistics.median(b.seconds / a.seconds for a, b in zip(ours, theirs, strict=True))
    whole = statistics.median(
        sum(made.stages[stage].seconds for stage in AFTER_CHECK) / made.stages["compute"].seconds
        for made in ours
    )
    rows: list[Row] = []
    for name, runs in (("Tagline", ours), ("dbt", theirs)):
        for number, made in enumerate(runs, 1):
            row: Row = {
                "what": name,
                "round": number,
                "process": round(made.seconds, 1),
                "processor": round(made.cpu, 1),
                "peak MB": round(made.peak_mb),
            }
            for stage in AFTER_CHECK:
                row[stage] = round(made.stages[stage].seconds, 2) if stage in made.stages else None
            rows.append(row)
    target = 2.5 if events >= MANY else 1.0 if events <= FEW else None
    made_results = Results(
        name=f"process-{events}",
        title=f"A whole process and dbt, {events / 1e6:g} M orders",
        description=(
            "Tagline: compute, score, audit (with Great Expectations and a comparison with the "
            "release before), gate and release of 20 tags, in one process from its start to its "
            "end. dbt: `dbt build` of a model per tag (DuckDB, the queries of "
            "benchmarks/references/per_tag), a wide table as Parquet, and its tests: ranges, "
            "accepted values, coverage, uniqueness. Both read the same clean files with 2 "
            f"threads and {opened.memory_limit}; {compared:,} values are equal. Seconds."
        ),
        command=f"python -m benchmarks process --events {events}",
        measured_on=today(),
        seed=SEED,
        sizes={"events": events, "customers": opened.sizes.customers, "tags": 20},
        machine=this_machine(),
        versions=versions(_dbt_versions()),
        lines=(
            Line(
                key=f"process_{events}",
                what=f"compute to release of {events / 1e6:g} M orders, times faster",
                measured=round(faster, 2),
                unit="×",
                target=target,
                at="least",
                reference="dbt build, a model per tag with tests",
            ),
            Line(
                key=f"whole_{events}",
                what=f"compute, audit, gate and release of {events / 1e6:g} M orders",
                measured=round(whole, 2),
                unit="×",
                target=2.0,
                reference="compute alone",
            ),
        ),
        tables={"Rounds": tuple(rows), **({"One more day, seconds": (day,)} if day else {})},
    )
    made_results.save()
    return made_results


def _dbt_versions() -> dict[str, str]:
    """The pinned versions of dbt and of its DuckDB."""
    pins = [line for line in REQUIREMENTS.read_text("utf-8").splitlines() if "==" in line]
    found = dict(pin.split("==") for pin in pins)
    return {"DuckDB of dbt" if name == "duckdb" else name: pin for name, pin in found.items()}
