"""`make demo BUSINESS=crane_works ONCE=1` through the real Airflow, on a small company; one day."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from examples.crane_works.parameters import Parameters
from examples.crane_works.parquet_files import without_truth
from examples.crane_works.postgres import write_database
from examples.crane_works.world import simulate
from tests.system.demos import fresh_home, shown_by_demo

from tagline.database import demo_source_url
from tagline.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
COMPANY = Parameters(customers=120, machines=300, years=3)


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with fresh_home() as folder:
        yield folder


@pytest.fixture(scope="module")
def shown(home: Path) -> str:
    """What a demo of one day prints; its database is filled already."""
    url = demo_source_url(Settings(home=home, business="crane_works"))
    write_database(url, without_truth(simulate(COMPANY), None), replace=False)
    return shown_by_demo(home, "crane_works", 1)


def test_the_day_is_released_under_its_business_day(shown: str) -> None:
    assert re.search(r"2025-12-30: released, release 1, 1\d\d customers, \d{3} tags", shown)


def test_each_dimension_has_its_tags_with_their_coverage(shown: str) -> None:
    table = shown[shown.index("Tags by dimension as of 2025-12-30") :]
    found = re.findall(
        r"│ (customer|machine|opportunity) +│ ([^│]+?) +│.*│ +(\d+) │ +(\d+)% │", table
    )
    themes = {theme for subject, theme, _, _ in found if subject == "customer"}
    assert {"Economic", "Credit", "Purchase intention", "Service"} <= themes
    assert {subject for subject, _, _, _ in found} == {"customer", "machine", "opportunity"}
    assert sum(int(tags) for _, _, tags, _ in found) >= 80
    assert min(int(coverage) for _, _, _, coverage in found) > 0


def test_every_customer_has_one_grade(shown: str) -> None:
    line = re.search(r"customer_grade of (\d+): (A .*)", shown)
    assert line is not None
    grades = dict(re.findall(r"([A-D]) (\d+) \(", line[2]))
    assert list(grades) == ["A", "B", "C", "D"]
    assert sum(map(int, grades.values())) == int(line[1])


def test_models_that_have_too_little_to_learn_from_are_refused_with_the_reason(shown: str) -> None:
    text = " ".join(shown.split())  # lines are broken at the width of the terminal
    for model in ("win_probability", "machine_repurchase", "late_payment"):
        assert re.search(rf"{model} as of 2025-12-30: refused \([^)]*min_positives", text), model
    assert re.search(r"service_demand_30d as of 2025-12-30: (accepted|refused \()", text)
