"""Which failures of a task Airflow retries: those that may mend themselves, and no others."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import text

from tagline.deployment import Deployment
from tagline.errors import (
    DatabaseUnavailable,
    DiskFull,
    LakeUnavailable,
    SourceUnavailable,
    TaglineError,
)
from tagline.training.tracking import TrackingUnavailable

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default::DeprecationWarning"),  # Airflow's own, at import
]
RUN = {"id": "r", "as_of": datetime(2017, 12, 1, tzinfo=UTC).isoformat()}


def lose_the_database(deployment: Deployment, *_: Any) -> Any:
    """A session that the server ends in the middle."""
    with deployment.registry.session() as session:
        session.execute(text("select pg_terminate_backend(pg_backend_pid())"))


def lose_the_database_while_copying(deployment: Deployment, *_: Any) -> Any:
    """The same below SQLAlchemy, where the profile store copies its rows."""
    raw: Any = deployment.registry.engine.raw_connection()
    try:
        raw.cursor().execute("select pg_terminate_backend(pg_backend_pid())")
    finally:
        raw.invalidate()


def fill_the_disk(_deployment: Deployment, *_: Any) -> Any:
    """A device that is always full."""
    with Path("/dev/full").open("wb", buffering=0) as file:
        file.write(b"x")


def find_no_source(_deployment: Deployment, *_: Any) -> Any:
    """A source that is down."""
    raise SourceUnavailable("source till: it does not answer")


def find_no_lake(_deployment: Deployment, *_: Any) -> Any:
    """An object store that is down."""
    raise LakeUnavailable("the lake at s3://shop does not answer")


def find_no_mlflow(_deployment: Deployment, *_: Any) -> Any:
    """An MLflow server that is down."""
    raise TrackingUnavailable("MLflow does not answer")


def refuse(_deployment: Deployment, *_: Any) -> Any:
    """A refusal that no retry mends."""
    raise TaglineError("the moon is in the wrong house")


@pytest.fixture
def execute(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Any]:
    """Executes a task that calls a function named so."""
    from tagline_airflow.steps import step

    monkeypatch.setenv("TAGLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TAGLINE_DATABASE_URL", postgres_url)
    context: Any = {"ti": SimpleNamespace(xcom_pull=lambda **_: RUN)}
    return lambda calls: step("a_step", calls).execute(context)


@pytest.mark.parametrize(
    ("function", "error", "said"),
    [
        ("lose_the_database", DatabaseUnavailable, "PostgreSQL was lost"),
        ("lose_the_database_while_copying", DatabaseUnavailable, "PostgreSQL was lost"),
        ("fill_the_disk", DiskFull, "the disk is full: .* MB free"),
        ("find_no_source", SourceUnavailable, "does not answer"),
        ("find_no_lake", LakeUnavailable, "does not answer"),
        ("find_no_mlflow", TrackingUnavailable, "does not answer"),
    ],
)
def test_what_may_mend_itself_is_retried(
    execute: Callable[[str], Any], function: str, error: type[TaglineError], said: str
) -> None:
    with pytest.raises(error, match=said):  # Airflow retries every error but AirflowFailException
        execute(f"{__name__}:{function}")


def test_a_refusal_is_not_retried(execute: Callable[[str], Any]) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    with pytest.raises(AirflowFailException, match="wrong house"):
        execute(f"{__name__}:refuse")


@pytest.mark.parametrize(
    ("calls", "said"),
    [
        ("own_steps:lst", "own_steps has no 'lst'. Did you mean 'listed'?"),
        ("own_stepss:listed", "'own_stepss:listed' cannot be loaded: No module named"),
        ("own_steps:nothing", "own_steps:nothing returned NoneType; it must return a list"),
        ("own_steps:text", "own_steps:text returned str; it must return a list"),
    ],
)
def test_a_mistake_in_a_step_of_ones_own_is_named_and_fails_at_once(
    own_steps: None, execute: Callable[[str], Any], calls: str, said: str
) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    with pytest.raises(AirflowFailException, match=re.escape(said)):
        execute(calls)


def test_a_step_may_return_a_list_or_a_mapping(
    own_steps: None, execute: Callable[[str], Any]
) -> None:
    assert execute("own_steps:listed") == ["a", "b"]
    assert execute("own_steps:mapped") == {"rows": 1}


@pytest.fixture
def own_steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A module of steps on the path."""
    written = {"listed": ("a", "b"), "mapped": {"rows": 1}, "nothing": None, "text": "done"}
    lines = [f"def {name}(*_): return {value!r}" for name, value in written.items()]
    (tmp_path / "own_steps.py").write_text("\n".join(lines), "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "own_steps", raising=False)
