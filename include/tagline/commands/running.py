"""run: all stages for one as_of."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import uuid4

import typer

from tagline.commands.console import (
    Context,
    Json,
    answer_fields,
    answer_json,
    asked,
    deployment,
    instant,
    now,
)
from tagline.errors import CandidateHeld, NoData


def run(
    context: Context,
    as_of: Annotated[
        str, typer.Option("--as-of", metavar="DAY", help="A day (its midnight) or an instant.")
    ],
    run_id: Annotated[
        str | None, typer.Option("--run-id", help="Of a run to be repeated; new by default.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run all stages for one as_of: from the sources to a release.

    Exits 3 if the gate holds the candidate, 4 if the data does not reach the day.
    """
    from tagline.pipeline import run_day

    with deployment(context) as opened:
        at = instant(opened.catalog, as_of)
        name = run_id or f"cli-{uuid4().hex[:8]}"
        try:
            report: dict[str, Any] = run_day(opened, at, name, now).as_json()
        except NoData as error:
            if as_json:
                answer_json(
                    {
                        "as_of": at,
                        "run": name,
                        "status": "no_data",
                        "release": None,
                        "reason": str(error),
                    }
                )
            raise
    if as_json:
        answer_json(report)
    else:
        _show(report | {"as_of": asked(opened.catalog, at)})
    if report["gate"]["verdict"] == "hold":
        raise CandidateHeld(
            f"the gate holds release {report['release']}: {'; '.join(report['gate']['reasons'])}. "
            f"Fix and run again, or `tagline release {report['release']} --reason TEXT`."
        )


def _show(report: dict[str, Any]) -> None:
    gate, seconds = report["gate"], report["seconds"]
    fields = {key: value for key, value in report.items() if key not in ("gate", "seconds")}
    fields["gate"] = gate["verdict"]
    if gate["reasons"]:
        fields["reasons"] = "\n".join(gate["reasons"])
    fields |= {f"seconds {stage}": taken for stage, taken in seconds.items()}
    fields["seconds in all"] = sum(seconds.values())
    answer_fields(fields)
