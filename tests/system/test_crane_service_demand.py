"""The crane maker's model of repairs of its simulated machines: against a rule, and the truth.

No model can be expected to know the rate of a machine's breakdowns; this is measured by how near it
comes.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pandas as pd
import pyarrow.parquet as parquet
import pytest
from tests.crane_company import NOW, Company, area, company_of, ranks_agree
from tests.crane_world import CraneWorld

from tagline.compute import compute
from tagline.training.score import score

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def works(
    cranes: CraneWorld, tmp_path_factory: pytest.TempPathFactory, postgres_url: str
) -> Iterator[Company]:
    """A fifth of the size, with what each machine did each day."""
    home = tmp_path_factory.mktemp("works")
    with company_of(cranes, home, postgres_url, "crane_service") as opened:
        yield opened


def test_a_model_of_repairs_comes_near_the_rate_of_breakdowns_and_is_served_only_if_sure(
    works: Company,
) -> None:
    report = works.trained("service_demand_30d")
    gain = report.metrics["gain_over_rule"]
    print(report.verdict, report.reasons, gain, report.metrics["calibration_error"])
    assert report.metrics["roc_auc"]["low"] > 0.6 and gain["value"] > 0.01
    assert report.metrics["calibration_error"]["value"] <= 0.03
    assert (report.verdict == "accepted") == (gain["low"] > 0), "a fifth of the machines is few"
    day = date(2025, 11, 1)
    rows = works.told("service_demand_30d", day)
    machines = works.world.truth("machines").set_index("serial_no")
    began = pd.read_parquet(works.world.folder / "tables" / "machines.parquet")
    began = began.groupby("machine_id")["since_at"].min().dt.tz_localize(None)
    ended = pd.to_datetime(machines["scrapped_on"]).fillna(pd.Timestamp("2026-01-01"))
    first, last = pd.Timestamp("2023-01-01"), pd.Timestamp("2026-01-01")
    began = began.reindex(machines.index).where(lambda at: at > first, first)
    months = (ended.where(ended < last, last) - began).dt.days / 30.44
    monthly = (machines["failures_expected"] / months.where(months > 3)).reindex(rows.index)
    print(
        "ranks", *(ranks_agree(rows[each], monthly) for each in ("chance", "machine_repairs_365d"))
    )
    assert ranks_agree(rows["chance"], monthly) > 0.4
    label = works.labels("service_demand_30d", day).reindex(rows.index)
    assert area(label, rows["chance"]) > area(label, monthly) - 0.05


def test_the_machines_that_report_are_scored_or_it_is_said_why_not(works: Company) -> None:
    report = works.trained("service_demand_30d")
    works.deployment.registry.start_run("day", works.at, NOW)
    compute(works.deployment, "day", works.at, NOW)
    done = score(works.deployment, "day", works.at, NOW)
    if report.verdict == "refused":
        assert report.reasons[0] in done.unavailable["repair_probability_30d"]
        return
    machines = parquet.read_table(done.subjects["machine"]["path"]).to_pandas()
    reports = machines["machine_last_reading_days"] <= 30
    assert (machines["repair_probability_30d"].notna() == reports).all() and reports.sum() > 500
