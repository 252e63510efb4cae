"""The check stage: the rows that a run's cleaning added, judged by Great Expectations."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tagline.cleanings import Unchecked, mark_checked, unchecked
from tagline.definitions import TableDefinition
from tagline.engines import Engine, Relation, identifier
from tagline.errors import ExpectationFailed, TaglineError
from tagline.quality.figures import Added, measured
from tagline.quality.frames import chunks, to_frame
from tagline.quality.plan import VERSION_COLUMNS, Plan, Rule, plan_table
from tagline.quality.report import CheckReport, ExpectationResult, TableCheck
from tagline.versions import entry_columns, row_columns

if TYPE_CHECKING:
    from tagline.deployment import Deployment
    from tagline.quality.validation import Judge

MOST_VALUES = 100_000  # distinct values that a rule about a set of values may look at


def check(
    deployment: Deployment,
    run_id: str,
    as_of: datetime,
    at: datetime,
    tables: Sequence[str] | None = None,
) -> CheckReport:
    """Judge the rows added to the clean tables since they last met their expectations.

    These are the run's own rows, and those of earlier runs that failed here, as far as they have
    not been corrected since. A warning is reported. A critical failure, or a row rule that still
    fails after cleaning, raises ExpectationFailed once the report and its Data Docs are kept. A
    table without such rows is not judged. With `tables`, only these, and their part of the
    report is replaced.
    """
    from tagline.quality.validation import Judge

    started = time.perf_counter()
    cleaned = deployment.registry.stage(run_id, "clean")["tables"]
    names = list(cleaned) if tables is None else [t for t in tables if t in cleaned]
    pending = unchecked(deployment, run_id, names)
    checks: dict[str, TableCheck] = {}
    docs = None
    if pending:
        judge = Judge(deployment.settings.home_path / "data_docs")
        kept: dict[str, list[Any]] = {}
        for table, rows in pending.items():
            definition = deployment.catalog.tables[table]
            with _present_rows(deployment, table, rows) as files:
                checks[table], kept[table] = judge_table(
                    judge, deployment.engine, table, definition, files
                )
        with deployment.registry.lock("data_docs"):
            pages = [judge.keep(table, found, run_id, at) for table, found in kept.items()]
            docs = judge.build(pages)
    report = CheckReport(run_id, as_of, checks, docs, time.perf_counter() - started)
    _save(deployment, report, tables)
    if report.critical:
        raise ExpectationFailed(
            f"{len(report.critical)} critical expectations do not hold in the rows added:\n"
            + "\n".join(f"  {sentence}" for sentence in report.critical)
            + f"\nSee {docs}; correct the source, its SQL or the expectation, then run again."
        )
    mark_checked(deployment, [one for rows in pending.values() for one in rows.cleanings], at)
    return report


@contextmanager
def _present_rows(deployment: Deployment, table: str, rows: Unchecked) -> Iterator[tuple[str, ...]]:
    """Files of the rows to judge; rows of earlier runs only while nothing has superseded them."""
    if rows.only_of_run:
        yield rows.files
        return
    definition = deployment.catalog.tables[table]
    keys = (*definition.key, "valid_at", "loaded_at")
    same = " and ".join(f"s.{identifier(key)} = r.{identifier(key)}" for key in keys)
    relations = {
        "added": Relation(rows.files, row_columns(definition)),
        "superseded": deployment.lake.relation(
            f"clean.{table}__superseded", entry_columns(definition)
        ),
    }
    with TemporaryDirectory() as folder:
        path = str(Path(folder) / f"{table}.parquet")
        superseded = f"select 1 from superseded as s where {same}"
        sql = f"select * from added as r where not exists ({superseded})"
        deployment.engine.write(sql, relations, path)
        yield (path,)


def judge_table(
    judge: Judge, engine: Engine, table: str, definition: TableDefinition, files: Sequence[str]
) -> tuple[TableCheck, list[Any]]:
    """All expectations of one table over the rows in `files`, with the library's own results."""
    from tagline.quality.validation import is_by_row, read

    started = time.perf_counter()
    plan = plan_table(table, definition, is_by_row)
    types = {name: column.type for name, column in definition.columns.items()} | VERSION_COLUMNS
    relation = {table: Relation(tuple(files), types)}
    rows = int(
        engine.fetch(f"select count(*) as n from {identifier(table)}", relation)["n"][0].as_py()
    )
    results: list[ExpectationResult] = []
    found: list[Any] = []
    if rows and plan.by_row:
        outcome = judge.judge(table, plan.by_row, chunks(files, plan.columns))
        found += outcome
        results += [read(result, rule) for result, rule in zip(outcome, plan.by_row, strict=True)]
    if rows:
        values = measured(plan.figures, Added(engine, table, definition, tuple(files), rows))
        rules = [figure.rule for figure in plan.figures]
        outcome = judge.judge(table, rules, [_figures_frame(plan, values)])
        found += outcome
        for figure, value, judged in zip(plan.figures, values, outcome, strict=True):
            actual = f"{figure.name}: {_shown(value)}"
            results.append(
                replace(
                    read(judged, figure.rule), checked=rows, unexpected=0, sample=(), actual=actual
                )
            )
    for rule in plan.value_sets if rows else ():
        outcome = judge.judge(table, [rule], [_distinct_values(engine, table, rule, relation)])
        found += outcome
        results.append(read(outcome[0], rule))
    return TableCheck(table, rows, tuple(results), time.perf_counter() - started), found


def _figures_frame(plan: Plan, values: Sequence[Any]) -> Any:
    import pyarrow as pa

    named = zip(plan.figures, values, strict=True)
    return to_frame(pa.table({figure.name: [_number(value)] for figure, value in named}))


def _distinct_values(
    engine: Engine, table: str, rule: Rule, relation: Mapping[str, Relation]
) -> Any:
    column = identifier(str(rule.kwargs["column"]))
    values = engine.fetch(
        f"select distinct {column} from {identifier(table)} where {column} is not null "
        f"limit {MOST_VALUES + 1}",
        relation,
    )
    if values.num_rows > MOST_VALUES:
        raise TaglineError(
            f"tables/{table}.yaml: {rule.shown_as} of {rule.subject} looks at all distinct "
            f"values, and there are more than {MOST_VALUES:,}"
        )
    return to_frame(values)


def _number(value: Any) -> Any:
    """A figure as the frame holds it: sums of whole numbers come as decimals."""
    return float(value) if isinstance(value, Decimal | int) else value


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.6g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _save(deployment: Deployment, report: CheckReport, tables: Sequence[str] | None) -> None:
    output = report.as_json()
    registry = deployment.registry
    if tables is None:
        registry.save_stage(report.run_id, "check", output, report.seconds)
        return
    with registry.lock(f"check:{report.run_id}"):
        try:
            before = registry.stage(report.run_id, "check")
        except TaglineError:
            before = {"tables": {}}
        merged = {**before["tables"], **output["tables"]}
        output["tables"] = merged
        output["rows"] = sum(table["rows"] for table in merged.values())
        for kind in ("critical", "warnings"):
            output[kind] = [
                f"{table}.{found['sentence']}"
                for table, entry in merged.items()
                for found in entry[kind]
            ]
        registry.save_stage(report.run_id, "check", output, report.seconds)
