"""The command line: does by hand whatever Airflow does by schedule."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from tagline import __version__
from tagline.commands import (
    audiences,
    definitions,
    keeping,
    labels,
    models,
    planning,
    previewing,
    quarantined,
    releases,
    resolving,
    running,
    schemas,
    serving,
    watching,
)
from tagline.commands.console import quiet_stdout
from tagline.errors import DefinitionError, TaglineError
from tagline.logs import to_stderr
from tagline.settings import log_format

log = logging.getLogger(__name__)
app = typer.Typer(
    name="tagline",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    definitions.check,
    running.run,
    definitions.tags,
    definitions.tag,
    serving.profile,
    serving.audience,
    serving.similar,
    serving.export,
    releases.releases,
    releases.rollback,
    releases.release,
    planning.plan,
    previewing.preview,
    definitions.sql,
    schemas.schema,
    models.train,
    quarantined.quarantine,
    watching.doctor,
    watching.metrics,
    keeping.backup,
    keeping.restore,
):
    app.command()(command)
app.add_typer(audiences.app, name="audiences")
app.add_typer(resolving.app, name="identity")
app.add_typer(labels.app, name="labels")
app.add_typer(models.app, name="models")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    business: Annotated[
        str | None,
        typer.Option("--business", help="The business to serve; default TAGLINE_BUSINESS."),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log progress to stderr.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Customer tags: defined as files, computed as of an instant, released atomically.

    Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 held by the gate, 4 no data.
    """
    form = log_format()
    to_stderr(form, logging.INFO if verbose or form == "json" else logging.WARNING)
    context.obj = business


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit; an expected failure is a message on stderr, not a traceback."""
    try:
        with quiet_stdout():
            app(args=arguments)
    except TaglineError as error:
        if log_format() == "json":
            log.error("%s", error, extra={"error": type(error).__name__})
        else:
            print(_message(error), file=sys.stderr)  # noqa: T201 - the answer to a person
        sys.exit(error.exit_code)
    except Exception as error:
        told = _explanation(error)
        if told is None:
            raise
        print(_message(told), file=sys.stderr)  # noqa: T201
        sys.exit(told.exit_code)
    except KeyboardInterrupt:
        print("tagline: interrupted", file=sys.stderr)  # noqa: T201
        sys.exit(130)
    sys.exit(0)


def _explanation(error: Exception) -> TaglineError | None:
    """The same error as one to be told to a person, if the machines are its reason."""
    from tagline.outages import explanation
    from tagline.settings import Settings

    return explanation(error, Settings())


def _message(error: TaglineError) -> str:
    if isinstance(error, DefinitionError):
        count = len(error.faults)
        return f"{error}\ntagline: {count} fault{'s' if count > 1 else ''} in the definitions"
    return f"tagline: {error}"


if __name__ == "__main__":
    main()
