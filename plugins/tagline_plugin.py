"""What Tagline registers with Airflow."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from tagline_airflow.links import ModelRunLink


class TaglinePlugin(AirflowPlugin):
    """The link from a training task to its MLflow run."""

    name = "tagline"
    operator_extra_links = [ModelRunLink()]  # noqa: RUF012 - Airflow's own type
