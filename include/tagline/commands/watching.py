"""doctor and metrics: is everything well, and figures for a monitoring system."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tagline.commands.console import (
    Context,
    Json,
    answer,
    answer_json,
    answer_table,
    now,
    settings,
)
from tagline.errors import TaglineError, WrongUsage


def doctor(context: Context, as_json: Json = False) -> None:
    """Examine settings, definitions, packages, databases, lake and runs; say what to mend.

    It makes and mends nothing. Exits 1 if there is a fault.
    """
    from tagline.doctor import Level, examine, examine_packages
    from tagline.doctor.finding import fault

    findings = list(examine_packages())
    try:
        chosen = settings(context)
    except TaglineError as error:
        findings.append(fault("settings", str(error), "see docs/settings.md"))
    else:
        findings += examine(chosen, now())
    counted = {level.value: sum(f.level is level for f in findings) for level in Level}
    if as_json:
        answer_json({**counted, "findings": [asdict(found) for found in findings]})
    else:
        columns = ("", "where", "what", "fix")
        answer_table(columns, [(f.level, f.where, f.what, f.fix) for f in findings])
        answer(", ".join(f"{number} {level}" for level, number in counted.items()))
    if counted[Level.FAULT]:
        raise typer.Exit(1)


def metrics(
    context: Context,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Replace FILE instead, at once.")
    ] = None,
) -> None:
    """Print figures of the live release and the newest run as OpenMetrics text."""
    from tagline.metrics import metrics_text
    from tagline.registry import open_registry

    chosen = settings(context)
    registry = open_registry(chosen)
    try:
        text = metrics_text(registry, chosen.business, now())
    finally:
        registry.close()
    if to is None:
        answer(text.rstrip("\n"))
    else:
        _replace(to, text)


def _replace(file: Path, text: str) -> None:
    """Put the text in the place of the file; a reader sees the old or the new one, whole."""
    new = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        new.write_text(text, "utf-8")
        new.replace(file)
    except OSError as error:
        raise WrongUsage(f"{file} cannot be written: {error.strerror}") from error
