"""What a task says of the core's errors: outages are tried again, refusals fail at once."""

from __future__ import annotations

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
