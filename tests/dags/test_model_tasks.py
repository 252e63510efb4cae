"""The tasks of a training: a link to the run, a skip with reasons, and a run without data."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tagline.deployment import Deployment
from tagline.registry import Registry, open_registry
from tagline.settings import Settings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default::DeprecationWarning"),  # Airflow's own, at import
]
AS_OF = datetime(2017, 12, 1, tzinfo=UTC)
RUN = {"id": "r", "as_of": AS_OF.isoformat()}
URL = "http://127.0.0.1:5000/#/experiments/1/runs/2"


def judge(_deployment: Deployment, model: str, *_: Any) -> dict[str, Any]:
    """A judged model."""
    return {"model": model, "verdict": "refused", "run_url": URL}


def accept(_deployment: Deployment, model: str, *_: Any) -> dict[str, Any]:
    """A model that serves."""
    return {"model": model, "promoted": True, "reasons": [], "run_url": URL}


def refuse(_deployment: Deployment, model: str, *_: Any) -> dict[str, Any]:
    """A model that its gate refuses."""
    return {"model": model, "promoted": False, "reasons": ["no signal", "rare"], "run_url": URL}


@pytest.fixture
def task(
    postgres_url: str, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Any]:
    """A task of a model that calls a function named so."""
    from tagline_airflow.operators import ModelOperator

    monkeypatch.setenv("TAGLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TAGLINE_DATABASE_URL", postgres_url)
    return lambda name: ModelOperator(
        task_id="a_task", calls=f"{__name__}:{name}", model="lapse_risk"
    )


def run(task: Any) -> Any:
    context: Any = {"ti": SimpleNamespace(xcom_pull=lambda **_: RUN)}
    return task.execute(context)


def link(task: Any) -> str:
    (found,) = task.operator_extra_links
    return str(found.get_link(task, ti_key=None))


@pytest.mark.parametrize("name", ["judge", "accept"])
def test_a_task_of_a_model_links_to_its_run(task: Callable[[str], Any], name: str) -> None:
    judged = task(name)
    assert link(judged) == ""
    assert run(judged)["model"] == "lapse_risk"
    assert link(judged) == URL


def test_a_model_that_is_refused_is_skipped_with_its_reasons_and_its_link(
    task: Callable[[str], Any],
) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    refused = task("refuse")
    with pytest.raises(AirflowSkipException, match="lapse_risk is not promoted: no signal; rare"):
        run(refused)
    assert link(refused) == URL


@pytest.mark.parametrize(
    ("before", "after"), [("running", ("trained", None)), ("no_data", ("no_data", "too early"))]
)
def test_a_run_without_data_is_not_called_trained(
    settings: Settings, registry: Registry, before: str, after: tuple[str, str | None]
) -> None:
    from tagline_airflow.steps import finish

    registry.start_run("r", AS_OF, AS_OF)
    if before != "running":
        registry.finish_run("r", before, AS_OF, "too early")
    deployment: Any = SimpleNamespace(registry=registry, catalog=SimpleNamespace(models={}))
    assert finish(deployment, "r", AS_OF, AS_OF) == []
    opened = open_registry(settings)
    found = opened.run("r")
    opened.close()
    assert (found.status, found.reason) == after
