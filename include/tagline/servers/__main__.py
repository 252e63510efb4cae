"""`python -m tagline.servers` with `up` and `demo` (make calls them) or `prepare` (production)."""

from __future__ import annotations

import argparse
import sys

from rich.console import Console

from tagline.errors import TaglineError
from tagline.servers import summary
from tagline.servers.demo import demo, talker
from tagline.servers.prepare import prepare
from tagline.servers.stack import running
from tagline.servers.supervise import interruptible
from tagline.settings import Settings


def main(arguments: list[str] | None = None) -> int:
    """Start the servers, and for `demo` tell its story, or prepare them; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tagline.servers", description=__doc__)
    parser.add_argument("what", choices=["up", "demo", "prepare"])
    parser.add_argument("--once", action="store_true", help="stop after the demo's summary")
    chosen = parser.parse_args(arguments)
    console = Console()
    settings = Settings()
    try:
        with interruptible():
            if chosen.what == "demo":
                demo(settings, console, once=chosen.once)
            elif chosen.what == "prepare":
                prepare(settings, talker(console))
            else:
                up(settings, console)
    except KeyboardInterrupt:
        return 1 if chosen.once else 0
    except TaglineError as error:
        Console(stderr=True, soft_wrap=True).print(str(error), markup=False, highlight=False)
        return error.exit_code
    return 0


def up(settings: Settings, console: Console) -> None:
    """Start the servers and keep them until interrupted."""
    with running(settings, talker(console)) as stack:
        summary.show_links(console, stack.airflow, stack.mlflow_url, settings)
        console.print("Ctrl-C stops the servers.")
        stack.stay()


if __name__ == "__main__":
    sys.exit(main())
