"""What every DAG of the project must have; each fault says how to comply."""

from __future__ import annotations

from airflow.sdk import DAG

RETRIES = 2
MANUAL = "see DEFAULTS in plugins/tagline_airflow/operators.py"


def faults(dag: DAG) -> list[str]:
    """Every way in which a DAG does not comply, in order."""
    found = []
    if not dag.doc_md:
        found.append(f"{dag.dag_id} has no docs: begin its file with a docstring, doc_md=__doc__")
    if not dag.tags:
        found.append(f'{dag.dag_id} has no tags: tags=["tagline", calendar.business]')
    if not dag.description:
        found.append(f"{dag.dag_id} has no description: say in one sentence what it is for")
    if dag.catchup:
        found.append(f"{dag.dag_id} catches up by itself: catchup=False, and backfill on purpose")
    for task in dag.tasks:
        name = f"{dag.dag_id}.{task.task_id}"
        if task.owner in ("", "airflow"):
            found.append(f'{name} has no owner: default_args={{**DEFAULTS, "owner": "your team"}}')
        if (task.retries or 0) < RETRIES:
            found.append(f"{name} has {task.retries} retries: give it {RETRIES} or more; {MANUAL}")
        if task.execution_timeout is None:
            found.append(f"{name} may run for ever: give it an execution_timeout; {MANUAL}")
    return found
