"""Settings, definitions and disk: what a deployment needs before there is any state."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from tagline.catalog import Catalog, load_catalog
from tagline.doctor.finding import Finding, fault, ok, warning
from tagline.errors import DefinitionError, TaglineError
from tagline.settings import Settings

GIGABYTE = 1_000_000_000
TOO_FULL, NEARLY_FULL = 1 * GIGABYTE, 5 * GIGABYTE  # of free space
_LOCAL = {"", "localhost", "127.0.0.1", "::1"}


def check_definitions(settings: Settings) -> tuple[Catalog | None, list[Finding]]:
    """The catalog where it is good, with a fault for each fault of a definition file."""
    try:
        catalog = load_catalog(settings.definitions, settings.business)
    except DefinitionError as error:
        fix = "correct the file, then `tagline check`"
        return None, [fault(f"{f.path}:{f.line}", f.message, fix) for f in error.faults]
    except TaglineError as error:
        return None, [fault("definitions", str(error), "see TAGLINE_DEFINITIONS, TAGLINE_BUSINESS")]
    lacking = f", {len(catalog.unavailable)} unavailable" if catalog.unavailable else ""
    said = f"{len(catalog.tags)} tags over {len(catalog.tables)} tables{lacking}"
    return catalog, [ok("definitions", f"{catalog.business}: {said}")]


def check_salt(settings: Settings, catalog: Catalog) -> Finding:
    """Whether direct personal data would be hashed with the salt that everybody knows."""
    where = "TAGLINE_HASH_SALT"
    direct = [
        f"{table}.{name}"
        for table, definition in catalog.tables.items()
        for name, column in definition.columns.items()
        if column.pii == "direct"
    ]
    if settings.hash_salt != Settings.model_fields["hash_salt"].default:
        return ok(where, "a salt of your own")
    if not direct:
        return ok(where, "the default, but no column holds direct personal data")
    return fault(
        where,
        f"the default, which everybody knows, hashes {', '.join(direct)}",
        "set a secret salt and load into an empty lake: values hashed before stay as they are",
    )


def check_database_url(settings: Settings) -> Iterator[Finding]:
    """Whether a server by URL is asked for a password."""
    where = "TAGLINE_DATABASE_URL"
    if settings.database_url is None:
        yield ok(where, "none: the embedded PostgreSQL in the home")
        return
    try:
        url = make_url(settings.database_url)
    except ArgumentError:
        fix = "write postgresql://user:password@host:5432/"
        yield fault(where, "is not a URL", fix)
        return
    host = url.host or str(url.query.get("host", ""))
    if host in _LOCAL or host.startswith("/"):
        yield ok(where, "a server on this machine")
    elif url.password is None and "passfile" not in url.query and "PGPASSWORD" not in os.environ:
        yield warning(
            where,
            f"no password for {url.username or 'the user'} at {host}",
            "give the role a password and write it in the URL, or name a passfile",
        )
    else:
        yield ok(where, f"{url.username or 'the user'} at {host}, with a password")


def check_folder(where: str, folder: Path) -> Iterator[Finding]:
    """Whether a folder can be written to and has space; one that is not there yet is no fault."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        yield fault(where, f"{there} is a file", "move it, or name another folder")
        return
    if not os.access(there, os.W_OK | os.X_OK):
        yield fault(
            where,
            f"{there} cannot be written to",
            "give this user the right, or mount it for writing",
        )
        return
    free = shutil.disk_usage(there).free
    said = f"{folder}, {free / GIGABYTE:,.1f} GB free"
    if there != folder:
        said += ", made by the first run"
    if free < TOO_FULL:
        yield fault(where, said, "make space: see docs/operations.md, When the disk is full")
    elif free < NEARLY_FULL:
        yield warning(where, said, "make space, or move the home to a larger disk")
    else:
        yield ok(where, said)
