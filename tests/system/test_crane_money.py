"""Economic, credit and machine tags and grades of a simulated crane maker, against its truth."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pandas as pd
import pytest
from tests.crane_world import CraneWorld, customer_of

from tagline.catalog import load_catalog
from tagline.definitions import DataType
from tagline.engines import open_engine
from tagline.examples import run_examples
from tagline.settings import PROJECT, Settings

pytestmark = pytest.mark.slow
DAY = date(2025, 12, 31)
THEMES = ("economic", "credit", "assessment")


@pytest.fixture(scope="module")
def machines(cranes: CraneWorld) -> pd.DataFrame:
    return cranes.tags(DAY, of_themes(cranes, "machine"), "machine")


@pytest.fixture(scope="module")
def customers(cranes: CraneWorld) -> pd.DataFrame:
    """Their tags, with what is true of them."""
    found = cranes.tags(DAY, [*of_themes(cranes, *THEMES), "has_open_complaint", "recency_days"])
    found["customer"] = customer_of(cranes, DAY).reindex(found.index)
    return found.join(cranes.truth("customers").set_index("customer"), on="customer")


def of_themes(world: CraneWorld, *themes: str) -> list[str]:
    """Their tags but for those that are told by models."""
    catalog = world.catalog
    tags = catalog.tags.items()
    return [slug for slug, tag in tags if tag.theme in themes and not catalog.needs_model(slug)]


def agreement(left: pd.Series, right: pd.Series) -> float:
    """Spearman's rank correlation."""
    return float(left.corr(right, method="spearman"))


def test_the_tags_own_examples_hold() -> None:
    catalog = load_catalog(PROJECT / "include", "crane_works")
    own = {
        slug: tag
        for slug, tag in catalog.tags.items()
        if tag.theme in ("machine", *THEMES) and not catalog.needs_model(slug)
    }
    assert all(tag.definition.examples for slug, tag in own.items() if "grade" not in slug)
    read = {tag.slug: tag for tag in catalog.closure(own)}
    count, wrong = run_examples(replace(catalog, tags=read), open_engine(Settings(threads=1)))
    assert (count > 150, wrong) == (True, [])


def test_the_gate_would_withhold_none_of_the_tags(
    cranes: CraneWorld, machines: pd.DataFrame, customers: pd.DataFrame
) -> None:
    wrong = []
    for rows, themes in ((machines, ("machine",)), (customers, ("economic", "credit"))):
        for slug in of_themes(cranes, *themes):
            tag, values = cranes.catalog.tags[slug].definition, rows[slug].dropna()
            low, high = tag.quality.between or (None, None)
            if len(values) < tag.quality.coverage.get("min", 0) * len(rows):
                wrong.append(f"{slug}: coverage {len(values) / len(rows):.2f}")
            if (low is not None and values.min() < low) or (
                high is not None and values.max() > high
            ):
                wrong.append(f"{slug}: {values.min()} to {values.max()}")
            if tag.type is not DataType.TEXT_LIST and values.nunique() < 2:
                wrong.append(f"{slug}: one value")
    assert wrong == []


def test_a_contract_booked_in_ten_thousands_makes_no_customer_poor(cranes: CraneWorld) -> None:
    booked = pd.read_parquet(cranes.folder / "tables" / "orders.parquet", columns=["amount"])
    assert (booked["amount"] < 20_000).any(), "no machine is as cheap"
    slugs = ["contract_amount_mean", "purchasing_power"]
    found = cranes.tags(DAY, slugs)[slugs]
    assert found.notna().sum().min() > 100
    assert found.min().min() > 100_000


def test_the_economic_score_follows_what_the_customers_machines_truly_work(
    cranes: CraneWorld, customers: pd.DataFrame
) -> None:
    """True work is the number of machines truly held times the mean activity of the year.

    Customers without machines, who all score next to nothing, would only flatter the figure.
    """
    owners, built = cranes.truth("machine_owners"), cranes.truth("machines").set_index("serial_no")
    held = owners[pd.to_datetime(owners["owned_from"]) < pd.Timestamp(DAY)]
    last = held.sort_values("owned_from").groupby("serial_no")["customer"].last()
    scrapped = pd.to_datetime(built["scrapped_on"]).reindex(last.index)
    count = last[scrapped.isna() | (scrapped > pd.Timestamp(DAY))].value_counts()
    months = cranes.truth("customer_months")
    year = months[pd.to_datetime(months["month"]) >= pd.Timestamp(DAY.year, 1, 1)]
    work = count * year.groupby("customer")["activity"].mean()
    found = customers.assign(work=work.reindex(customers["customer"]).to_numpy()).dropna(
        subset=["work"]
    )
    assert len(found) > 200
    assert agreement(found["economic_score"], found["work"]) >= 0.6
    grown = found.dropna(subset=["machine_day_hours_growth"])
    assert agreement(grown["machine_day_hours_growth"], grown["growth"]) >= 0.5


def test_the_credit_score_follows_the_payment_morale(customers: pd.DataFrame) -> None:
    """Of customers with six instalments due or more; fewer tell little of a morale."""
    found = customers[customers["due_count_total"] >= 6]
    assert len(found) > 200
    assert agreement(found["credit_score"], found["morale"]) >= 0.6


def test_machines_that_break_down_often_are_in_poorer_health(
    cranes: CraneWorld, machines: pd.DataFrame
) -> None:
    truth = cranes.truth("machines").set_index("serial_no").reindex(machines.index)
    years = machines["machine_age_years"].clip(0.5, 3)  # what the simulation counted
    assert agreement(machines["machine_health_index"], truth["failures_expected"] / years) <= -0.4
    assert set(machines["machine_health_class"].dropna()) == {"sound", "worn", "poor"}


def test_the_buckets_of_ageing_are_what_is_overdue(customers: pd.DataFrame) -> None:
    buckets = ["overdue_amount_30d", "overdue_amount_60d", "overdue_amount_90d"]
    summed = customers[[*buckets, "overdue_amount_over_90d"]].sum(axis="columns")
    assert (summed - customers["overdue_amount"]).abs().max() < 0.01
    assert (customers["overdue_amount"] <= customers["exposure_amount"] + 0.01).all()
    assert (customers["overdue_amount"] > 0).sum() > 10
    late = customers["overdue_days_max"] > 0
    assert (late == (customers["overdue_amount"] > 0)).all()


def test_every_customer_has_one_grade_with_the_tags_that_decide_it(
    cranes: CraneWorld, customers: pd.DataFrame
) -> None:
    policy = cranes.catalog.policies["customer_grade"]
    shares = customers["customer_grade"].value_counts(normalize=True)
    assert customers["customer_grade"].notna().all() and customers.index.is_unique
    assert set(shares.index) == set("ABCD")
    assert all(0.03 < share < 0.6 for share in shares), dict(shares)
    named = {each.tag for each in policy.inputs} | {each.tag for each in policy.limits}
    assert all(
        len(names) > 0 and set(names) <= named for names in customers["customer_grade_reasons"]
    )
    care = customers["has_open_complaint"].eq(True) | (customers["fleet_poor_health_count"] >= 1)
    assert (customers["customer_grade_care"] == care).all()
    assert care.any() and not care.all()


def test_grades_keep_the_order_of_what_customers_are_worth(customers: pd.DataFrame) -> None:
    means = customers.groupby("customer_grade")[["economic_score", "profit_contribution_total"]]
    for column in means.mean().columns:
        assert means.mean()[column].loc[list("ABCD")].is_monotonic_decreasing, column
    long = customers["overdue_days_max"] >= 90
    assert set(customers.loc[long, "customer_grade"]) <= {"C", "D"}
