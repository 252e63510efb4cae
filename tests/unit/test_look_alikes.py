"""Customers like those of an audience: ordered, without the seeds, and found again when hidden."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tagline.errors import ExpressionError, UnknownName, WrongUsage
from tagline.release import release
from tagline.training.look_alikes import most_alike, similar

if TYPE_CHECKING:
    from tests.conftest import SmallShop

DAY = datetime(2017, 10, 1, tzinfo=UTC)
ROWS: list[dict[str, Any]] = [
    {"customer_id": "a", "recency_days": 2, "order_amount_90d": 100.0, "segment": "active"},
    {"customer_id": "b", "recency_days": 3, "order_amount_90d": 90.0, "segment": "active"},
    {"customer_id": "c", "recency_days": 4, "order_amount_90d": 95.0, "segment": "dormant"},
    {"customer_id": "d", "recency_days": 20, "order_amount_90d": 50.0, "segment": "dormant"},
    {"customer_id": "e", "recency_days": 80, "order_amount_90d": 1.0, "segment": "dormant"},
    {"customer_id": "f", "recency_days": None, "order_amount_90d": 0.0, "segment": None},
]


def test_the_nearest_come_first_and_no_seed_is_among_them() -> None:
    points = np.array([[0.0], [1.0], [5.0], [2.0], [0.5], [2.0]], dtype=np.float32)
    seeds = np.array([True, True, False, False, False, False])
    positions, similarity = most_alike(points, seeds, 3)
    assert positions.tolist() == [4, 3, 5]
    # seeds lie 1 apart; the row between them is half as far from both
    assert similarity.tolist() == pytest.approx([1 / 1.5, 1 / 2.5, 1 / 2.5])


def test_one_seed_is_enough() -> None:
    points = np.array([[0.0], [3.0], [1.0]], dtype=np.float32)
    assert most_alike(points, np.array([True, False, False]), 5)[0].tolist() == [2, 1]


def test_hidden_members_of_a_group_are_found_by_the_others() -> None:
    random = np.random.default_rng(1)
    member = random.random(2000) < 0.05
    points = random.standard_normal((2000, 8)) + 1.5 * member[:, None]
    hidden = member & (random.random(2000) < 0.5)
    positions, _ = most_alike(points, member & ~hidden, int(hidden.sum()))
    assert hidden[positions].mean() > 10 * hidden.mean()


@pytest.fixture
def served(shop: SmallShop) -> SmallShop:
    shop.audited("r1", DAY, ROWS)
    release(shop.deployment, "r1", DAY)
    return shop


@pytest.mark.slow
def test_look_alikes_of_an_audience_come_from_its_release(served: SmallShop) -> None:
    found = similar(served.deployment, "segment = 'active'", 2)
    assert [each["customer_id"] for each in found["customers"]] == ["c", "d"]
    assert found["seeds"] == 2
    assert set(found["by"]) == {"recency_days", "order_amount_90d"}
    assert found["traits"][0]["seeds"] in (2.5, 95.0)
    by_one = similar(served.deployment, "order_amount_90d > 80", 1, by=["recency_days"])
    assert [each["customer_id"] for each in by_one["customers"]] == ["d"]


@pytest.mark.slow
def test_a_number_that_only_names_something_is_compared_where_it_is_asked_for(
    served: SmallShop,
) -> None:
    catalog = served.deployment.catalog
    tags = dict(catalog.tags)
    of_model = replace(tags["order_amount_90d"], definition=tags["lapse_probability"].definition)
    tags["order_amount_90d"] = of_model
    models: Any = {"lapse_risk": SimpleNamespace(nominal=frozenset({"probability"}))}
    numbered = replace(served.deployment, catalog=replace(catalog, tags=tags, models=models))
    assert similar(numbered, "segment = 'active'", 1)["by"] == ["recency_days"]
    asked_for = similar(numbered, "segment = 'active'", 1, by=["order_amount_90d"])
    assert asked_for["by"] == ["order_amount_90d"]


@pytest.mark.slow
def test_what_the_expression_reads_is_not_compared(served: SmallShop) -> None:
    assert similar(served.deployment, "order_amount_90d > 92", 1)["by"] == ["recency_days"]


@pytest.mark.slow
def test_wrong_questions_are_answered_with_what_is_wrong(served: SmallShop) -> None:
    with pytest.raises(WrongUsage, match="nobody to be like"):
        similar(served.deployment, "order_amount_90d > 1000")
    with pytest.raises(UnknownName, match="recency_days"):
        similar(served.deployment, "order_amount_90d > 92", by=["recency_day"])
    with pytest.raises(ExpressionError):
        similar(served.deployment, "order_amount > 92")
