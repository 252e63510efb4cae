"""Both DAGs have a task that resolves keys where rules say which are one customer."""

from __future__ import annotations

from typing import Any

import pytest

from tagline.settings import PROJECT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default::DeprecationWarning"),  # Airflow's own, at import
]


DAGS = pytest.mark.parametrize("dag", ["customer_tags", "tag_models"])


def tasks_of(dag: str, business: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    from airflow.dag_processing.dagbag import DagBag

    monkeypatch.setenv("TAGLINE_BUSINESS", business)
    bag = DagBag(PROJECT / "dags" / f"{dag}.py")
    assert not bag.import_errors
    return bag.dags[dag].task_dict


@DAGS
def test_keys_are_resolved_between_clean_and_check(
    dag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = tasks_of(dag, "crane_works", monkeypatch)
    assert tasks["resolve"].upstream_task_ids == {"clean.table"}
    assert tasks["resolve"].downstream_task_ids == {"check"}


@DAGS
def test_a_business_of_one_source_has_no_such_task(
    dag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = tasks_of(dag, "grocer", monkeypatch)
    assert "resolve" not in tasks
    assert tasks["check"].upstream_task_ids == {"clean.table"}
