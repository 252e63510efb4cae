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


def similar(
    context: Context,
    expression: str,
    count: Annotated[int, typer.Option("--count", min=1, help="How many to find.")] = 100,
    by: Annotated[
        str | None,
        typer.Option(
            "--by", metavar="TAG,...", help="Compare by these tags; default all numbers and flags."
        ),
    ] = None,
    as_of: AsOf = None,
    list_ids: Annotated[bool, typer.Option("--ids", help="List only the customers.")] = False,
    as_json: Json = False,
) -> None:
    """Find the customers most like those for whom a condition over tags is true.

    A similarity of 50% means: as near to the audience as its members are to each other.
    """
    from tagline.training.look_alikes import similar as find

    chosen = tuple(name.strip() for name in by.split(",")) if by is not None else ()
    with deployment(context) as opened:
        found = find(opened, expression, count, optional_instant(opened.catalog, as_of), chosen)
        day = asked(opened.catalog, found["as_of"])
    if as_json:
        answer_json(found)
    elif list_ids:
        answer("\n".join(each["customer_id"] for each in found["customers"]))
    else:
        answer_table(
            ("customer", "similarity"),
            [(each["customer_id"], f"{each['similarity']:.0%}") for each in found["customers"]],
            title=f"like the {shown(found['seeds'])} of {expression}, release {found['release']} "
            f"as of {day}",
        )
        answer_table(
            ("tag", "audience", "found", "everyone"),
            [
                (each["tag"], *(_mean(each[group]) for group in ("seeds", "found", "everyone")))
                for each in found["traits"]
            ],
            title="what sets the audience apart (means)",
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


def _mean(value: float | None) -> str:
    return "" if value is None else f"{value:,.4g}"
