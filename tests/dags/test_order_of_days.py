"""Days run one after the other where a tag reads the release before, and freely elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.definition_copies import copied_definitions

from tagline.settings import PROJECT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default::DeprecationWarning"),  # Airflow's own, at import
]
GRADE = """\
name: {en: Grade, zh: 等级}
description: Made for a test.
owner: crm
kind: rule
type: boolean
cases:
  - {when: previous(grade) and order_count_90d > 1, value: true, because: Was before.}
otherwise: {value: false, because: Was not.}
"""


def customer_tags() -> Any:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(PROJECT / "dags" / "customer_tags.py")
    assert not bag.import_errors
    return bag.dags["customer_tags"]


def test_days_of_a_business_without_previous_do_not_wait_for_each_other() -> None:
    dag = customer_tags()
    assert not any(task.depends_on_past for task in dag.tasks)
    assert "release" not in dag.get_task("extract.plan").downstream_task_ids


def test_with_previous_a_day_begins_when_the_release_of_the_day_before_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied_definitions(tmp_path / "include")
    folder = tmp_path / "include" / "tags" / "activity" / "status"
    (folder / "grade.yaml").write_text(GRADE, "utf-8")
    monkeypatch.setenv("TAGLINE_DEFINITIONS", str(tmp_path / "include"))
    dag = customer_tags()
    waiting = [task.task_id for task in dag.tasks if task.depends_on_past]
    assert waiting == ["extract.plan"]
    first = dag.get_task("extract.plan")
    assert first.wait_for_downstream
    # Airflow looks at what directly follows the task in the run before, no further
    assert "release" in first.downstream_task_ids
