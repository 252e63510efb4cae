"""What all commands share: their options, their one document on stdout, tables on a terminal."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from tagline.errors import WrongUsage
from tagline.settings import Settings

if TYPE_CHECKING:
    from tagline.catalog import Catalog
    from tagline.deployment import Deployment
    from tagline.subjects import Subject

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
AsOf = Annotated[
    str | None,
    typer.Option("--as-of", metavar="DAY", help="A day (its midnight) or an instant."),
]
SubjectName = Annotated[
    str, typer.Option("--subject", help="What the tags are about: customer, machine, opportunity.")
]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept with the step.")]
Context = typer.Context


def settings(context: Context) -> Settings:
    """The settings of this call, with the business that `--business` names."""
    from pydantic import ValidationError

    business: str | None = context.obj
    try:
        return Settings() if business is None else Settings(business=business)
    except ValidationError as error:
        faults = "; ".join(
            f"TAGLINE_{'_'.join(map(str, fault['loc'])).upper()}: {fault['msg']}"
            for fault in error.errors()
        )
        raise WrongUsage(f"settings: {faults}") from error


def open_catalog(context: Context) -> Catalog:
    """The definitions alone, without any database."""
    from tagline.catalog import load_catalog

    chosen = settings(context)
    return load_catalog(chosen.definitions, chosen.business)


@contextmanager
def deployment(context: Context) -> Iterator[Deployment]:
    """The deployment of this call."""
    from tagline.deployment import open_deployment

    with open_deployment(settings(context)) as opened:
        yield opened


def subject_named(name: str) -> Subject:
    """The subject that an option names."""
    from tagline.errors import did_you_mean
    from tagline.subjects import SUBJECTS

    if name not in SUBJECTS:
        known = ", ".join(SUBJECTS)
        raise WrongUsage(f"--subject {name!r} is none of {known}.{did_you_mean(name, SUBJECTS)}")
    return SUBJECTS[name]


def now() -> datetime:
    """The wall clock, which only the edges of the program read."""
    return datetime.now(UTC)


def instant(catalog: Catalog, text: str) -> datetime:
    """A day as the midnight of that business day, or an instant with or without an offset."""
    try:
        return catalog.midnight(date.fromisoformat(text))
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise WrongUsage(
            f"--as-of {text!r} is neither a day such as 2017-12-01 nor an instant such as "
            "2017-12-01T06:00:00+00:00"
        ) from error
    return (found if found.tzinfo else found.replace(tzinfo=catalog.zone)).astimezone(UTC)


def asked(catalog: Catalog, at: datetime | str) -> str:
    """An instant as `--as-of` takes it: a business day where it is the midnight of one."""
    at = datetime.fromisoformat(at) if isinstance(at, str) else at
    day = catalog.day(at)
    return day.isoformat() if catalog.midnight(day) == at else at.isoformat()


def optional_instant(catalog: Catalog, text: str | None) -> datetime | None:
    """Like `instant`, None where nothing was asked for."""
    return None if text is None else instant(catalog, text)


def actor() -> str:
    """Who gives the command, by the name of the system's user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


# Output

_stdout: list[TextIO] = []  # the real one while a command runs


@contextmanager
def quiet_stdout() -> Iterator[None]:
    """Keep stdout for the command's answer: whatever libraries print goes to stderr."""
    _stdout.append(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _stdout.pop()


def answer(text: str) -> None:
    """Print the command's answer, or a part of it, on the real stdout."""
    stream = _stdout[-1] if _stdout else sys.stdout
    stream.write(text + "\n")
    stream.flush()


def answer_json(document: Any) -> None:
    """Print the one JSON document of a command."""
    from tagline.registry.store import plain

    answer(json.dumps(plain(document), ensure_ascii=False, indent=2, allow_nan=False))


def answer_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str = "") -> None:
    """Print rows as a table; a value is shown as a person writes it."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_header=any(columns), pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(shown(value)) for value in row))
    stream = _stdout[-1] if _stdout else sys.stdout
    console = Console(file=stream, highlight=False)
    if not stream.isatty():
        console.width = 160  # a pipe has no width of its own
    if title:
        console.print(Text(title, style="bold"))
    console.print(table)


def answer_fields(fields: Mapping[str, Any], title: str = "") -> None:
    """Print names and values, one to a line."""
    answer_table(("", ""), list(fields.items()), title)


def shown(value: Any) -> str:
    """A value as a table shows it.

    >>> [shown(v) for v in (None, 1234567, 0.12345, ["a", "b"], {"x": 1}, True)]
    ['', '1,234,567', '0.123', 'a, b', 'x: 1', 'yes']
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="minutes").removesuffix("+00:00")
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {shown(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(shown(item) for item in value)
    return str(value)
