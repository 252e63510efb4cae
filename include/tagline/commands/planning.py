"""plan: the effect of changed definitions, before they are released."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from tagline.commands.console import (
    AsOf,
    Context,
    Json,
    answer,
    answer_json,
    answer_table,
    asked,
    deployment,
    optional_instant,
    shown,
)
from tagline.errors import WrongUsage
from tagline.subjects import SUBJECTS


def plan(
    context: Context,
    as_of: AsOf = None,
    ids: Annotated[
        str | None,
        typer.Option("--ids", metavar="TAG", help="List the customers whose value differs."),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--export", metavar="FILE", help="Write every difference to a Parquet file."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what the definitions of today would change in the live release; writes nothing.

    For each changed, new or removed tag: the customers who gain, lose or change its value, what
    is made of it, and what computing it costs.
    """
    from tagline.plan import planned

    if ids is not None and target is not None:
        raise WrongUsage("choose one of --ids and --export")
    with (
        deployment(context) as opened,
        planned(opened, optional_instant(opened.catalog, as_of)) as found,
    ):
        if ids is not None:
            listed = found.ids(ids)
            if as_json:
                answer_json({"tag": ids, "count": len(listed), "ids": listed})
            else:
                answer("\n".join(listed) or f"no customer's value of {ids} differs")
            return
        rows = found.export(target) if target is not None else None
        document = found.as_json()
        day = asked(opened.catalog, document["as_of"])
    if target is not None:
        document |= {"exported": target, "rows": rows}
    if as_json:
        answer_json(document)
    else:
        _show(document, day)


def _show(document: Mapping[str, Any], day: str) -> None:
    against = f"release {document['release']} as of {day}"
    if document["tables_to_clean_again"]:
        tables = ", ".join(document["tables_to_clean_again"])
        answer(
            f"the next run cleans {tables} again, by a changed definition; this plan is of the "
            "rows as they are"
        )
    if document["outdated_from"] and not document["same"]:
        answer(f"rows came after {against} was made; what follows holds their effect too")
    if document["same"]:
        answer(f"nothing changed: every tag means what it means in {against}")
        return
    answer_table(
        ("tag", "", "why", "gain", "lose", "change", "share", "version"),
        [_line(tag) for tag in document["tags"]],
        title=f"against {against}",
    )
    for tag in document["tags"]:
        _show_tag(tag)
    seconds = document["seconds"]
    steps = ", ".join(f"{name} {seconds[name]}" for name in seconds if name not in NOT_STEPS)
    answer(
        f"computed {len(document['computed'])} tags, took {len(document['taken_from_release'])} "
        f"from the release; {seconds['total']} seconds ({steps})"
    )
    if seconds["compute_of_the_release"] is not None:
        answer(f"computing every tag took the release {seconds['compute_of_the_release']} seconds")
    if "exported" in document:
        answer(f"{shown(document['rows'])} differences written to {document['exported']}")


NOT_STEPS = ("total", "compute_of_the_release")


def _line(tag: Mapping[str, Any]) -> tuple[Any, ...]:
    customers = tag["customers"]
    old, new = tag["version_before"], tag["version"]
    versions = new or old if old == new or not (old and new) else f"{old} → {new}"
    why = [*tag["why"], *(["unavailable: " + tag["unavailable"]] if tag["unavailable"] else [])]
    share = f"{tag['shares']['differ']:.2%}"
    return (
        tag["tag"], tag["how"], "; ".join(why), customers["gains"], customers["loses"],
        customers["changes"], share, versions,
    )  # fmt: skip


def _show_tag(tag: Mapping[str, Any]) -> None:
    below = tag["downstream"]
    models = [
        model["model"] + (" (needs training)" if model["needs_training"] else "")
        for model in below["models"]
    ]
    for name, listed in (
        ("tags", below["tags"]),
        ("models", models),
        ("audiences", below["audiences"]),
    ):
        if listed:
            answer(f"{tag['tag']}: {name} made of it: {', '.join(listed)}")
    if tag["moves"]:
        answer_table(
            ("before", "after", SUBJECTS[tag["subject"]].table),
            [(_value(m["before"]), _value(m["after"]), m["customers"]) for m in tag["moves"]],
            title=f"{tag['tag']}: moves",
        )
    if tag["examples"]:
        answer_table(
            (tag["subject"], "before", "after", "because"),
            [
                (
                    each[SUBJECTS[tag["subject"]].key],
                    _value(each["before"]),
                    _value(each["after"]),
                    each.get("because"),
                )
                for each in tag["examples"]
            ],
            title=f"{tag['tag']}: examples",
        )


def _value(value: Any) -> str:
    return "no value" if value is None else shown(value)
