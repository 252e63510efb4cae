"""The demo's story: load a real shop's history, train its model, release days, show the result."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

from rich.console import Console

from tagline.catalog import Catalog, load_catalog
from tagline.errors import TaglineError
from tagline.registry import Registry, open_registry
from tagline.servers import summary
from tagline.servers.airflow_api import FINISHED
from tagline.servers.demo_source import prepare_source
from tagline.servers.stack import Say, Stack, running
from tagline.settings import Settings

_ACTIVE = 2  # days that the backfill runs at the same time


class DemoFailed(TaglineError):
    """A run of the demo failed; the message names the task and its log."""


def demo(settings: Settings, console: Console, *, once: bool) -> None:
    """Run the business's demo; unless `once`, the servers stay up until interrupted."""
    catalog = load_catalog(settings.definitions, settings.business)
    plan = catalog.definition.demo
    if plan is None:
        raise DemoFailed(
            f"businesses/{settings.business}.yaml has no `demo`: add first_as_of and days"
        )
    days = [plan.first_as_of + timedelta(days=number) for number in range(plan.days)]
    say = talker(console)
    if plan.prepare is not None:
        prepare_source(settings, plan.prepare, say)
    with running(settings, say) as stack:
        registry = open_registry(settings)
        say(f"Loading the history and training the models as of {days[0]}")
        _train(stack, days[0], say)
        say(f"Backfilling {len(days)} days, {_ACTIVE} at a time")
        _backfill(stack, registry, catalog, days, say)
        summary.show(console, registry, catalog, days)
        summary.show_links(console, stack.airflow, stack.mlflow_url, settings)
        if not once:
            console.print("The servers stay up; Ctrl-C stops them.")
            stack.stay()


def talker(console: Console) -> Say:
    """A function that prints a step with the seconds since now."""
    began = time.monotonic()

    def say(text: str) -> None:
        line = f"[{time.monotonic() - began:6.1f} s] {text}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    return say


def _train(stack: Stack, day: date, say: Say) -> None:
    stack.airflow.unpause("tag_models")
    run_id = stack.airflow.trigger("tag_models", {"as_of": day.isoformat()})
    done: set[str] = set()
    for _ in _while_watching(stack):
        run = stack.airflow.run("tag_models", run_id)
        tasks = stack.airflow.tasks("tag_models", run_id)
        for step in ("extract", "clean", "check", "train"):
            states = [task["state"] for task in tasks if task["task_id"].startswith(step)]
            if step not in done and states and set(states) <= {"success", "skipped"}:
                done.add(step)
                say(f"  {step} done")
        if run["state"] in FINISHED:
            break
    if run["state"] != "success":
        raise DemoFailed(_what_failed(stack, [run]))


def _backfill(
    stack: Stack, registry: Registry, catalog: Catalog, days: list[date], say: Say
) -> None:
    """Release the days as a user would: by one backfill, watched until its last run ends."""
    ends = (catalog.midnight(day) for day in (days[0], days[-1]))
    first, last = (end - timedelta(days=1) for end in ends)
    stack.airflow.unpause("customer_tags")
    if stack.airflow.is_backfilling("customer_tags"):
        say("  waiting for the backfill of an interrupted demo")
        for _ in _while_watching(stack):
            if not stack.airflow.is_backfilling("customer_tags"):
                break
    stack.airflow.backfill("customer_tags", first, last, reprocess="completed", active=_ACTIVE)
    told: set[str] = set()
    for _ in _while_watching(stack):
        runs = stack.airflow.runs("customer_tags", first, last)
        for run in runs:
            if run["state"] in FINISHED and run["dag_run_id"] not in told:
                told.add(run["dag_run_id"])
                as_of = datetime.fromisoformat(run["data_interval_end"])
                say(f"  {summary.sentence(registry, catalog, as_of, run)}")
        if len(told) == len(days):
            break
    failed = [run for run in runs if run["state"] != "success"]
    if failed:
        raise DemoFailed(_what_failed(stack, failed))


def _while_watching(stack: Stack) -> Iterator[None]:
    while True:
        stack.supervisor.watch()
        yield
        time.sleep(1)


def _what_failed(stack: Stack, runs: list[dict[str, Any]]) -> str:
    """The first failed task of each run, with the end of its log."""
    parts = []
    for run in runs:
        tasks = stack.airflow.tasks(run["dag_id"], run["dag_run_id"])
        failed = [task for task in tasks if task["state"] == "failed"]
        for task in sorted(failed, key=lambda task: task["end_date"] or "")[:1]:
            log = stack.airflow.log(task).splitlines()
            lines = [line for line in log if not line.startswith("::")][-10:]
            where = f"{run['dag_id']} {run['dag_run_id']}: task {task['task_id']} failed"
            parts.append("\n".join([where, *(f"  {line}" for line in lines)]))
    return "\n".join(parts) or "the run failed without a failed task; see the scheduler's log"
