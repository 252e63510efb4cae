"""The crane maker's models on its simulated systems: against plain rules, and against the truth.

What is hidden is a customer's morale and intent, and an opportunity's chance of winning at its
opening. No model can be expected to know them; each is measured by how near it comes.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from tests.crane_company import Company, accepted, area, company_of, ranks_agree
from tests.crane_identity import resolve_identity
from tests.crane_world import CraneWorld, crane_world, customer_of, read_world

from tagline.training.inputs import load_panel

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

UNREAD = ("machine_days", "parts_used", "service_calls")  # by the models of opportunities and money


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[Company]:
    """The default size, of which a few hundred opportunities are open at a time."""
    world = crane_world(tmp_path_factory.mktemp("company"), 2000, 5000, without=UNREAD)
    resolve_identity(world)
    home = tmp_path_factory.mktemp("models")
    with company_of(world, home, postgres_url, "crane_sales") as opened:
        yield opened


def test_win_probability_is_surely_better_than_what_salespeople_guess(company: Company) -> None:
    metrics = accepted(company.trained("win_probability"))
    assert metrics["holdout"]["rows"] > 2000, "eight instants are judged together"
    assert metrics["gain_over_rule"]["low"] > 0.05
    assert metrics["brier_gain_over_rule"]["low"] > 0.02
    assert metrics["roc_auc"]["value"] > 0.85
    assert metrics["calibration_error"]["value"] <= 0.05 < metrics["rule_calibration_error"]["low"]
    first = datetime.fromisoformat(metrics["holdout"]["first_as_of"])
    newest = datetime.fromisoformat(metrics["training"]["as_of"][0])
    assert (first - newest).days >= 90, "no label of the training reaches into the holdout"


def test_win_probability_comes_near_the_true_chance_of_winning(company: Company) -> None:
    truth = company.world.truth("opportunities").set_index("opportunity_no")["win_probability"]
    days = (date(2025, 2, 1), date(2025, 6, 1), date(2025, 10, 1))
    rows = pd.concat([company.told("win_probability", day) for day in days])
    true = rows.index.map(truth.to_dict()).to_series(index=rows.index)
    found = ranks_agree(rows["chance"], true)
    guessed = ranks_agree(rows["opportunity_win_share"], true)
    assert found > 0.6 and found > guessed + 0.2
    young = rows["opportunity_age_days"] < 10  # none is closed by then: of these it is unbiased
    thirds = pd.qcut(rows.loc[young, "chance"], 3, labels=False)
    gap = (rows.loc[young, "chance"] - true[young]).groupby(thirds).mean()
    assert young.sum() > 60 and gap.abs().max() < 0.12


def test_a_label_of_an_opportunity_is_how_it_ended_within_the_horizon(company: Company) -> None:
    day, end = pd.Timestamp("2025-06-01"), pd.Timestamp("2025-08-30")
    labels = company.labels("win_probability", day.date())
    truth = company.world.truth("opportunities").set_index("opportunity_no")
    closes = pd.to_datetime(truth["closes_at"]).reindex(labels.index)
    inside = (closes >= day) & (closes < end)
    told = labels[inside].dropna()
    assert len(told) > 200 and len(told) > 0.97 * inside.sum(), "but for those that were deleted"
    assert (told.astype(bool) == truth.loc[told.index, "wins"]).all()
    assert labels[~inside].isna().all()
    population = company.told("win_probability", day.date())
    opened = closes.reindex(population.index)
    assert (opened >= day).all(), "of those that are closed nothing is asked"


DAY = date(2025, 6, 1)
OTHER_ENDS = {
    "opportunities": """
        SELECT * EXCLUDE later REPLACE (
            if(later, if(stage = 'won', 'lost', 'won'), stage) AS stage,
            if(later, 100 - win_pct, win_pct) AS win_pct,
            CASE WHEN later AND stage = 'won' THEN '价格' WHEN NOT later THEN lost_reason END
                AS lost_reason)
        FROM (SELECT *, coalesce(closed_at >= $day, false) AND NOT is_deleted AS later FROM rows)
        """,
    "opportunity_stages": """
        SELECT * EXCLUDE later REPLACE (
            if(later, if(stage = 'won', 'lost', 'won'), stage) AS stage)
        FROM (SELECT *, entered_at >= $day AND stage IN ('won', 'lost') AS later FROM rows)
        WHERE entered_at < $day OR later""",
    "activities": "SELECT * FROM rows WHERE happened_at < $day",
}


def test_how_an_opportunity_goes_on_changes_its_label_and_none_of_its_features(
    company: Company, tmp_path: Path, postgres_url: str
) -> None:
    """Of a panel of the training, where all that is open on a day ends the other way."""
    model = company.world.catalog.models["win_probability"]
    world = _ending_otherwise(company.world, tmp_path)
    with company_of(world, tmp_path / "home", postgres_url, "crane_otherwise") as otherwise:
        one, other = (
            load_panel(each.deployment, model, ("opportunity_win_share",), company.midnight(DAY))
            for each in (company, otherwise)
        )
    assert len(one.label) > 200 and list(one.customers) == list(other.customers)
    pd.testing.assert_frame_equal(one.rows, other.rows)
    assert (one.label == 1 - other.label).all()


def _ending_otherwise(world: CraneWorld, folder: Path) -> CraneWorld:
    """The world where what was open on DAY is won instead of lost, or lost instead of won."""
    systems = folder / "systems"
    (systems / "crm").mkdir(parents=True)
    known = world.folder / "systems"
    for path in (*known.iterdir(), *(known / "crm").iterdir()):
        if path.name not in (*OTHER_ENDS, "crm"):
            (systems / path.relative_to(known)).symlink_to(path)
    with duckdb.connect(config={"threads": 1}) as connection:
        for name, sql in OTHER_ENDS.items():
            (systems / "crm" / name).mkdir()
            files, made = known / "crm" / name / "*.parquet", systems / "crm" / name / "0.parquet"
            asked = f"WITH rows AS (FROM '{files}') {sql}".replace("$day", f"TIMESTAMP '{DAY}'")
            connection.execute(f"COPY ({asked}) TO '{made}'")
    tables = {path.stem: path for path in (world.folder / "tables").iterdir()}
    read = ("opportunities", "opportunity_activities")
    made_again = read_world(folder, {name for name in tables if name not in read} | set(UNREAD))
    for name, path in tables.items():
        if name.removesuffix("__superseded") not in read:
            (folder / "tables" / path.name).symlink_to(path)
    return made_again


def test_late_payment_is_told_better_than_by_the_share_paid_in_time(company: Company) -> None:
    metrics = accepted(company.trained("late_payment"))
    assert metrics["gain_over_rule"]["low"] > 0.01
    assert metrics["calibration_error"]["value"] <= 0.05
    day = date(2025, 9, 1)
    rows = company.told("late_payment", day)
    chance = true_chance_of_being_late(company, day).reindex(rows.index)
    assert ranks_agree(rows["chance"], chance) > 0.7
    label = company.labels("late_payment", day).reindex(rows.index)
    assert area(label, rows["chance"]) > area(label, chance) - 0.08


def true_chance_of_being_late(company: Company, day: date) -> pd.Series[Any]:
    """That any instalment due in 45 days is paid more than ten days late, as the README says."""
    due = pd.read_parquet(company.world.folder / "tables" / "receivables.parquet")
    begin = pd.Timestamp(company.world.catalog.midnight(day))
    due = due[(due["due_at"] >= begin) & (due["due_at"] < begin + pd.Timedelta(days=45))]
    due = due[due["settled_at"].isna() | (due["settled_at"] >= begin)]
    count = due.groupby(due["customer_key"].str.removeprefix("crm:"))["receivable_id"].nunique()
    customer = customer_of(company.world, day)
    truth = company.world.truth("customers").set_index("customer")
    morale = customer.map(truth["morale"]).reindex(count.index).astype(float)
    late = 1 / (1 + np.exp(-(2.2 - 5 * morale)))
    beyond = 1 - norm.cdf((np.log(11) - np.log(4 + 45 * (1 - morale))) / 0.8)
    stuck = 0.12 * (1 - morale) ** 2
    single = 1 - (1 - late * beyond) * (1 - stuck)
    return pd.Series(1 - (1 - single) ** count, dtype=float)


def test_who_buys_again_is_told_better_than_by_open_opportunities(company: Company) -> None:
    metrics = accepted(company.trained("machine_repurchase"))
    assert metrics["gain_over_rule"]["low"] > 0.05
    assert metrics["calibration_error"]["value"] <= 0.05
    day = date(2025, 7, 1)
    rows = company.told("machine_repurchase", day)
    months = company.world.truth("customer_months")
    month = months[pd.to_datetime(months["month"]) == pd.Timestamp(day)]
    intent = month.set_index("customer")["intent"]
    true = rows.index.to_series().map(customer_of(company.world, day).map(intent).to_dict())
    assert ranks_agree(rows["chance"], true) > 0.55
    label = company.labels("machine_repurchase", day).reindex(rows.index)
    assert area(label, rows["chance"]) > area(label, true) - 0.05
