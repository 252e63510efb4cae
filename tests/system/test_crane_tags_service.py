"""The crane maker's tags of opportunities, intention, service and relations against the truth.

What each score claims: the intention score, how much a customer wants to buy in the last three
months (`intent`); the service score, how little dissatisfied it is in them (`dissatisfaction`); the
service demand score, how many breakdowns its present machines are expected to have had. The
simulator draws what the tags see from these, and the tags see nothing of them directly.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from examples.crane_works.__main__ import main as simulate
from tests.conftest import drop_databases
from tests.crane_identity import resolve_identity
from tests.crane_world import CraneWorld, customer_of, read_world
from tests.definition_copies import copied_definitions

from tagline.deployment import Deployment, open_deployment
from tagline.pipeline import run_day
from tagline.serve.profiles import profile
from tagline.settings import PROJECT, Settings

pytestmark = pytest.mark.slow

AS_OF = date(2025, 12, 31)
BEFORE = date(2025, 3, 1)
THEMES = ("intention", "service", "relations")
OPEN_STAGES = ["lead", "qualified", "quoted", "negotiating"]
# What at least that share of the customers has; a tag that is not here is of all.
COVERAGE = {
    "answering_channel": 0.6,
    "app_views_per_login_180d": 0.6,
    "complaint_close_days_365d": 0.2,
    "complaint_share_3y": 0.55,
    "course_topics": 0.4,
    "building_sites": 0.6,
    "fleet_beyond_replacement_share": 0.6,
    "hours_to_next_maintenance": 0.6,
    "last_complaint_days": 0.3,
    "main_site": 0.6,
    "newest_opportunity_days": 0.5,
    "open_complaint_days": 0.01,
    "opportunity_won_share_365d": 0.3,
    "preferred_capacity_band": 0.5,
    "preferred_category": 0.5,
    "purchasing_power": 0.3,
    "purchasing_power_rank": 0.3,
    "repair_hours_mean_365d": 0.5,
    "repeat_repair_share_365d": 0.5,
    "response_hours_mean_365d": 0.5,
    "satisfaction_class": 0.2,
    "satisfaction_mean_3y": 0.4,
    "satisfaction_score": 0.2,
    "satisfaction_trend": 0.08,
    "satisfaction_valid_until": 0.2,
    "service_score": 0.6,
    "sms_delivered_share_365d": 0.8,
    "sms_reply_share_365d": 0.8,
    "top_viewed_category_180d": 0.5,
    "top_viewed_models_180d": 0.5,
    "warranty_share": 0.6,
}


def computed(world: CraneWorld, *themes: str) -> list[str]:
    """The tags of the themes but for those that are told by models."""
    catalog = world.catalog
    tags = catalog.tags.items()
    return [slug for slug, tag in tags if tag.theme in themes and not catalog.needs_model(slug)]


@pytest.fixture(scope="module")
def customers(cranes: CraneWorld) -> pd.DataFrame:
    """The tags of the three themes, of each company's leading account, with its true name."""
    slugs = computed(cranes, *THEMES)
    rows = cranes.tags(AS_OF, slugs)
    led = pd.read_parquet(cranes.folder / "tables" / "identity.parquet")["customer_id"].dropna()
    rows = rows[rows.index.isin(led)]
    return rows.assign(company=rows.index.map(customer_of(cranes, AS_OF).to_dict()))


@pytest.fixture(scope="module")
def months(cranes: CraneWorld) -> pd.DataFrame:
    """Each company's true state in the three months before as_of, as their mean."""
    rows = cranes.truth("customer_months")
    rows = rows[pd.to_datetime(rows["month"]) >= pd.Timestamp("2025-10-01")]
    return rows.groupby("customer")[["intent", "dissatisfaction"]].mean()


def rank_correlation(score: pd.Series[Any], truth: pd.Series[Any]) -> float:
    """Spearman's, over those who have both."""
    known = score.notna() & truth.notna()
    assert known.sum() > 100
    return float(score[known].astype(float).rank().corr(truth[known].rank()))


def test_the_intention_score_ranks_customers_by_their_true_intent(
    customers: pd.DataFrame, months: pd.DataFrame
) -> None:
    intent = customers["company"].map(months["intent"])
    assert rank_correlation(customers["intention_score"], intent) >= 0.65
    levels = intent.groupby(customers["intention_level"]).mean()
    assert levels["high"] > levels["medium"] > levels["low"]


def test_the_service_score_ranks_customers_against_their_true_dissatisfaction(
    customers: pd.DataFrame, months: pd.DataFrame
) -> None:
    """Of those of whom it says anything: who has machines or answered a survey."""
    truth = customers["company"].map(months["dissatisfaction"])
    assert rank_correlation(customers["service_score"], truth) <= -0.6
    classes = truth.groupby(customers["satisfaction_class"]).mean()
    assert classes["dissatisfied"] > classes["mixed"] > classes["satisfied"]


def test_the_service_demand_score_ranks_customers_by_their_expected_breakdowns(
    cranes: CraneWorld, customers: pd.DataFrame
) -> None:
    owners = cranes.truth("machine_owners").sort_values("owned_from")
    owner = owners.groupby("serial_no")["customer"].last()
    expected = cranes.truth("machines").set_index("serial_no")["failures_expected"]
    truth = customers["company"].map(expected.groupby(owner).sum())
    assert rank_correlation(customers["service_demand_score"], truth) >= 0.75


def test_each_tag_covers_its_part_of_the_customers(
    cranes: CraneWorld, customers: pd.DataFrame
) -> None:
    tags = computed(cranes, *THEMES)
    assert len(tags) >= 70 and set(COVERAGE) <= set(tags)
    covered = customers[tags].notna().mean()
    print(covered.round(3).to_string())
    assert {slug: covered[slug] for slug in tags if covered[slug] < COVERAGE.get(slug, 0.97)} == {}
    assert {slug for slug in tags if customers[slug].map(str).nunique() < 2} == set()


def test_the_tags_of_open_opportunities_tell_more_of_winning_than_the_stage(
    cranes: CraneWorld,
) -> None:
    rows = pd.concat(
        _open_opportunities(cranes, day)
        for day in (date(2024, 3, 1), date(2024, 9, 1), BEFORE, date(2025, 9, 1))
    )
    chance = rows.index.to_series().map(
        cranes.truth("opportunities").set_index("opportunity_no")["win_probability"]
    )
    told = {slug: rank_correlation(rows[slug], chance) for slug in (
        "opportunity_win_share", "opportunity_views_per_login_180d",
        "opportunity_activities_monthly", "opportunity_discount_share",
    )}  # fmt: skip
    assert told["opportunity_views_per_login_180d"] > told["opportunity_win_share"]
    assert told["opportunity_activities_monthly"] > 0.3
    assert told["opportunity_discount_share"] > 0.05
    rivals = chance.groupby(rows["has_competitor"].astype(bool)).mean()
    assert rivals[True] < rivals[False]


def test_what_came_after_a_day_changes_no_tag_of_an_opportunity_of_that_day(
    cranes: CraneWorld, tmp_path: Path
) -> None:
    """The systems as they stood then, read then, tell what their history tells at the end.

    But for a few customers' signals: who changed company since is with the new one in the CRM, and
    at which company that person was before, only those know who read it then.
    """
    size = ("--customers", "400", "--machines", "1000", "--years", "3")
    command = ("--parquet", str(tmp_path / "systems"), "--truth", str(tmp_path / "hidden"))
    assert simulate([*command, *size, "--until", str(BEFORE)]) == 0
    then = read_world(tmp_path)
    resolve_identity(then)
    known, found = _open_opportunities(then, BEFORE), _open_opportunities(cranes, BEFORE)
    assert set(known.index) == set(found.index) and len(known) > 50
    differ = pd.DataFrame({slug: known[slug].map(str) != found[slug].map(str) for slug in found})
    tags = cranes.catalog.tags
    assert {tags[slug].dimension for slug in map(str, found) if differ[slug].any()} <= {"signals"}
    assert differ.any(axis=1).sum() <= 0.03 * len(known)


def _open_opportunities(world: CraneWorld, as_of: date) -> pd.DataFrame:
    slugs = computed(world, "opportunity")
    rows = world.tags(as_of, slugs, "opportunity")
    return rows[rows["opportunity_stage"].isin(OPEN_STAGES)][slugs].sort_index()


NOW = datetime(2026, 3, 5, tzinfo=UTC)
FIRST, SECOND = date(2026, 3, 2), date(2026, 3, 3)
CLEARED = ("has_open_complaint", "open_complaint_days")
EXPIRED = ("satisfaction_score", "satisfaction_valid_until", "satisfaction_class")
SOLD = {
    "customers": "SELECT company AS customer_id, since AS since_at FROM sold",
    "identity": """
        SELECT 'crm:' || company AS customer_key, company AS customer_id FROM sold
        UNION ALL
        SELECT 'survey:' || spelt AS customer_key, company AS customer_id FROM sold""",
    "machines": """
        SELECT serial_no AS machine_id, 'crm:' || company AS owner, 'TC50' AS product_id,
          since AS since_at, false AS is_returned, since AS valid_at
        FROM sold""",
}


@pytest.fixture
def paper(tmp_path: Path, postgres_url: str) -> Iterator[Deployment]:
    """A business of two companies with the definitions of all, the desk's and the survey's SQL.

    What the systems hold lies in files that a test writes.
    """
    include, definitions = PROJECT / "include", copied_definitions(tmp_path / "definitions")
    tables: dict[str, Any] = {
        "sold": {"columns": dict.fromkeys(("company", "spelt", "serial_no"), "text")}
    }
    tables["sold"]["columns"]["since"] = "timestamp"
    for source in ("crane_service_desk", "crane_survey"):
        tables |= yaml.safe_load((include / f"sources/{source}.yaml").read_text("utf-8"))["tables"]
    (definitions / "data").mkdir()
    for name, table in tables.items():
        tables[name] = {"path": f"{name}.csv", "columns": table["columns"]}
        _write(definitions, name, [], list(table["columns"]))
    folder = definitions / "sql" / "sources" / "paper"
    folder.mkdir()
    for table, sql in SOLD.items():
        (folder / f"{table}.sql").write_text(sql)
    for source, table in (("crane_service_desk", "service_tickets"), ("crane_survey", "surveys")):
        shutil.copy(include / f"sql/sources/{source}/{table}.sql", folder)
    named = {"name": {"en": "Paper", "zh": "纸"}, "description": "Made for a test."}
    place = {"timezone": "Asia/Shanghai"}
    feeds = dict.fromkeys((*SOLD, "service_tickets", "surveys"), "snapshot")
    made = named | place | {"type": "files", "location": "data", "feeds": feeds, "tables": tables}
    _define(definitions / "sources" / "paper.yaml", made)
    business: dict[str, Any] = (
        named | place | {"currency": "CNY", "identity": "mapped", "sources": ["paper"]}
    )
    business |= {"tags": [*CLEARED, *EXPIRED], "starts_on": date(2025, 1, 1)}
    _define(definitions / "businesses" / "paper.yaml", business)
    settings = Settings(
        business="paper", definitions=definitions, home=tmp_path / "home", database_url=postgres_url
    )
    with open_deployment(settings) as deployment:
        yield deployment
    drop_databases(settings)


def test_a_complaint_clears_and_a_survey_expires_in_the_next_run(paper: Deployment) -> None:
    since = "2020-01-01 00:00:00"
    sold = [("K-1", "张三重工|江苏", "M1", since), ("K-2", "李四|江苏", "M2", since)]
    _fill(paper, "sold", sold)
    _fill(paper, "answers", [(1, "张三重工", "江苏", None, "2025/03/03", 80, 100, None)])
    opened = ("TS-1", None, "M2", 2, "维修太慢", "2026-02-20 09:00:00")
    _fill(paper, "complaints", [(*opened, None, "2026-02-20 09:00:00")])
    first = _released(paper, FIRST, "first")
    assert first["K-2"]["has_open_complaint"] == (True, False)
    assert first["K-2"]["open_complaint_days"] == (10, False)
    assert first["K-1"]["has_open_complaint"] == (False, False)
    assert [first["K-1"][slug][0] for slug in EXPIRED] == [80.0, "2026-03-03", "satisfied"]
    assert {first["K-2"][slug][0] for slug in EXPIRED} == {None}

    _fill(paper, "complaints", [(*opened, "2026-03-02 10:00:00", "2026-03-02 10:00:00")])
    second = _released(paper, SECOND, "second")
    assert second["K-2"]["has_open_complaint"] == (False, False)
    assert second["K-2"]["open_complaint_days"] == (None, False)
    assert {second["K-1"][slug][0] for slug in EXPIRED} == {None}


def _released(paper: Deployment, day: date, run_id: str) -> dict[str, dict[str, tuple[Any, bool]]]:
    """Run a day; each tag's value, and whether it has expired at once, by customer."""
    as_of = paper.catalog.midnight(day)
    report = run_day(paper, as_of, run_id, lambda: NOW)
    assert report.status == "released"
    return {
        customer: {
            slug: (tag["value"], tag["expired"])
            for slug, tag in profile(paper, customer, as_of, as_of)["tags"].items()
        }
        for customer in ("K-1", "K-2")
    }


def _fill(paper: Deployment, table: str, rows: list[tuple[Any, ...]]) -> None:
    columns = list(paper.catalog.sources["paper"].tables[table].columns)
    _write(paper.settings.definitions, table, rows, columns)


def _write(definitions: Path, table: str, rows: list[tuple[Any, ...]], columns: list[str]) -> None:
    frame = pd.DataFrame(rows, columns=columns)
    frame.to_csv(definitions / "data" / f"{table}.csv", index=False)


def _define(path: Path, made: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(made, allow_unicode=True, sort_keys=False), "utf-8")
