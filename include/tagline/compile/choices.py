"""What the compiler chose for a query, in words: how much of which table it reads, and why."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tagline.compile.compiled import Compiled


def choices(
    compiled: Compiled, files: Mapping[str, tuple[int, int]] | None = None
) -> dict[str, Any]:
    """The choices as fields of a JSON document.

    Per stored table: `from`, the instant before which no event is looked at (null: all are);
    `superseded`, whether superseded versions are looked for; `columns` read; with `files`, how
    many of its files are read and how many there are. Per scan: the statistics that it makes.
    `derived` are the tables that are made in the query itself, `reused` those whose rows it
    reads from a file that an earlier query made.
    """
    tables: dict[str, dict[str, Any]] = {}
    for table, columns in compiled.tables.items():
        since = compiled.since.get(table)
        tables[table] = {
            "from": since[1].astimezone(UTC) if since else None,
            "superseded": table in compiled.superseded,
            "columns": len(columns),
        }
        if files is not None:
            tables[table]["files_read"], tables[table]["files"] = files[table]
    return {
        "tables": tables,
        "scans": dict(compiled.scans),
        "derived": list(compiled.derived),
        "reused": list(compiled.materialised),
    }


def comment(chosen: Mapping[str, Any]) -> str:
    """The choices as the lines of an SQL comment."""
    lines = []
    for table, each in chosen["tables"].items():
        since: datetime | None = each["from"]
        parts = [f"events from {since:%Y-%m-%d %H:%M} UTC" if since else "whole"]
        parts.append(f"{each['columns']} columns")
        if "files" in each:
            parts.append(f"{each['files_read']} of {each['files']} files")
        parts.append("superseded versions " + ("left out" if each["superseded"] else "not read"))
        lines.append(f"-- {table}: {', '.join(parts)}")
    for scan, count in chosen["scans"].items():
        lines.append(f"-- {scan}: {count} statistic{'s' * (count != 1)} in one scan")
    lines += [f"-- {name}: derived, made in this query" for name in chosen["derived"]]
    lines += [f"-- {name}: derived, reused from its file" for name in chosen["reused"]]
    return "\n".join(lines)
