"""Every DAG of the project complies with the policy, and the policy fails one that does not."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tagline.settings import PROJECT

pytestmark = [
    pytest.mark.slow,  # importing Airflow takes two seconds
    pytest.mark.filterwarnings("default::DeprecationWarning"),  # Airflow's own, at import
]
FILES = sorted((PROJECT / "dags").glob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_dag_complies_with_the_policy(path: Path) -> None:
    from airflow.dag_processing.dagbag import DagBag

    from tagline_airflow.policy import faults

    bag = DagBag(path)
    assert not bag.import_errors
    found = [fault for dag in bag.dags.values() for fault in faults(dag)]
    assert not found, "\n".join(found)
    assert list(bag.dags) == [path.stem], "one DAG per file, with the file's name"


def test_the_policy_fails_a_bare_dag_and_says_how_to_comply() -> None:
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.sdk import DAG

    from tagline_airflow.policy import faults

    with DAG("bare", catchup=True) as dag:
        EmptyOperator(task_id="idle")
    assert [fault.split(":")[0] for fault in faults(dag)] == [
        "bare has no docs",
        "bare has no tags",
        "bare has no description",
        "bare catches up by itself",
        "bare.idle has no owner",
        "bare.idle has 0 retries",
        "bare.idle may run for ever",
    ]
    assert 'default_args={**DEFAULTS, "owner": "your team"}' in "".join(faults(dag))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"owner": "airflow"}, "has no owner"),
        ({"retries": 1}, "has 1 retries: give it 2 or more"),
        ({"execution_timeout": None}, "may run for ever"),
    ],
)
def test_the_policy_names_the_one_thing_that_is_missing(
    change: dict[str, object], said: str
) -> None:
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.sdk import DAG

    from tagline_airflow.policy import faults

    good: dict[str, object] = {"owner": "crm", "retries": 2, "execution_timeout": timedelta(1)}
    with DAG("good", doc_md="why", tags=["tagline"], description="What.", default_args=good) as dag:
        EmptyOperator(task_id="idle")
    assert faults(dag) == []
    with DAG(
        "bad", doc_md="why", tags=["tagline"], description="What.", default_args=good | change
    ) as dag:
        EmptyOperator(task_id="idle")
    assert len(faults(dag)) == 1
    assert said in faults(dag)[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_dag_file_is_wiring_only(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) <= 120, f"{path.name}: move logic to include/tagline, and tasks to plugins"
