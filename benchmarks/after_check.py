"""The stages after the check, in one process: what a day costs once its rows are clean.

`python -m benchmarks.after_check DAY` reads the settings from the environment, as Airflow's tasks
do, and logs each stage.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import date
from uuid import uuid4

from benchmarks.results import clock
from tagline.deployment import open_deployment
from tagline.logs import to_stderr
from tagline.pipeline import STAGES, run_stage

AFTER_CHECK = STAGES[STAGES.index("check") + 1 :]


def main(day: str) -> None:
    """Compute, score, audit, judge and release the tags of a day; print the release."""
    to_stderr("json", logging.INFO)
    with open_deployment() as deployment:
        as_of = deployment.catalog.midnight(date.fromisoformat(day))
        run_id = f"benchmark-{uuid4().hex[:8]}"
        deployment.registry.start_run(run_id, as_of, clock())
        for stage in AFTER_CHECK:
            made = run_stage(deployment, stage, run_id, as_of, clock())
        score = deployment.registry.stage(run_id, "score")
        print(json.dumps({"status": made.status, "path": score["path"]}))


if __name__ == "__main__":
    main(sys.argv[1])
