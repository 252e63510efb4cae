"""Rows in, labels out: what is said of the crane maker's customers afterwards."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from tests.crane_rows import at

RunSql = Callable[..., list[dict[str, Any]]]
AS_OF = at(3, 1)


def receivable(due_at: datetime, settled_at: datetime | None, **given: Any) -> dict[str, Any]:
    row = {"customer_id": "K-1", "due_at": due_at, "settled_at": settled_at}
    return row | {"is_open": settled_at is None} | given


@pytest.mark.parametrize(
    ("settled_at", "late"),
    [
        (at(3, 10), False),
        (at(3, 20), False),  # the tenth day after the tenth of March
        (at(3, 21), True),
        (None, True),
    ],
)
def test_an_instalment_is_late_from_the_eleventh_day_after_its_own(
    label_sql: RunSql, settled_at: datetime | None, late: bool
) -> None:
    end_of_the_tenth = at(3, 11)
    rows = [receivable(end_of_the_tenth, settled_at)]
    assert label_sql("late_instalment_60d", AS_OF, receivables=rows) == [
        {"customer_id": "K-1", "label": late}
    ]


def test_of_who_has_nothing_due_it_is_not_said_whether_it_pays_late(label_sql: RunSql) -> None:
    rows = [
        receivable(at(3, 11), at(2, 20)),  # paid before
        receivable(at(3, 11), None, is_open=False),  # cancelled
        receivable(at(4, 15), None),  # due after 45 days
        receivable(at(2, 28), None),
    ]
    assert label_sql("late_instalment_60d", AS_OF, receivables=rows) == []
