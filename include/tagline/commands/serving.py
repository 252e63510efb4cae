"""profile, audience and export: reading released tags."""

from __future__ import annotations

from typing import Annotated

import typer

from tagline.commands.console import (
    AsOf,
    Context,
    Json,
    SubjectName,
    answer,
    answer_json,
    answer_table,
    asked,
    deployment,
    now,
    optional_instant,
    shown,
    subject_named,
)
from tagline.errors import WrongUsage


def profile(
    context: Context,
    customer: str,
    as_of: AsOf = None,
    subject: SubjectName = "customer",
    as_json: Json = False,
) -> None:
    """Show every released tag of a customer, with version, age and reason."""
    from tagline.serve.profiles import profile as read

    about = subject_named(subject)
    with deployment(context) as opened:
        at = optional_instant(opened.catalog, as_of)
        found = read(opened, customer, at, now(), about)
    if as_json:
        answer_json(found)
        return
    day = asked(opened.catalog, found["as_of"])
    rows = [
        (slug, tag["value"], "expired" if tag["expired"] else "", tag["because"], tag["version"])
        for slug, tag in found["tags"].items()
    ]
    answer_table(
        ("tag", "value", "age", "because", "version"),
        rows,
        title=f"{about.name} {customer}, release {found['release']} as of {day}",
    )


def audience(
    context: Context,
    expression: str,
    as_of: AsOf = None,
    list_ids: Annotated[bool, typer.Option("--ids", help="List the customers.")] = False,
    target: Annotated[
        str | None,
        typer.Option("--export", metavar="FILE", help="Write their tags to a Parquet file."),
    ] = None,
    subject: SubjectName = "customer",
    as_json: Json = False,
) -> None:
    """Count the customers for whom a condition over tags is true."""
    from tagline.serve import audiences

    if list_ids and target is not None:
        raise WrongUsage("choose one of --ids and --export")
    about = subject_named(subject)
    with deployment(context) as opened:
        at = optional_instant(opened.catalog, as_of)
        found = audiences.audience(opened, expression, at, about)
        if list_ids:
            found["ids"] = audiences.ids(opened, expression, at, about)
        if target is not None:
            found["exported"] = target
            audiences.export_audience(opened, expression, target, at, about)
    if as_json:
        answer_json(found)
    elif list_ids:
        answer("\n".join(found["ids"]))
    else:
        where = f", written to {target}" if target else ""
        answer(
            f"{shown(found['count'])} {about.table} in release {found['release']} as of "
            f"{asked(opened.catalog, found['as_of'])} ({found['milliseconds']} ms){where}"
        )


def export(
    context: Context,
    file: Annotated[str, typer.Argument(metavar="FILE.parquet")],
    as_of: AsOf = None,
    subject: SubjectName = "customer",
    as_json: Json = False,
) -> None:
    """Write the released wide table to a Parquet file, a row per customer."""
    from tagline.serve.exports import export as write

    about = subject_named(subject)
    with deployment(context) as opened:
        rows = write(opened, file, optional_instant(opened.catalog, as_of), about)
    if as_json:
        answer_json({"file": file, about.table: rows})
    else:
        answer(f"{shown(rows)} {about.table} written to {file}")
