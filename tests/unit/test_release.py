"""Releases: atomic, repeatable, with withheld tags, held candidates, rollback and the lake."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as parquet
import pytest
from sqlalchemy import select

from tagline.definitions import DataType
from tagline.errors import ReleaseRefused
from tagline.registry.schema import Release, ReleaseEvent
from tagline.release import LAKE_TABLE, activate, follow_lake, release, rollback
from tagline.serve.released import files_of

if TYPE_CHECKING:
    from tests.conftest import SmallShop

pytestmark = pytest.mark.slow
DAY = datetime(2017, 10, 1, tzinfo=UTC)
NEXT = DAY + timedelta(days=1)
AT = datetime(2017, 12, 1, 12, tzinfo=UTC)


def rows(recency: int, amount: float = 10.0) -> list[dict[str, Any]]:
    return [
        {
            "customer_id": str(n),
            "recency_days": recency + n,
            "order_amount_90d": amount * n,
            "segment": "active",
            "segment__case": 1,
        }
        for n in (1, 2, 3)
    ]


def lake_rows(shop: SmallShop) -> list[tuple[str, str, int]]:
    columns = {
        "customer_id": DataType.TEXT,
        "as_of": DataType.TIMESTAMP,
        "recency_days": DataType.INTEGER,
    }
    relation = shop.deployment.lake.relation(LAKE_TABLE, columns)
    found = shop.deployment.engine.fetch(
        "SELECT strftime(as_of, '%m-%d') d, customer_id c, recency_days r FROM t ORDER BY 1, 2",
        {"t": relation},
    )
    return [(row["d"], row["c"], row["r"]) for row in found.to_pylist()]


def events(shop: SmallShop, release_id: int) -> list[str]:
    with shop.deployment.registry.session() as session:
        found = session.scalars(
            select(ReleaseEvent).filter_by(release_id=release_id).order_by(ReleaseEvent.id)
        )
        return [event.action for event in found]


def statuses(shop: SmallShop) -> dict[int, str]:
    return {found.id: found.status for found in shop.deployment.registry.releases()}


def test_the_first_release_is_live_and_names_its_files_and_versions(shop: SmallShop) -> None:
    path = shop.audited("r1", DAY, rows(5), unavailable={"lapse_probability": "no model"})
    report = release(shop.deployment, "r1", AT)
    assert (report.status, report.customers, report.tags) == ("active", 3, 3)
    live = shop.deployment.registry.live()
    assert live is not None
    assert (live.id, live.files) == (report.release, {"customer": [path]})
    assert live.tags["recency_days"] == {
        "version": "v1",
        "state": "current",
        "as_of": DAY.isoformat(),
    }
    assert live.tags["lapse_probability"]["reason"] == "no model"
    assert live.tags["machine_hours"]["state"] == "unavailable"
    assert live.tags["top_products"]["reason"] == "not computed"
    assert report.as_json()["live"] == report.release
    run = shop.deployment.registry.run("r1")
    assert (run.status, run.stages["release"]["release"]) == ("released", report.release)


def test_a_repeated_release_of_the_same_candidate_changes_nothing(shop: SmallShop) -> None:
    shop.audited("r1", DAY, rows(5))
    first = release(shop.deployment, "r1", AT)
    again = release(shop.deployment, "r1", AT)
    assert again.release == first.release
    assert statuses(shop) == {first.release: "active"}
    assert lake_rows(shop) == [("10-01", "1", 6), ("10-01", "2", 7), ("10-01", "3", 8)]


def test_the_same_release_started_twice_at_once_is_made_once(shop: SmallShop) -> None:
    shop.audited("r1", DAY, rows(5))
    with ThreadPoolExecutor(2) as pool:
        tasks = [pool.submit(release, shop.deployment, "r1", AT) for _ in range(2)]
        assert len({task.result().release for task in tasks}) == 1
    assert list(statuses(shop).values()) == ["active"]


def test_two_runs_of_a_day_at_once_leave_one_active_release(shop: SmallShop) -> None:
    for run in ("r1", "r2", "r3"):
        shop.audited(run, DAY, rows(5))
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda run: release(shop.deployment, run, AT), ("r1", "r2", "r3")))
    assert sorted(statuses(shop).values()) == ["active", "superseded", "superseded"]
    assert len(lake_rows(shop)) == 3


def test_a_rerun_of_a_day_supersedes_its_release(shop: SmallShop) -> None:
    shop.audited("r1", DAY, rows(5))
    shop.audited("r2", DAY, rows(50))
    first = release(shop.deployment, "r1", AT).release
    second = release(shop.deployment, "r2", AT).release
    assert statuses(shop) == {first: "superseded", second: "active"}
    assert shop.deployment.registry.release(second).supersedes_id == first
    assert lake_rows(shop)[0] == ("10-01", "1", 51)
    assert events(shop, first) == ["activated", "superseded"]


def test_an_older_day_leaves_live_alone(shop: SmallShop) -> None:
    shop.audited("r2", NEXT, rows(5))
    shop.audited("r1", DAY, rows(4))
    newer = release(shop.deployment, "r2", AT).release
    older = release(shop.deployment, "r1", AT)
    assert older.live == newer
    assert {row[0] for row in lake_rows(shop)} == {"10-01", "10-02"}


def test_a_withheld_tag_keeps_the_earlier_values_with_their_date(shop: SmallShop) -> None:
    earlier = rows(5, 10)[:2]
    shop.audited("r1", DAY, earlier)
    release(shop.deployment, "r1", AT)
    shop.audited("r2", NEXT, rows(6, 1000), withheld={"order_amount_90d": "coverage 0.1 < 0.9"})
    report = release(shop.deployment, "r2", AT)
    made = shop.deployment.registry.release(report.release)
    table = parquet.read_table(files_of(made)[0]).to_pydict()
    assert table["recency_days"] == [7, 8, 9]
    assert table["order_amount_90d"] == [10, 20, None]
    assert made.tags["order_amount_90d"] == {
        "version": "v1",
        "state": "withheld",
        "as_of": DAY.isoformat(),
        "reason": "coverage 0.1 < 0.9",
    }
    assert report.withheld == {"order_amount_90d": "coverage 0.1 < 0.9"}
    assert report.tags == 2


def test_a_tag_withheld_on_two_days_keeps_the_date_of_its_values(shop: SmallShop) -> None:
    third = NEXT + timedelta(days=1)
    shop.audited("r1", DAY, rows(5))
    shop.audited("r2", NEXT, rows(6, 20), withheld={"order_amount_90d": "bad"})
    shop.audited("r3", third, rows(7, 30), withheld={"order_amount_90d": "bad"})
    for run in ("r1", "r2", "r3"):
        report = release(shop.deployment, run, AT)
    made = shop.deployment.registry.release(report.release)
    assert made.tags["order_amount_90d"]["as_of"] == DAY.isoformat()
    assert parquet.read_table(files_of(made)[0])["order_amount_90d"].to_pylist() == [10, 20, 30]


def test_a_withheld_rule_keeps_its_earlier_case_too(shop: SmallShop) -> None:
    before = [row | {"segment": "dormant", "segment__case": 0} for row in rows(70)]
    shop.audited("r1", DAY, before)
    shop.audited("r2", NEXT, rows(1), withheld={"segment": "bad"})
    release(shop.deployment, "r1", AT)
    report = release(shop.deployment, "r2", AT)
    made = shop.deployment.registry.release(report.release)
    table = parquet.read_table(files_of(made)[0]).to_pydict()
    assert (table["segment"], table["segment__case"]) == (["dormant"] * 3, [0] * 3)


def test_a_tag_withheld_on_the_first_day_is_released_without_values(shop: SmallShop) -> None:
    shop.audited("r1", DAY, rows(5), withheld={"order_amount_90d": "bad"})
    made = shop.deployment.registry.release(release(shop.deployment, "r1", AT).release)
    assert "order_amount_90d" not in parquet.read_schema(files_of(made)[0]).names
    assert made.tags["order_amount_90d"]["as_of"] is None


def test_a_held_candidate_is_not_released_until_a_steward_says_so(shop: SmallShop) -> None:
    shop.audited("r1", DAY, rows(5))
    first = release(shop.deployment, "r1", AT).release
    shop.audited("r2", NEXT, rows(900), verdict="hold", reasons=["recency_days: psi 9"])
    report = release(shop.deployment, "r2", AT)
    assert (report.status, report.live) == ("held", first)
    assert shop.deployment.registry.run("r2").status == "held"
    assert len(lake_rows(shop)) == 3
    activate(shop.deployment, report.release, "the shop was closed", "wei", AT)
    live = shop.deployment.registry.live()
    assert live is not None
    assert live.id == report.release
    assert len(lake_rows(shop)) == 6
    assert events(shop, report.release) == ["held", "activated"]
    with pytest.raises(ReleaseRefused, match="is active"):
        activate(shop.deployment, report.release, "again", "wei", AT)


def test_a_steward_accepts_the_critical_tags_of_a_held_candidate_only(shop: SmallShop) -> None:
    shop.audited("r1", DAY, rows(5))
    release(shop.deployment, "r1", AT)
    shop.audited(
        "r2",
        NEXT,
        rows(900, 77),
        verdict="hold",
        reasons=["recency_days"],
        withheld={"recency_days": "range", "order_amount_90d": "psi"},
    )
    held = release(shop.deployment, "r2", AT).release
    table = parquet.read_table(files_of(shop.deployment.registry.release(held))[0]).to_pydict()
    assert table["recency_days"] == [901, 902, 903]
    assert table["order_amount_90d"] == [10, 20, 30]


def test_rollback_restores_the_superseded_release_of_the_day(shop: SmallShop) -> None:
    shop.audited("r1", DAY, rows(5))
    shop.audited("r2", DAY, rows(50))
    first = release(shop.deployment, "r1", AT).release
    second = release(shop.deployment, "r2", AT).release
    live = rollback(shop.deployment, "wrong prices", "wei", AT)
    assert live.id == first
    assert statuses(shop) == {first: "active", second: "withdrawn"}
    assert lake_rows(shop)[0] == ("10-01", "1", 6)
    assert events(shop, first)[-1] == "restored"


def test_rollback_of_a_day_makes_the_earlier_day_live(shop: SmallShop) -> None:
    shop.audited("r1", DAY, rows(5))
    shop.audited("r2", NEXT, rows(6))
    first = release(shop.deployment, "r1", AT).release
    release(shop.deployment, "r2", AT)
    assert rollback(shop.deployment, "bad day", "wei", AT).id == first
    assert {row[0] for row in lake_rows(shop)} == {"10-01"}


def test_a_withdrawn_release_can_be_released_again(shop: SmallShop) -> None:
    shop.audited("r1", DAY, rows(5))
    shop.audited("r2", DAY, rows(50))
    first = release(shop.deployment, "r1", AT).release
    second = release(shop.deployment, "r2", AT).release
    rollback(shop.deployment, "a mistake", "wei", AT)
    activate(shop.deployment, second, "it was right", "wei", AT)
    assert statuses(shop) == {first: "superseded", second: "active"}
    assert rollback(shop.deployment, "no, it was not", "wei", AT).id == first


def test_rollback_to_a_release_withdraws_everything_after_it(shop: SmallShop) -> None:
    days = [DAY + timedelta(days=n) for n in range(3)]
    made: list[int] = []
    for n, day in enumerate(days):
        shop.audited(f"r{n}", day, rows(n))
        made.append(release(shop.deployment, f"r{n}", AT).release)
    assert rollback(shop.deployment, "bad source", "wei", AT, to=made[0]).id == made[0]
    assert statuses(shop) == {made[0]: "active", made[1]: "withdrawn", made[2]: "withdrawn"}
    with pytest.raises(ReleaseRefused, match="live already"):
        rollback(shop.deployment, "again", "wei", AT, to=made[0])
    with pytest.raises(ReleaseRefused, match="tagline release"):
        rollback(shop.deployment, "again", "wei", AT, to=made[1])


def test_rollback_to_a_superseded_release_restores_it(shop: SmallShop) -> None:
    made: list[int] = []
    for n in range(3):
        shop.audited(f"r{n}", DAY, rows(n))
        made.append(release(shop.deployment, f"r{n}", AT).release)
    assert rollback(shop.deployment, "two bad runs", "wei", AT, to=made[0]).id == made[0]
    assert statuses(shop) == {made[0]: "active", made[1]: "superseded", made[2]: "withdrawn"}


def test_the_only_release_cannot_be_rolled_back(shop: SmallShop) -> None:
    with pytest.raises(ReleaseRefused, match="nothing is released"):
        rollback(shop.deployment, "why not", "wei", AT)
    shop.audited("r1", DAY, rows(5))
    made = release(shop.deployment, "r1", AT).release
    with pytest.raises(ReleaseRefused, match="the only one"):
        rollback(shop.deployment, "why not", "wei", AT)
    assert statuses(shop) == {made: "active"}
    with pytest.raises(ReleaseRefused, match="reason"):
        rollback(shop.deployment, "  ", "wei", AT)


def test_the_lake_catches_up_after_a_failure(
    shop: SmallShop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shop.audited("r1", DAY, rows(5))
    shop.audited("r2", DAY, rows(50))
    first = release(shop.deployment, "r1", AT).release
    release(shop.deployment, "r2", AT)

    def full_disk(*_args: object, **_named: object) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as broken:
        broken.setattr(type(shop.deployment.lake), "replace", full_disk)
        assert rollback(shop.deployment, "bad", "wei", AT).id == first
    assert "does not follow yet" in caplog.text
    assert lake_rows(shop)[0] == ("10-01", "1", 51)
    follow_lake(shop.deployment, AT)
    follow_lake(shop.deployment, AT)
    assert lake_rows(shop)[0] == ("10-01", "1", 6)


def test_a_failed_release_leaves_no_release_behind(
    shop: SmallShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.audited("r1", DAY, rows(5))
    monkeypatch.setattr("tagline.release._note", lambda *_args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        release(shop.deployment, "r1", AT)
    with shop.deployment.registry.session() as session:
        assert session.scalars(select(Release)).all() == []
