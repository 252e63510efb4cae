"""Runs and readers of a deployment in child processes, which may be killed at any instant.

The children come from a server process that has imported everything and opened nothing, so that
a run starts at once.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tests.system.small_grocer import LOADED_AT

from tagline.deployment import Deployment, open_deployment
from tagline.pipeline import STAGES, run_day
from tagline.serve.audiences import ids
from tagline.serve.exports import export
from tagline.serve.profiles import ProfileReader
from tagline.serve.store import open_profile_store
from tagline.settings import Settings

IMPORTED = (
    "psycopg2",
    "pyiceberg.io.pyarrow",
    "tagline.audit",
    "tagline.clean",
    "tagline.compute",
    "tagline.extract",
    "tagline.gate",
    "tagline.lake",
    "tagline.pipeline",
    "tagline.quality.profiles",
    "tagline.quality.tables",
    "tagline.registry",
    "tagline.release",
    "tagline.training.score",
    "tests.system.loaded_expectations",
)
FAILED = 3  # exit code of a run that was refused or failed, with the reason
CRASHED = 1  # exit code of a run that ended in any other error


def children() -> ForkServerContext:
    """A context whose processes start with everything imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*IMPORTED, __name__])
    forkserver.ensure_running()  # it imports while the caller goes on
    return context


@dataclass
class RunInChild:
    """A daily run in a process of its own; `stages_begun` grows with each stage."""

    process: BaseProcess
    begun: Any
    said: Path

    @property
    def stage(self) -> str | None:
        """The stage that was begun last; None before the first."""
        return STAGES[min(self.begun.value, len(STAGES)) - 1] if self.begun.value > 0 else None

    def wait_for(self, stage: str) -> None:
        """Return as soon as the stage has begun, or the run has ended."""
        number = STAGES.index(stage) + 1
        while self.begun.value < number and self.process.is_alive():
            time.sleep(0.0005)

    def kill(self) -> bool:
        """SIGKILL; whether it hit the run before its end."""
        self.process.kill()
        self.process.join()
        return self.process.exitcode == -9

    def end(self) -> tuple[int | None, str]:
        """Wait for the end; the exit code and what the error said."""
        self.process.join()
        return self.process.exitcode, self.said.read_text() if self.said.exists() else ""


def start_run(
    context: ForkServerContext, settings: Settings, as_of: datetime, run_id: str
) -> RunInChild:
    """Start a daily run in a child."""
    begun = context.Value("i", -1)
    said = Path(str(settings.home_path.parent)) / f"{run_id}.error"
    process = context.Process(target=_run, args=(settings, as_of, run_id, begun, str(said)))
    process.start()
    return RunInChild(process, begun, said)


def _run(settings: Settings, as_of: datetime, run_id: str, begun: Any, said: str) -> None:
    from tagline.errors import TaglineError

    def clock() -> datetime:
        begun.value += 1  # a run looks at the clock at its start, then at the start of each stage
        return LOADED_AT

    try:
        with open_deployment(settings) as deployment:
            run_day(deployment, as_of, run_id, clock)
    except TaglineError as error:
        Path(said).write_text(f"{type(error).__name__}: {error}")
        raise SystemExit(FAILED) from None
    except BaseException:
        Path(said).write_text(traceback.format_exc())
        raise SystemExit(CRASHED) from None


@dataclass(frozen=True)
class Answers:
    """What a reader was told: how often per kind of question, and each different answer once.

    An answer is (kind, as_of, customer or condition, digest). `steps` are the as_of instants in the
    order in which the live release was seen to change.
    """

    counts: dict[str, int]
    answers: set[tuple[str, str, str, str]]
    steps: list[str]
    faults: list[str]


@dataclass
class ReaderInChild:
    """A process that reads what is live, all the time."""

    process: BaseProcess
    is_over: Any
    told: Path

    def stop(self) -> Answers:
        """Stop reading; all that was told."""
        self.is_over.set()
        self.process.join()
        assert self.process.exitcode == 0, self.process.exitcode
        found = json.loads(self.told.read_text())
        answers = {(row[0], row[1], row[2], row[3]) for row in found["answers"]}
        return Answers(found["counts"], answers, found["steps"], found["faults"])


def start_reader(
    context: ForkServerContext, settings: Settings, customers: Sequence[str], pause: float = 0.01
) -> ReaderInChild:
    """Start a reader of profiles, audiences and exports of the live release."""
    is_over = context.Event()
    told = settings.home_path.parent / "told.json"
    process = context.Process(
        target=_read, args=(settings, list(customers), pause, is_over, str(told))
    )
    process.start()
    return ReaderInChild(process, is_over, told)


def _read(settings: Settings, customers: list[str], pause: float, is_over: Any, told: str) -> None:
    counts: Counter[str] = Counter()
    answers: set[tuple[str, str, str, str]] = set()
    steps: list[str] = []
    faults: list[str] = []
    with open_deployment(settings) as deployment, open_profile_store(settings) as store:
        reader = ProfileReader(deployment, store)
        while not is_over.is_set():
            number = counts.total()
            customer = customers[number % len(customers)]
            kind = "export" if number % 50 == 49 else "audience" if number % 10 == 9 else "profile"
            try:
                answer = read_once(deployment, reader, kind, customer)
            except Exception:
                faults.append(traceback.format_exc())
            else:
                answers.add(answer)
                if not steps or steps[-1] != answer[1]:
                    steps.append(answer[1])
            counts[kind] += 1
            time.sleep(pause)
    document = {
        "counts": counts,
        "answers": sorted(answers),
        "steps": steps,
        "faults": faults[:10],
    }
    Path(told).write_text(json.dumps(document))


AUDIENCE = "order_amount_90d > 200 and not is_dormant"


def read_once(
    deployment: Deployment,
    reader: ProfileReader,
    kind: str,
    customer: str,
    as_of: datetime | None = None,
) -> tuple[str, str, str, str]:
    """Ask one question of the live release, or of that of an as_of."""
    if kind == "profile":
        found = reader.profile(customer, as_of, LOADED_AT)
        return kind, found["as_of"], customer, digest(found["tags"])
    if kind == "audience":
        # the as_of that an audience is of is not told with its customers: look before and after
        before = _live(deployment, as_of)
        found_ids = ids(deployment, AUDIENCE, as_of)
        same = before if before == _live(deployment, as_of) else ""
        return kind, same or before, "" if same else "changing", digest(found_ids)
    path = str(deployment.settings.home_path.parent / f"read-{deployment.catalog.business}.parquet")
    export(deployment, path, as_of)
    return kind, *export_digest(path)


def _live(deployment: Deployment, as_of: datetime | None) -> str:
    found = deployment.registry.live() if as_of is None else deployment.registry.release_at(as_of)
    assert found is not None
    return found.as_of.isoformat()


def export_digest(path: str) -> tuple[str, str, str]:
    """The as_of of an export (all of them, if it were mixed), nothing, and what it holds."""
    import pyarrow.parquet as parquet

    rows = parquet.read_table(path).to_pylist()
    instants = sorted({row["as_of"].isoformat() for row in rows})
    return " ".join(instants), "", digest(rows)


def digest(value: object) -> str:
    """A short digest of any plain value."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:24]
