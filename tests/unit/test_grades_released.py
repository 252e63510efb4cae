"""Grades through whole days: released, explained, looked back at, planned, and asked for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow.parquet as parquet
import pytest
from tests.graded import STANDARDS, project, standard
from tests.till import FIRST, Shop, sell

from tagline.deployment import open_deployment
from tagline.plan import planned
from tagline.serve.audiences import audience
from tagline.serve.preview import preview
from tagline.serve.profiles import profile
from tagline.serve.released import files_of
from tagline.settings import Settings

pytestmark = pytest.mark.slow
NOW = datetime(2020, 1, 20, tzinfo=UTC)
SALES = {  # amounts by day, from 1 January on
    "ann": [100, 0, 0, 0, 0],
    "ben": [30, 0, 50, 0, 0],
    "cho": [20, 0, 0, 0, 0],
    "dan": [0, 0, 0, 0, 0],
}
DAYS = 4


@pytest.fixture(scope="module")
def shop(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    from tests.conftest import drop_databases

    root = tmp_path_factory.mktemp("graded")
    settings = Settings(
        business="graded", definitions=root, home=root / "home", database_url=postgres_url
    )
    project(root, "graded")
    sell(root, SALES)
    with open_deployment(settings) as deployment:
        made = Shop(deployment, root)
        for day in range(DAYS):
            made.run(day)
        yield made
    drop_databases(settings)


def released(shop: Shop, day: int) -> dict[str, dict[str, Any]]:
    found = shop.deployment.registry.release_at(FIRST + timedelta(days=day))
    assert found is not None
    rows = parquet.read_table(list(files_of(found))).to_pylist()
    return {row["customer_id"]: row for row in rows}


def test_grades_of_days_in_order_are_those_worked_out_by_hand(shop: Shop) -> None:
    days = [released(shop, day) for day in range(DAYS)]
    assert [[day[who]["buyer_grade"] for day in days] for who in SALES] == [
        ["A", "A", "A", "A"],  # 100, 100, then 85 with a silence of two days
        ["C", "C", "A", "A"],  # 48, 33; then 78; 63 would be B, and it changed the day before
        ["C", "C", "C", "C"],  # 42, 42, 27 within the margin of 30
        ["D", "D", "D", "D"],  # never bought
    ]
    last = days[-1]["ben"]
    assert last["buyer_grade_since"] == date(2020, 1, 4)
    assert (last["buyer_grade_before"], last["buyer_grade_care"]) == ("C", False)
    assert days[-1]["cho"]["buyer_grade_care"] is True
    assert days[-1]["ann"]["buyer_grade_since"] == date(2020, 1, 2)
    assert days[-1]["ann"]["buyer_grade_before"] is None
    assert days[-1]["cho"]["buyer_grade_reasons"] == days[0]["cho"]["buyer_grade_reasons"]


def test_a_profile_and_an_audience_tell_a_grade_like_any_tag(shop: Shop) -> None:
    told = profile(shop.deployment, "ben", None, NOW)["tags"]
    assert told["buyer_grade"]["value"] == "A"
    assert told["buyer_grade"]["because"] == (
        "Stays A until 2020-02-03, 30 days after it changed; today's tags give B. "
        "It was given for amount_10d."
    )
    assert told["buyer_grade"]["because_zh"].startswith("保持A级至2020-02-03")
    ann = profile(shop.deployment, "ann", None, NOW)["tags"]["buyer_grade"]
    assert ann["because"].startswith("A with 85 of 100 points. Decided by bought for 100 (60 of")
    assert ann["because_zh"].startswith("A级，得分85（满分100）。依据：购买100（60/60）")
    assert told["buyer_grade_since"]["because"] == "A since 2020-01-04."
    assert "because_zh" not in told["amount_10d"]
    earlier = profile(shop.deployment, "ben", FIRST, NOW)["tags"]
    assert earlier["buyer_grade"]["value"] == "C"
    found = audience(
        shop.deployment,
        "buyer_grade = 'C' and 'amount_10d' in buyer_grade_reasons and buyer_grade_care",
    )
    assert found["count"] == 1
    release = shop.deployment.registry.live()
    assert release is not None
    assert release.tags["buyer_grade"]["standards"] == {"grade_a": 75.0, "long_silence": 9.0}


@pytest.mark.parametrize("tag", ["buyer_grade", "buyer_grade_before", "buyer_grade_points"])
def test_a_preview_tells_the_reasons_that_a_profile_tells(shop: Shop, tag: str) -> None:
    drafted = preview(shop.deployment, tag)["rows"]
    assert {row["customer_id"]: row["because"] for row in drafted} == {
        who: profile(shop.deployment, who, None, NOW)["tags"][tag]["because"] for who in SALES
    }


def test_a_plan_of_a_changed_standard_regrades_exactly_those_that_it_said(shop: Shop) -> None:
    before = released(shop, DAYS - 1)
    lower = STANDARDS | {"grade_a": standard(("2000-01-01", 90))}
    settings = shop.deployment.settings
    project(shop.root, "graded", standards=lower)
    with open_deployment(settings) as changed:
        with planned(changed) as plan:
            said = set(plan.ids("buyer_grade"))
            document = plan.as_json()
        again = Shop(changed, shop.root, numbers=iter([900]))
        again.run(DAYS - 1)
        after = released(again, DAYS - 1)
        moved = {who for who in SALES if before[who]["buyer_grade"] != after[who]["buyer_grade"]}
        with planned(changed) as nothing:
            assert nothing.as_json()["same"]
    project(shop.root, "graded")
    entry = next(each for each in document["tags"] if each["tag"] == "buyer_grade")
    assert entry["why"] == ["standard grade_a: 75 → 90"]
    assert said == moved == {"ann"}  # ben, at 63 points, stays for a month after its change
    (example,) = entry["examples"]
    assert (example["before"], example["after"]) == ("A", "B")
    assert example["because"].startswith("B with 85 of 100 points.")
