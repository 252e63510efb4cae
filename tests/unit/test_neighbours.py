"""Who is near whom, and what is inferred from it: on made-up customers and on real households."""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from tests import complete_journey

from tagline.definitions.models import SimilarCustomersModel
from tagline.definitions.types import DataType
from tagline.training.alike_space import ITEMS, space_of
from tagline.training.attribute_measures import REPEATS, measure
from tagline.training.estimators.attribute import NeighbourAttribute
from tagline.training.estimators.item_points import ItemPoints
from tagline.training.estimators.neighbours import Neighbours, Points
from tagline.training.evaluate import Interval
from tagline.training.kinds import Judged, Training
from tagline.training.kinds import similar_customers as kind

ESTIMATORS = "tagline.training.estimators"
TRUSTED = [
    f"{ESTIMATORS}.attribute.NeighbourAttribute",
    f"{ESTIMATORS}.neighbours.Neighbours",
]


def crowd(seed: int, rows: int, dimensions: int = 20) -> Points:
    """Points that lie near a plane of few dimensions, as the tags of customers do."""
    random = np.random.default_rng(seed)
    hidden = random.standard_normal((rows, 5)) @ random.standard_normal((5, dimensions))
    return (hidden + 0.5 * random.standard_normal((rows, dimensions))).astype(np.float32)


def told(points: Points, seed: int, strength: float) -> Any:
    """A value for each point that its first dimension decides, the more the stronger."""
    noise = np.random.default_rng(seed).standard_normal(len(points))
    return np.where(strength * points[:, 0] + noise > 0.3, "yes", "no")


def test_the_nearest_are_those_that_every_distance_gives() -> None:
    points = crowd(1, 300)
    distances, positions = Neighbours().fit(points).nearest(points[:40], 7)
    every = np.sqrt(((points[:40, None, :].astype(float) - points[None]) ** 2).sum(axis=2))
    assert (positions == every.argsort(axis=1, kind="stable")[:, :7]).all()
    np.testing.assert_allclose(distances, np.sort(every, axis=1)[:, :7], atol=5e-3)


def test_fewer_are_found_where_fewer_are_known() -> None:
    assert Neighbours().fit(crowd(1, 3)).nearest(crowd(2, 5), 10)[1].shape == (5, 3)


def test_the_index_finds_what_looking_at_everyone_finds() -> None:
    """Of many: recall of the approximate index against the exact search, and its distances."""
    points, asked = crowd(1, 4000, 40), crowd(2, 300, 40)
    exact = Neighbours().fit(points)
    index = Neighbours(exact_limit=1000).fit(points)
    assert len(index.index_) and not len(exact.index_)
    far, wanted = exact.nearest(asked, 20)
    near, found = index.nearest(asked, 20)
    recall = np.mean([np.isin(a, b).mean() for a, b in zip(wanted, found, strict=True)])
    assert recall >= 0.98
    np.testing.assert_allclose(near[:, 0], far[:, 0], rtol=0.05)


def test_the_same_points_give_the_same_index() -> None:
    points = crowd(3, 800)
    one, other = (Neighbours(exact_limit=10).fit(points) for _ in range(2))
    assert (one.index_ == other.index_).all()


def test_an_attribute_that_the_points_tell_is_inferred_and_the_doubtful_are_left_out() -> None:
    points = crowd(4, 900)
    values = told(points, 4, 1.0)
    model = NeighbourAttribute().fit(points[:500], values[:500])
    said = model.predict(points[500:])
    answered = said["value"].notna().to_numpy()
    assert not model.refused_
    right = said["value"].to_numpy()[answered] == values[500:][answered]
    assert right.mean() > (values[500:] == model.mode_).mean() + 0.15
    assert said["confidence"][answered].mean() == pytest.approx(right.mean(), abs=0.06)
    assert 0 < answered.mean() < 1 or model.answered_ == 1
    assert said[answered]["agreeing"].le(said[answered]["asked"]).all()
    assert said[~answered].isna().all(axis=None)


def test_where_every_customer_says_the_same_nothing_is_better_than_that() -> None:
    model = NeighbourAttribute().fit(crowd(5, 60), ["yes"] * 60)
    assert model.refused_
    assert model.predict(crowd(6, 5))["value"].isna().all()


@pytest.mark.slow
def test_an_attribute_without_signal_is_refused_but_for_the_error_allowed() -> None:
    """400 draws of random values: 2.5 % of error allowed, of which 18 would be no chance."""
    points = crowd(7, 150, 4)
    random = np.random.default_rng(7)
    model = NeighbourAttribute(counts=(15, 31), folds=5)
    accepted = sum(
        not model.fit(
            points, random.choice(["a", "b", "c"], len(points), p=[0.5, 0.3, 0.2])
        ).refused_
        for _ in range(400)
    )
    assert accepted <= 17


def of(points: Any) -> Any:
    """Halves of points that are made already."""
    return lambda learnt, masked: (points[learnt], points[masked])


def trained(monkeypatch: pytest.MonkeyPatch, rows: pd.DataFrame, **more: Any) -> Judged:
    """A training on these rows of customer_id, city (the attribute) and features."""
    slugs = [name for name in rows.columns if name not in ("customer_id", "city", *ITEMS)]
    types = {
        slug: DataType.NUMBER if rows[slug].dtype == float else DataType.TEXT for slug in slugs
    }
    file = {
        "name": {"en": "City", "zh": "城市"},
        "description": "Made up.",
        "owner": "crm",
        "task": "similar_customers",
        "attribute": "city",
        "population": "order_count > 0",
        "features": slugs,
        "gate": {"min_known": 100, "max_overconfidence": 0.3},
    }
    monkeypatch.setattr(kind, "known_rows", lambda *_: rows.copy())
    monkeypatch.setattr(kind, "tags_read", lambda *_: types)
    city = SimpleNamespace(definition=SimpleNamespace(type=DataType.TEXT))
    deployment: Any = SimpleNamespace(catalog=SimpleNamespace(tags={"city": city}))
    definition = SimilarCustomersModel.model_validate(file | more)
    return kind.train(Training(deployment, "city", definition, datetime(2017, 12, 1), None))


def customers(rows: int = 300) -> pd.DataFrame:
    """Customers of two cities, which the first of three numbers tells to some extent."""
    points = crowd(11, rows, 3)
    frame = pd.DataFrame(np.asarray(points, dtype=float), columns=["north", "east", "height"])
    frame.insert(0, "customer_id", [f"c{number:04d}" for number in range(rows)])
    return frame.assign(city=pd.Series(told(points, 11, 1.0), dtype=object))


def test_what_makes_points_is_learnt_from_the_half_that_is_learnt_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    learnt_from: list[int] = []

    def space(rows: pd.DataFrame, *more: Any) -> Any:
        learnt_from.append(len(rows))
        return space_of(rows, *more)

    monkeypatch.setattr(kind, "space_of", space)
    judged = trained(monkeypatch, customers())
    assert judged.verdict.accepted, judged.verdict.reasons
    assert learnt_from == [150] * REPEATS + [300]  # the last is what serves


def test_a_feature_that_says_the_attribute_in_other_words_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = customers()
    told_again = rows["city"].map(lambda city: f"greater {city}").astype(object)
    reasons = trained(monkeypatch, rows.assign(district=told_again)).verdict.reasons
    assert any(
        reason.startswith("feature 'district' alone reaches ROC AUC 1.000") for reason in reasons
    )


def test_items_of_which_none_is_common_enough_are_refused_with_the_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = customers()
    bought = [[f"item {number % 10}"] for number in range(300)]
    rows = rows.assign(items=pd.Series(bought), weights=pd.Series([[1.0]] * 300))
    (reason,) = trained(monkeypatch, rows, input="bought").verdict.reasons
    assert reason.startswith("no item of input 'bought' was bought by least_item_share 0.3 of")
    judged = trained(monkeypatch, rows, input="bought", least_item_share=0.05)
    assert not any("least_item_share" in reason for reason in judged.verdict.reasons)


def test_half_masked_households_are_measured_by_household() -> None:
    points = crowd(8, 400)
    metrics = measure(NeighbourAttribute(), of(points), told(points, 8, 1.0))
    assert metrics["gain_over_mode"].low > 0
    assert 0 < metrics["answered"].value <= 1
    assert metrics["accuracy"].value - metrics["mode_accuracy"].value == pytest.approx(
        metrics["gain_over_mode"].value
    )


def test_a_fitted_attribute_is_read_back_without_running_its_file() -> None:
    points = crowd(9, 300)
    model = NeighbourAttribute(exact_limit=100).fit(points, told(points, 9, 1.0))
    kept = skops.io.dumps(model)
    assert sorted(skops.io.get_untrusted_types(data=kept)) == TRUSTED
    again = skops.io.loads(kept, trusted=TRUSTED)
    pd.testing.assert_frame_equal(again.predict(points[:20]), model.predict(points[:20]))


def test_only_common_items_are_dimensions_and_each_has_the_same_spread() -> None:
    bought = pd.DataFrame(
        {
            "items": [["milk", "beer"], ["milk"], ["milk", "rare"], []],
            "weights": [[3.0, 1.0], [1.0], [2.0, 9.0], []],
        }
    )
    learnt = ItemPoints(least_share=0.5).fit(bought)
    assert learnt.get_feature_names_out().tolist() == ["milk"]
    points = learnt.transform(bought)
    assert points.mean() == pytest.approx(0)
    assert points.std() == pytest.approx(1)
    assert points[:, 0].argsort().tolist() == [3, 2, 0, 1]


@pytest.fixture(scope="module")
def households() -> pd.DataFrame:
    """What households told, and what they bought until the last day, as points."""
    days = complete_journey.category_days(datetime(2017, 12, 31))
    weights = days.groupby(["customer_id", "item"])["weight"].sum().reset_index()
    bought = weights.groupby("customer_id").agg(items=("item", list), weights=("weight", list))
    told = complete_journey.demographics()
    points = ItemPoints().fit(bought).transform(bought.loc[told.index])
    return told.assign(point=list(points))


def inferred(households: pd.DataFrame, attribute: str) -> dict[str, Interval]:
    known = households[households[attribute].notna()]
    points = np.stack(known["point"].tolist())
    return measure(NeighbourAttribute(), of(points), known[attribute].to_numpy())


@pytest.mark.slow
def test_marital_status_is_inferred_better_than_by_the_commonest(households: pd.DataFrame) -> None:
    metrics = inferred(households, "marital_status")
    assert metrics["gain_over_mode"].low > 0.03
    assert metrics["answered"].value > 0.3


@pytest.mark.slow
@pytest.mark.parametrize("attribute", ["age", "income", "home_ownership"])
def test_an_attribute_that_shopping_does_not_tell_is_left_alone(
    households: pd.DataFrame, attribute: str
) -> None:
    assert inferred(households, attribute)["answered"].value == 0


@pytest.mark.slow
@pytest.mark.parametrize("attribute", ["household_size", "household_comp", "kids_count"])
def test_no_attribute_is_told_worse_than_its_commonest_value(
    households: pd.DataFrame, attribute: str
) -> None:
    metrics = inferred(households, attribute)
    assert metrics["answered"].value == 0 or metrics["gain_over_mode"].value >= 0
