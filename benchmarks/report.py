"""docs/performance.md and its plot, from the documents in benchmarks/results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks.plot import svg
from benchmarks.results import Cell, Line, Results, Row, load_all

DOCS = Path(__file__).parents[1] / "docs"
PAGE, PLOT = DOCS / "performance.md", DOCS / "performance.svg"
FINDINGS = Path(__file__).with_name("findings.yaml")
_STAGES = ("extract", "clean", "check", "compute", "score", "audit", "release", "all stages")


class FindingMissing(ValueError):
    """A target is missed, and benchmarks/findings.yaml does not say why."""


def write() -> None:
    """Write the page, and the plot where growth was measured."""
    found = load_all()
    PAGE.write_text(page(found, findings()), "utf-8")
    drawn = plot(found)
    if drawn is not None:
        PLOT.write_text(drawn, "utf-8")


def findings() -> dict[str, str]:
    """Why targets are missed, by the key of the line."""
    return dict(yaml.safe_load(FINDINGS.read_text("utf-8")) or {})


def page(found: Sequence[Results], why: Mapping[str, str]) -> str:
    """The whole page; raises FindingMissing for a missed target without a reason."""
    missed = [line for results in found for line in results.lines if line.met is False]
    silent = [line for line in missed if line.key not in why]
    if silent:
        raise FindingMissing(
            "benchmarks/findings.yaml does not say why these targets are missed: "
            + "; ".join(f"{line.key} ({_figure(line)}, {line.what})" for line in silent)
        )
    parts = [
        "# Performance",
        "",
        "This page is written by `python -m benchmarks report` from the documents in "
        "`benchmarks/results`; do not edit it. `make bench` measures the standard set anew, "
        "`make bench-large` the large sizes. Figures of another machine differ, ratios differ "
        "less: each is against a named reference that ran in turn with it, on the same data, "
        "after all values were compared.",
        "",
        "## Targets",
        "",
    ]
    lines = [(results, line) for results in found for line in results.lines]
    if not lines:
        parts.append("Nothing that has a target is measured yet.")
    else:
        parts += _targets(lines)
    if missed:
        parts += ["", "### Why targets are missed", ""]
        parts += [f"- **{line.what}** ({_figure(line)}): {why[line.key]}" for line in missed]
    for results in found:
        parts += ["", *_section(results)]
    return "\n".join(parts) + "\n"


def _targets(lines: Sequence[tuple[Results, Line]]) -> list[str]:
    """The lines as a table, those with a target first."""
    return _table(
        ["what", "against", "measured", "target", ""],
        [
            [
                line.what,
                line.reference or "",
                _figure(line),
                _target(line),
                {True: "met", False: "missed", None: ""}[line.met],
            ]
            for _, line in sorted(lines, key=lambda each: each[1].target is None)
        ],
    )


def plot(found: Sequence[Results]) -> str | None:
    """Seconds of each stage under the memory limit, None where that was not measured."""
    growth = next((results for results in found if results.name == "growth"), None)
    if growth is None:
        return None
    rows = [row for row in growth.tables["Seconds"] if row["memory limit"] != "none"]
    if not rows:
        return None
    series = {stage: [_point(row, stage) for row in rows] for stage in _STAGES}
    title = f"Seconds of each stage, memory limit {rows[0]['memory limit']}"
    return svg(title, series, "events", "seconds")


def _point(row: Row, stage: str) -> tuple[float, float]:
    events, seconds = row["events"], row[stage]
    assert isinstance(events, int | float) and isinstance(seconds, int | float)
    return float(events), float(seconds)


def _section(results: Results) -> list[str]:
    machine = results.machine
    told = [f"{name} {number}" for name, number in results.versions.items()]
    sizes = ", ".join(f"{number:,} {name}" for name, number in results.sizes.items())
    seed = f", seed {results.seed}" if results.seed is not None else ""
    parts = [
        f"## {results.title}",
        "",
        results.description,
        "",
        f"Measured on {results.measured_on} by `{results.command}`: {sizes}{seed}; "
        f"{machine.cores} cores, {machine.memory_gb:g} GB, {machine.system}, Python "
        f"{machine.python}; {', '.join(told)}.",
    ]
    if plot([results]) is not None:
        parts += ["", "![Seconds of each stage by number of events](performance.svg)"]
    for title, rows in results.tables.items():
        if rows:
            columns = list(dict.fromkeys(column for row in rows for column in row))
            cells = [[_shown(row.get(column)) for column in columns] for row in rows]
            parts += ["", f"### {title}", "", *_table(columns, cells)]
    for note in results.notes:
        parts += ["", note]
    return parts


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        "| " + " | ".join(columns) + " |",
        "|" + "---|" * len(columns),
        *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows),
    ]


def _shown(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:,.1f}" if abs(cell) >= 100 else f"{cell:g}"
    return f"{cell:,}" if isinstance(cell, int) else cell


def _figure(line: Line) -> str:
    if line.measured is None:
        return line.remark or "not measured"
    return f"{line.measured:g} {line.unit}"


def _target(line: Line) -> str:
    if line.target is None:
        return ""
    sign: Any = {"most": "≤", "least": "≥"}[line.at]
    return f"{sign} {line.target:g} {line.unit}"
