"""What Tagline registers with Airflow."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from tagline_airflow.links import ModelRunLink
from tagline_airflow.portal.mount import FASTAPI_APP, NAV_ENTRY


class TaglinePlugin(AirflowPlugin):
    """The portal, and the link from a training task to its MLflow run."""

    name = "tagline"
    fastapi_apps = [FASTAPI_APP]  # noqa: RUF012 - Airflow's own type
    external_views = [NAV_ENTRY]  # noqa: RUF012
    operator_extra_links = [ModelRunLink()]  # noqa: RUF012
