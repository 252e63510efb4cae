"""Links on the page of a task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


class ModelRunLink(BaseOperatorLink):
    """To the MLflow run of a training task.

    Airflow asks once, in the task's own process when it ends, and shows what it was told.
    """

    name = "MLflow run"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """The address that the operator has left, or nothing."""
        return getattr(operator, "run_url", None) or ""
