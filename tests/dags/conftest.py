"""Airflow reads its configuration at import: it is told here where the DAGs and plugins are."""

from __future__ import annotations

import os
import tempfile

from tagline.settings import PROJECT

os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="tagline-airflow-")
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(PROJECT / "dags")
os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"] = str(PROJECT / "plugins")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "False"
