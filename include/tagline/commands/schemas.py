"""schema: the shapes of definition files as JSON Schema, and the reference made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tagline.commands.console import Context, answer
from tagline.errors import UnknownName, WrongUsage


def schema(
    context: Context,
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="[KIND]",
            help="tag, theme, table, source, vocabulary, model, label_set, business or standards.",
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--write", metavar="FOLDER", help="Write the schemas of all kinds."),
    ] = None,
    docs: Annotated[
        bool, typer.Option("--docs", help="Print the reference of the tag language, docs/tags.md.")
    ] = False,
) -> None:
    """Print the JSON Schema of a kind of definition file, for editors."""
    from tagline.schemas import SHAPES, schema_file, schema_of

    if sum((kind is not None, folder is not None, docs)) != 1:
        raise WrongUsage("write one of: tagline schema tag, --write FOLDER, --docs")
    if docs:
        from tagline.commands.console import open_catalog
        from tagline.schemas.reference import reference

        answer(reference(open_catalog(context)).rstrip("\n"))
    elif folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for each in SHAPES:
            (folder / schema_file(each)).write_text(_text(schema_of(each)) + "\n", "utf-8")
        answer(f"{len(SHAPES)} schemas written to {folder}")
    else:
        if kind is None or kind not in SHAPES:
            raise UnknownName("kind of file", str(kind), SHAPES)
        answer(_text(schema_of(kind)))


def _text(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, indent=2)
