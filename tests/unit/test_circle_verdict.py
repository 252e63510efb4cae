"""The gate of circles, and what it says of customers who have none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from tagline.definitions.models import CirclesModel
from tagline.definitions.models.circles import CirclesGate
from tagline.training.circle_measures import told_by
from tagline.training.circle_verdict import Figures, measure, shape_reasons, trust_reasons
from tagline.training.estimators.circles import Circles
from tagline.training.evaluate import Interval
from tagline.training.kinds import circles as kind

FINE = Figures(
    weekly=(0.95, 0.97),
    seeds=(0.93,),
    metrics={
        "weekly_agreement": Interval(0.95, 0.94, 0.96),
        "seed_agreement": Interval(0.93, 0.92, 0.94),
        "likeness": Interval(0.03, 0.02, 0.04),
    },
    chance=0.001,
    alike={"fresh_share": 0.03},
    told={"fresh_share": 0.12},
)


def found(sizes: list[int], modularity: float = 0.8) -> Circles:
    model = Circles()
    model.sizes_ = np.array(sizes)
    model.circles_ = np.arange(1, len(sizes) + 1)
    model.customers_ = np.array([f"c{n:04}" for n in range(sum(sizes))])
    model.labels_ = np.repeat(model.circles_, sizes)
    model.modularity_ = modularity
    return model


def changed(name: str, value: Interval) -> Figures:
    return Figures(
        FINE.weekly, FINE.seeds, {**FINE.metrics, name: value}, FINE.chance, FINE.alike, FINE.told
    )


def test_circles_that_last_and_mean_something_are_accepted() -> None:
    assert shape_reasons(CirclesGate(), found([40] * 10)) == ()
    assert trust_reasons(CirclesGate(), FINE) == ()


def test_few_large_and_unclear_circles_are_refused_in_words() -> None:
    reasons = shape_reasons(CirclesGate(), found([90, 30, 30], modularity=0.12))
    assert reasons == (
        "there are 3 circles, fewer than min_circles 8",
        "the largest circle holds 60% of the customers, more than max_share 40%",
        "modularity 0.120 is below min_modularity 0.3: customers share items across circles "
        "nearly as within",
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("weekly_agreement", "between consecutive weeks the adjusted Rand index falls to 0.560"),
        ("seed_agreement", "between seeds the adjusted Rand index falls to 0.560"),
    ],
)
def test_circles_that_do_not_last_are_refused(name: str, said: str) -> None:
    (reason,) = trust_reasons(CirclesGate(), changed(name, Interval(0.56, 0.5, 0.6)))
    assert reason.startswith(said)
    assert f"below min_{name} 0.8" in reason


def test_circles_whose_members_are_alike_in_nothing_else_are_refused() -> None:
    lot = Figures(FINE.weekly, FINE.seeds, FINE.metrics, 0.3, FINE.alike, FINE.told)
    (by_chance,) = trust_reasons(CirclesGate(), lot)
    assert "reached by circles drawn by lot with probability 0.300" in by_chance
    (unsure,) = trust_reasons(CirclesGate(), changed("likeness", Interval(0.01, -0.01, 0.03)))
    assert "not surely more alike" in unsure


@pytest.mark.parametrize("value", [np.nan, 1.0])
def test_circles_that_no_tag_can_judge_are_refused(value: float) -> None:
    weekly = [Circles(neighbours=10).fit(strangers(0))] * 2
    fresh = [Circles(neighbours=10, seed=seed).fit(strangers(0)) for seed in range(2)]
    figures = measure(weekly, fresh, pd.DataFrame({"fresh_share": np.full(300, value)}))
    assert figures.chance == 1.0
    gate = CirclesGate(min_seed_agreement=0.01)
    (reason,) = trust_reasons(gate, figures)
    assert reason.startswith("whether the members of a circle are alike cannot be measured")


def test_a_judging_tag_that_made_the_circles_is_refused_by_name() -> None:
    labels = np.repeat([1, 2, 3], 30)
    store = pd.Series(labels.astype(str), dtype=object)
    random = np.random.default_rng(0)
    assert told_by(labels, store) == 1.0
    assert told_by(labels, pd.Series(random.random(90))) < 0.5
    gaps = pd.Series(np.where(labels == 1, np.nan, random.random(90)))
    assert 0.3 < told_by(labels, gaps) < 0.8  # that a value is missing tells the first circle
    assert told_by(labels, store.where(store != "2", None)) == 1.0
    assert told_by(labels, pd.Series(random.integers(0, 60, 90).astype(str))) < 0.5
    for nothing in (np.full(90, np.nan), np.ones(90)):
        assert told_by(labels, pd.Series(nothing)) == 0.0  # no circle is ahead of the others
    made = Figures(
        FINE.weekly, FINE.seeds, FINE.metrics, FINE.chance, FINE.alike, {"main_store": 0.83}
    )
    (reason,) = trust_reasons(CirclesGate(), made)
    assert reason.startswith("tag 'main_store' alone tells the circle of 83% of the customers")


def strangers(seed: int, customers: int = 300, shops: int = 40) -> pd.DataFrame:
    """Visits at random: nobody belongs to anybody."""
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "customer_id": np.repeat([f"c{n:03}" for n in range(customers)], 4),
            "item": random.integers(0, shops, 4 * customers).astype(str),
            "weight": 1.0,
        }
    )


def test_customers_who_shop_anywhere_are_refused_as_circles() -> None:
    weekly = [Circles(neighbours=10).fit(strangers(0))]
    weekly.append(Circles(neighbours=10).fit(strangers(1), previous=weekly[0]))
    fresh = [Circles(neighbours=10, seed=seed).fit(strangers(1)) for seed in range(2)]
    random = np.random.default_rng(3)
    tags = pd.DataFrame({"fresh_share": random.random(300), "evening_share": random.random(300)})
    figures = measure(weekly, fresh, tags)
    said = " ".join(trust_reasons(CirclesGate(), figures))
    assert "between consecutive weeks" in said
    assert "not surely more alike" in said
    assert figures.metrics["weekly_agreement"].value == min(figures.weekly)


def definition(**more: object) -> CirclesModel:
    return CirclesModel.model_validate(
        {
            "name": {"en": "Circles", "zh": "圈子"},
            "description": "Made up.",
            "owner": "crm",
            "task": "circles",
            "population": "order_count >= 1",
            "input": "stores",
            "named_by": ["main_store"],
            "judged_by": ["fresh_share"],
            **more,
        }
    )


def test_a_file_names_what_training_reads_besides_the_input() -> None:
    assert dict(definition().compared) == {
        ("named_by", 0): "main_store",
        ("judged_by", 0): "fresh_share",
    }
    with pytest.raises(ValidationError, match="max_share"):
        definition(gate={"max_share": 1.5})


def test_answers_give_number_and_name_and_null_for_who_is_in_no_circle() -> None:
    rows = pd.DataFrame(
        [
            (f"c{n:02}", f"shop {2 * (n % 2) + shop}", 1.0 + shop)
            for n in range(40)
            for shop in range(2)
        ],
        columns=["customer_id", "item", "weight"],
    )
    model = Circles(neighbours=5).fit(rows)
    model.call({1: ("main store 7", "常去门店7", "main_store=7"), 2: ("low", "低", "x=low")})
    asked = pd.concat(
        [rows.head(4), pd.DataFrame({"customer_id": ["z"], "item": ["?"], "weight": [1.0]})]
    )
    told = kind.answers(definition(), model, asked)
    assert list(told.columns) == ["customer_id", *definition().outputs]
    assert told["circle"].tolist() == ["1 main store 7", "2 low", None]
    assert told["circle_zh"].tolist() == ["1 常去门店7", "2 低", None]
    assert told["id"].tolist()[:2] == [1, 2]
    assert told[["id", "strength"]].iloc[2].isna().all()
    assert told["strength"].iloc[:2].astype(float).between(0.9, 1).all()
