"""backup and restore."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tagline.commands.console import (
    Context,
    Json,
    answer,
    answer_fields,
    answer_json,
    now,
    settings,
)

if TYPE_CHECKING:
    from tagline.backup import Manifest

_IN_STORE = (
    "The lake's files are not in the backup: the object store of {lake} keeps them. Use its "
    "versioning or replication."
)


def backup(
    context: Context,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder.")],
    as_json: Json = False,
) -> None:
    """Write databases and files to a new FOLDER; a run may go on meanwhile."""
    from tagline.backup import back_up

    _tell(back_up(settings(context), folder, now()), as_json)


def restore(
    context: Context,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What `backup` has written.")],
    as_json: Json = False,
) -> None:
    """Bring back a backup, into an empty home and empty databases only."""
    from tagline.backup import restore as bring_back

    _tell(bring_back(settings(context), folder), as_json)
    if not as_json:
        answer("Restored. See `tagline doctor`, then `tagline releases`.")


def _tell(made: Manifest, as_json: bool) -> None:
    if as_json:
        answer_json(asdict(made))
        return
    answer_fields(asdict(made))
    if not made.has_lake:
        answer(_IN_STORE.format(lake=made.lake))
