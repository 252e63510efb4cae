"""releases, rollback and release: the life of releases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tagline.commands.console import (
    Context,
    Json,
    Reason,
    actor,
    answer,
    answer_json,
    answer_table,
    asked,
    deployment,
    now,
)

if TYPE_CHECKING:
    from tagline.registry.schema import Release


def releases(context: Context, as_json: Json = False) -> None:
    """List all releases, the newest day first."""
    from tagline.outdated import outdated

    with deployment(context) as opened:
        live = opened.registry.live()
        touched = {each.release: each.touched_at.isoformat() for each in outdated(opened)}
        listed = [
            _summary(found, live) | {"outdated_from": touched.get(found.id)}
            for found in opened.registry.releases()
        ]
    if as_json:
        answer_json({"live": live.id if live else None, "releases": listed})
        return
    if not listed:
        answer("nothing is released yet; make a release with `tagline run --as-of YYYY-MM-DD`")
        return
    rows = [
        (
            str(each["release"]),
            asked(opened.catalog, each["as_of"]),
            "live" if each["live"] else each["status"],
            each["customers"],
            each["tags"]["current"],
            each["tags"]["withheld"],
            each["verdict"],
            each["created_at"],
            each["run"],
        )
        for each in listed
    ]
    columns = ("release", "as of", "status", "customers", "tags", "withheld", "gate", "made", "run")
    answer_table(columns, rows)
    late = sorted(asked(opened.catalog, each["as_of"]) for each in listed if each["outdated_from"])
    if late:
        answer(f"touched by what came later, run again to renew: {', '.join(late)}")


def rollback(
    context: Context,
    reason: Reason,
    to: Annotated[
        int | None, typer.Option("--to", metavar="ID", help="Withdraw all releases after this.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Withdraw the live release; the one it superseded, or the earlier day, is live again."""
    from tagline.release import rollback as roll_back

    with deployment(context) as opened:
        before = opened.registry.live()
        now_live = roll_back(opened, reason, actor(), now(), to)
    if as_json:
        withdrawn = before.id if before else None
        answer_json({"withdrawn": withdrawn, "live": now_live.id, "as_of": now_live.as_of})
    else:
        answer(f"release {now_live.id} as of {asked(opened.catalog, now_live.as_of)} is live")


def release(
    context: Context,
    release_id: Annotated[int, typer.Argument(metavar="ID")],
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Release a candidate that the gate held, or one that was withdrawn."""
    from tagline.release import activate

    with deployment(context) as opened:
        found = activate(opened, release_id, reason, actor(), now())
        live = opened.registry.live()
    live_id = live.id if live else None
    if as_json:
        answer_json({"release": found.id, "as_of": found.as_of, "live": live_id})
    else:
        day = asked(opened.catalog, found.as_of)
        answer(f"release {found.id} as of {day} is active; live is {live_id}")


def _summary(found: Release, live: Release | None) -> dict[str, Any]:
    states = [entry["state"] for entry in found.tags.values()]
    return {
        "release": found.id,
        "as_of": found.as_of,
        "status": found.status,
        "live": live is not None and live.id == found.id,
        "customers": found.customers,
        "tags": {each: states.count(each) for each in ("current", "withheld", "unavailable")},
        "verdict": found.gate.get("verdict"),
        "created_at": found.created_at,
        "run": found.run_id,
        "supersedes": found.supersedes_id,
    }
