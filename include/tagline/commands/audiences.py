"""audiences: the saved ones, who entered and left them, and how they overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tagline.commands.console import (
    Context,
    Json,
    Reason,
    actor,
    answer,
    answer_fields,
    answer_json,
    answer_table,
    asked,
    deployment,
    now,
    shown,
)

if TYPE_CHECKING:
    from tagline.registry.schema import SavedAudience

app = typer.Typer(invoke_without_command=True)
Name = Annotated[str, typer.Argument(metavar="NAME")]


@app.callback()
def audiences(context: Context, as_json: Json = False) -> None:
    """List the saved audiences with their sizes in the live release, or act on one.

    In expressions, audience('NAME') stands for a saved one: "audience('a') and not
    audience('b')" is the difference of two, `and` the intersection, `or` the union.
    """
    from tagline.serve.saved import saved_audiences, sizes

    if context.invoked_subcommand is not None:
        return
    with deployment(context) as opened:
        live = opened.registry.live()
        counted = sizes(opened, live) if live else {}
        listed = [
            _summary(each) | _sized(counted.get(each.name))
            for each in saved_audiences(opened.registry)
        ]
    if as_json:
        answer_json({"release": live.id if live else None, "audiences": listed})
    elif not listed:
        answer('no audience is saved; save one with `tagline audiences save NAME "EXPRESSION"`')
    else:
        columns = ("audience", "name", "名称", "customers", "expression", "owner")
        keys = ("name", "name_en", "name_zh", "count", "expression", "owner")
        answer_table(columns, [[each[key] for key in keys] for each in listed])
        for each in listed:
            if each["refused"]:
                answer(f"{each['name']}: {each['refused']}")


@app.command()
def save(
    context: Context,
    name: Name,
    expression: str,
    name_en: Annotated[str | None, typer.Option("--name-en", help="Its English name.")] = None,
    name_zh: Annotated[str | None, typer.Option("--name-zh", help="Its Chinese name.")] = None,
    as_json: Json = False,
) -> None:
    """Save an audience by name, or a new version of it; every version is kept."""
    from tagline.serve.audiences import audience
    from tagline.serve.saved import NewAudience
    from tagline.serve.saved import save as keep

    with deployment(context) as opened:
        made = keep(opened, NewAudience(name, expression, actor(), name_en, name_zh), now())
        found = audience(opened, f"audience('{name}')")
    if as_json:
        answer_json(_summary(made) | {"count": found["count"], "release": found["release"]})
    else:
        answer(f"{name} is saved: {shown(found['count'])} customers in release {found['release']}")


@app.command()
def show(context: Context, name: Name, as_json: Json = False) -> None:
    """Show a saved audience: its size in the live release, the tags it reads, its versions."""
    from tagline.serve.saved import saved_audience, sizes, tags_read_by_saved, versions

    with deployment(context) as opened:
        found = saved_audience(opened.registry, name)
        live = opened.registry.live()
        document = _summary(found) | _sized(sizes(opened, live)[name] if live else None)
        document |= {
            "release": live.id if live else None,
            "reads": sorted(tags_read_by_saved(opened.registry)[name]),
            "versions": [_version(each) for each in versions(opened.registry, name)],
        }
    if as_json:
        answer_json(document)
        return
    answer_fields({key: value for key, value in document.items() if key != "versions"}, title=name)
    answer_table(
        ("saved at", "by", "expression", "reason"),
        [
            (each["created_at"], each["owner"], each["expression"] or "deleted", each["reason"])
            for each in document["versions"]
        ],
        title=f"{name}: versions",
    )


@app.command()
def changes(
    context: Context,
    name: Name,
    earlier: Annotated[
        int | None,
        typer.Option("--from", metavar="ID", help="A release; default the one before."),
    ] = None,
    later: Annotated[
        int | None, typer.Option("--to", metavar="ID", help="A release; default the live one.")
    ] = None,
    list_ids: Annotated[bool, typer.Option("--ids", help="List the customers.")] = False,
    as_json: Json = False,
) -> None:
    """Show who entered and left a saved audience between two releases."""
    from tagline.serve.membership import membership
    from tagline.serve.saved import saved_audience

    with deployment(context) as opened:
        saved_audience(opened.registry, name)
        found = membership(opened, f"audience('{name}')", earlier, later)
        days = [asked(opened.catalog, each.as_of) for each in (found.earlier, found.later)]
    document: dict[str, Any] = {
        "audience": name,
        "from": {"release": found.earlier.id, "as_of": found.earlier.as_of},
        "to": {"release": found.later.id, "as_of": found.later.as_of},
        "before": found.stayed + len(found.left),
        "after": found.stayed + len(found.entered),
        "entered": len(found.entered),
        "left": len(found.left),
        "stayed": found.stayed,
    }
    if list_ids:
        document |= {"entered_ids": found.entered, "left_ids": found.left}
    if as_json:
        answer_json(document)
        return
    if list_ids:
        lines = [f"entered {each}" for each in found.entered]
        lines += [f"left {each}" for each in found.left]
        answer("\n".join(lines) or "nobody entered or left")
        return
    answer(
        f"{name}: {shown(len(found.entered))} entered, {shown(len(found.left))} left, "
        f"{shown(found.stayed)} stayed, from release {found.earlier.id} as of {days[0]} "
        f"to release {found.later.id} as of {days[1]}"
    )


@app.command()
def delete(context: Context, name: Name, reason: Reason, as_json: Json = False) -> None:
    """Delete a saved audience; its versions are kept, with the reason."""
    from tagline.serve.saved import delete as remove

    with deployment(context) as opened:
        gone = remove(opened, name, reason, actor(), now())
    if as_json:
        answer_json(_version(gone) | {"name": name})
    else:
        answer(f"{name} is deleted; what it was stays in the registry")


@app.command()
def overlap(
    context: Context,
    named: Annotated[list[str], typer.Argument(metavar="NAME...")],
    as_json: Json = False,
) -> None:
    """Compare audiences, saved ones or expressions: customers in both, and their share of either.

    The share is the Jaccard index: customers in both / customers in either.
    """
    from tagline.serve.membership import overlap as compare

    with deployment(context) as opened:
        found = compare(opened, named)
        day = asked(opened.catalog, found["as_of"])
    if as_json:
        answer_json(found)
        return
    names = list(found["sizes"])
    cells = {(name, name): shown(size) for name, size in found["sizes"].items()}
    for pair in found["pairs"]:
        share = "" if pair["jaccard"] is None else f" ({pair['jaccard']:.1%})"
        cells[pair["a"], pair["b"]] = cells[pair["b"], pair["a"]] = shown(pair["both"]) + share
    rows = [(name, *(cells[name, other] for other in names)) for name in names]
    answer_table(("", *names), rows, title=f"release {found['release']} as of {day}")


def _summary(found: SavedAudience) -> dict[str, Any]:
    return {
        "name": found.name,
        "name_en": found.name_en,
        "name_zh": found.name_zh,
        "expression": found.expression,
        "owner": found.owner,
        "created_at": found.created_at,
    }


def _version(found: SavedAudience) -> dict[str, Any]:
    keys = ("expression", "owner", "created_at", "reason")
    return {key: getattr(found, key) for key in keys}


def _sized(size: int | str | None) -> dict[str, Any]:
    """The size of an audience, or why it has none."""
    refused = isinstance(size, str)
    return {"count": None if refused else size, "refused": size if refused else None}
