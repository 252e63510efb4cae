"""A report of the core as plain-text tables, for a task's log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from typing import Any

from rich.box import ASCII2
from rich.console import Console, JustifyMethod
from rich.table import Table

_CELL = 60  # characters of a cell; longer ones are cut
_PAIRS = 8  # entries of a mapping that still fit on a line


def report_lines(report: Mapping[str, Any]) -> list[str]:
    """The lines of a report: its plain values first, then each larger mapping as a table.

    Columns without a value, and what is longer than a cell, are left to the XCom.

    >>> for line in report_lines({"rows": 2, "tags": {"age": {"psi": 0.1}}}): print(line)
    rows : 2
    <BLANKLINE>
    tags | psi
    -----+----
    age  | 0.1
    """
    plain = {key: value for key, value in report.items() if not _is_nested(value)}
    width = max((len(key) for key in plain), default=0)
    lines = []
    for key, value in plain.items():
        for item in value if isinstance(value, list | tuple) and value else [value]:
            lines.append(f"{key:<{width}} : {_text(item)}".rstrip())
            key = ""  # further items stand below the first
    for key, value in report.items():
        if _is_nested(value):
            lines += [""] * bool(lines)
            lines += _table(key, value)
    return lines


def _is_nested(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    return len(value) > _PAIRS or any(isinstance(item, Mapping) for item in value.values())


def _table(title: str, value: Mapping[str, Any]) -> list[str]:
    rows = [(name, row if isinstance(row, Mapping) else {"": row}) for name, row in value.items()]
    table = Table(box=ASCII2, show_edge=False, pad_edge=False)
    table.add_column(title, no_wrap=True)
    columns = [
        column
        for column in dict.fromkeys(column for _, row in rows for column in row)
        if any(_text(row.get(column)) for _, row in rows)
    ]
    for column in columns:
        numeric = all(isinstance(row.get(column) or 0, int | float) for _, row in rows)
        justify: JustifyMethod = "right" if numeric else "left"
        table.add_column(column, justify=justify, no_wrap=True, max_width=_CELL)
    for name, row in rows:
        table.add_row(name, *(_text(row.get(column)) for column in columns))
    output = StringIO()
    Console(file=output, width=1000, markup=False, highlight=False, color_system=None).print(table)
    return [line.rstrip() for line in output.getvalue().splitlines()]


def _text(value: Any) -> str:
    if value is None or value == {} or value == []:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Mapping):
        return ", ".join(_pairs(value))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "; ".join(_text(item) for item in value)
    return str(value)


def _pairs(value: Mapping[str, Any]) -> Iterator[str]:
    for key, item in value.items():
        yield f"{key} {_text(item)}"
