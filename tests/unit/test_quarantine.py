"""Quarantine: refused rows are counted, shown and replayed after a fix."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tagline import quarantine
from tagline.errors import QuarantineLimitExceeded, TaglineError, UnknownName
from tagline.lake import Lake

if TYPE_CHECKING:
    from tests.unit.conftest import Kiosk

pytestmark = pytest.mark.slow
DAY_2 = datetime(2017, 1, 2, tzinfo=UTC)
MANY = [f"{n},ann,1,2017-01-01 10:00:00" for n in range(100, 130)]


def test_an_empty_quarantine_counts_nothing(kiosk: Kiosk) -> None:
    assert quarantine.counts(kiosk.deployment) == {}
    assert quarantine.rows(kiosk.deployment, "orders") == []
    assert quarantine.replay(kiosk.deployment, None, kiosk.clock).as_json() == {
        "before": {},
        "after": {},
    }


def test_a_replay_after_a_fixed_definition_moves_rows_into_the_table(kiosk: Kiosk) -> None:
    kiosk.sales(*MANY, "1,ann,-1,2017-01-01 10:00:00", "2,ann,-500,2017-01-01 10:00:00")
    assert kiosk.run(DAY_2)["orders"].quarantined == {"negative_amount": 2}
    tables = kiosk.tables
    tables["orders"]["expectations"][0]["with"] = {"min_value": -10}
    kiosk.define(tables=tables)
    at = kiosk.clock + timedelta(hours=1)
    made = quarantine.replay(kiosk.deployment, "orders", at)
    assert made.before == {"orders": {"negative_amount": 2}}
    assert made.after == {"orders": {"negative_amount": 1}}
    assert len(kiosk.read("orders")) == 31
    assert len(kiosk.read("orders", known_at=kiosk.clock)) == 30


def test_a_replay_without_a_fix_changes_nothing(kiosk: Kiosk) -> None:
    kiosk.sales(*MANY, "1,ann,-1,2017-01-01 10:00:00")
    kiosk.run(DAY_2)
    made = quarantine.replay(kiosk.deployment, None, kiosk.clock + timedelta(hours=1))
    assert made.before == made.after == {"orders": {"negative_amount": 1}}
    assert len(kiosk.read("orders")) == 30


def test_a_replay_that_fails_leaves_the_rows_where_they_are(kiosk: Kiosk) -> None:
    kiosk.sales(*MANY, "1,ann,-1,2017-01-01 10:00:00")
    kiosk.run(DAY_2)
    kiosk.define(sql={"orders": "SELECT number AS order_id FROM sales"})
    with pytest.raises(TaglineError, match="returns no column"):
        quarantine.replay(kiosk.deployment, "orders", kiosk.clock + timedelta(hours=1))
    assert quarantine.counts(kiosk.deployment) == {"orders": {"negative_amount": 1}}


def test_a_replay_that_refuses_too_many_rows_loses_none(kiosk: Kiosk) -> None:
    kiosk.sales(*MANY, "1,ann,-1,2017-01-01 10:00:00")
    kiosk.run(DAY_2)
    tables = kiosk.tables
    tables["orders"]["expectations"][0]["with"] = {"min_value": -10, "max_value": 0}
    kiosk.define(tables=tables)
    with pytest.raises(QuarantineLimitExceeded):
        quarantine.replay(kiosk.deployment, "orders", kiosk.clock + timedelta(hours=1))
    kept = {row["row"] for row in quarantine.rows(kiosk.deployment, "orders", 100)}
    assert len(kept) == 31, "the row that came before, and those that are refused now"


@pytest.mark.parametrize("commit", ["append", "follow"])
def test_a_replay_that_is_killed_loses_no_row(
    kiosk: Kiosk, monkeypatch: pytest.MonkeyPatch, commit: str
) -> None:
    kiosk.sales(*MANY, "1,ann,-1,2017-01-01 10:00:00", "2,ann,-500,2017-01-01 10:00:00")
    kiosk.run(DAY_2)
    tables = kiosk.tables
    tables["orders"]["expectations"][0]["with"] = {"min_value": -10}
    kiosk.define(tables=tables)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Lake, commit, killed)
        with pytest.raises(KeyboardInterrupt):
            quarantine.replay(kiosk.deployment, "orders", kiosk.clock + timedelta(hours=1))
    assert quarantine.counts(kiosk.deployment) == {"orders": {"negative_amount": 2}}
    made = quarantine.replay(kiosk.deployment, "orders", kiosk.clock + timedelta(hours=2))
    assert made.after == {"orders": {"negative_amount": 1}}
    assert len(kiosk.read("orders")) == 31


def test_rows_that_could_not_be_read_are_read_again_from_the_source(kiosk: Kiosk) -> None:
    kiosk.sales(*MANY, "x,ann,1,2017-01-01 10:00:00", "1,ann,1")
    kiosk.run(DAY_2)
    assert quarantine.counts(kiosk.deployment) == {
        "till__sales": {"unparsable_number": 1, "wrong_number_of_fields": 1}
    }
    kiosk.sales(*MANY, "7,ann,1,2017-01-01 10:00:00", "1,ann,1")
    made = quarantine.replay(kiosk.deployment, None, kiosk.clock + timedelta(hours=1))
    assert made.after == {"till__sales": {"wrong_number_of_fields": 1}}
    kiosk.run(DAY_2)
    assert len(kiosk.read("orders")) == 31


def test_an_unknown_table_is_named_with_the_closest(kiosk: Kiosk) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'orders'"):
        quarantine.rows(kiosk.deployment, "order")
    with pytest.raises(UnknownName, match="Did you mean 'till__sales'"):
        quarantine.replay(kiosk.deployment, "till_sale", kiosk.clock)
