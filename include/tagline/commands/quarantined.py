"""quarantine: rows that were refused, and their replay."""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from typing import Annotated, Any

import typer

from tagline.commands.console import (
    Context,
    Json,
    answer,
    answer_json,
    answer_table,
    deployment,
    now,
)

REPLAY = "replay"


def quarantine(
    context: Context,
    table: Annotated[
        str | None, typer.Argument(help="A table to list rows of, or 'replay'.")
    ] = None,
    replayed: Annotated[
        str | None, typer.Argument(metavar="[TABLE]", help="The table to replay; all if none.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Rows to list.")] = 20,
    as_json: Json = False,
) -> None:
    """Count the refused rows by table and reason, list those of a TABLE, or replay them.

    `tagline quarantine replay [TABLE]` cleans again, after a fix, the loads that have refused
    rows.
    """
    from tagline import quarantine as refused

    with deployment(context) as opened:
        if table == REPLAY:
            answer_any(refused.replay(opened, replayed, now()), as_json)
        elif table is None:
            _show_counts(refused.counts(opened), as_json)
        else:
            _show_rows(table, refused.rows(opened, table, limit), as_json)


def answer_any(document: Any, as_json: bool) -> None:
    """Print a report of whatever shape."""
    if hasattr(document, "as_json"):
        document = document.as_json()
    elif is_dataclass(document) and not isinstance(document, type):
        document = asdict(document)
    if as_json:
        answer_json(document)
    elif isinstance(document, dict):
        answer_table(("", ""), list(document.items()))
    else:
        answer(str(document))


def _show_counts(counts: Any, as_json: bool) -> None:
    if as_json:
        answer_json(counts)
        return
    rows = [(table, reason, n) for table, found in counts.items() for reason, n in found.items()]
    if rows:
        answer_table(("table", "reason", "rows"), rows)
    else:
        answer("no rows are quarantined")


def _show_rows(table: str, rows: Any, as_json: bool) -> None:
    listed = list(rows)
    if as_json:
        answer_json({"table": table, "rows": listed})
    elif not listed:
        answer(f"no rows of {table} are quarantined")
    else:
        columns = list(listed[0])
        answer_table(columns, [[row[column] for column in columns] for row in listed], title=table)
