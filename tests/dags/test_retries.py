"""What a task says of the core's errors: outages are tried again, refusals fail at once."""

from __future__ import annotations

import re
import sys
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tagline.database import DatabaseUnavailable
from tagline.errors import LakeUnavailable, ReleaseRefused, SourceUnavailable, TaglineError

pytestmark = [
    pytest.mark.slow,  # importing Airflow takes two seconds
    pytest.mark.filterwarnings("default::DeprecationWarning"),  # Airflow's own, at import
]


def raised_by_a_task_after(error: TaglineError) -> Exception:
    """What a task ends with when its function of the core raises an error."""
    from tagline_airflow.operators import CoreOperator

    class Failing(CoreOperator):
        def _report(self, context: object) -> None:
            raise error

    with pytest.raises(Exception, match="said by the core") as ended:
        Failing(task_id="clean", calls="tagline.clean:clean").execute({})
    return ended.value


@pytest.mark.parametrize("kind", [SourceUnavailable, DatabaseUnavailable, LakeUnavailable])
def test_an_outage_is_left_to_airflows_retries(kind: type[TaglineError]) -> None:
    assert type(raised_by_a_task_after(kind("said by the core"))) is kind


@pytest.mark.parametrize("kind", [TaglineError, ReleaseRefused])
def test_what_a_retry_cannot_mend_fails_at_once(kind: type[TaglineError]) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    assert isinstance(raised_by_a_task_after(kind("said by the core")), AirflowFailException)


def steps_answer(monkeypatch: pytest.MonkeyPatch, calls: str) -> object:
    """What a step gives whose function is named so, without a deployment."""
    from tagline_airflow.operators import CoreOperator, CoreRun

    monkeypatch.setattr("tagline.deployment.open_deployment", nullcontext)
    run = CoreRun("run", datetime(2017, 10, 1, tzinfo=UTC))
    monkeypatch.setattr(CoreOperator, "run_of", lambda *_: run)
    return CoreOperator(task_id="own", calls=calls).execute({})


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
    own_steps: None, monkeypatch: pytest.MonkeyPatch, calls: str, said: str
) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    with pytest.raises(AirflowFailException, match=re.escape(said)):
        steps_answer(monkeypatch, calls)


def test_a_step_may_return_a_list_or_a_mapping(
    own_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert steps_answer(monkeypatch, "own_steps:listed") == ["a", "b"]
    assert steps_answer(monkeypatch, "own_steps:mapped") == {"rows": 1}


@pytest.fixture
def own_steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A module of steps on the path."""
    written = {"listed": ("a", "b"), "mapped": {"rows": 1}, "nothing": None, "text": "done"}
    lines = [f"def {name}(*_): return {value!r}" for name, value in written.items()]
    (tmp_path / "own_steps.py").write_text("\n".join(lines), "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "own_steps", raising=False)
