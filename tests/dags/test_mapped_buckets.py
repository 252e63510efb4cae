"""With several customer buckets, compute is a mapped task for each; with one it is one task."""

from __future__ import annotations

import runpy
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from tagline.settings import PROJECT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default::DeprecationWarning"),  # Airflow's own, at import
]


def tasks_with(buckets: int, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The tasks of the daily DAG by id, as Airflow reads it in such a deployment."""
    monkeypatch.setenv("TAGLINE_CUSTOMER_BUCKETS", str(buckets))
    dag = runpy.run_path(str(PROJECT / "dags" / "customer_tags.py"))["dag"]
    return dag.task_dict


def test_one_bucket_is_one_task(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = tasks_with(1, monkeypatch)
    assert [name for name in tasks if name.startswith("compute")] == ["compute"]
    assert tasks["compute"].upstream_task_ids == {"check"}


def test_several_buckets_are_mapped_between_a_plan_and_their_union(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from airflow.sdk.definitions.mappedoperator import MappedOperator

    tasks = tasks_with(3, monkeypatch)
    compute = ["compute.plan", "compute.bucket", "compute.join"]
    assert [name for name in tasks if name.startswith("compute")] == compute
    assert isinstance(tasks["compute.bucket"], MappedOperator)
    path = ["check", *compute, "score"]
    for before, after in pairwise(path):
        assert tasks[before].downstream_task_ids == {after}


def test_a_mapped_task_computes_its_bucket_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from tagline import buckets
    from tagline_airflow.operators import CoreOperator, CoreRun

    monkeypatch.setattr(buckets, "compute_bucket", lambda *given, **named: (given, named))
    task = CoreOperator(task_id="bucket", calls="tagline.buckets:compute_bucket", bucket=0)
    run: Any = CoreRun("run", SimpleNamespace())  # type: ignore[arg-type]
    deployment: Any = object()
    called = task.call(deployment, run, run.as_of)
    assert called == ((deployment, "run", run.as_of, run.as_of), {"bucket": 0})
