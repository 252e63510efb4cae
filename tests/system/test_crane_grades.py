"""The crane maker's own grades: steady on a border, decided by what they name, and as planned."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet as parquet
import pytest
from tests.conftest import drop_databases
from tests.crane_lake import crane_deployment
from tests.crane_world import CraneWorld
from tests.definition_copies import copied_definitions
from tests.graded import Grader

from tagline.deployment import Deployment, open_deployment
from tagline.pipeline import STAGES, run_stage
from tagline.plan import planned
from tagline.serve.exports import export

pytestmark = pytest.mark.slow
FIRST, DAYS = date(2025, 9, 25), 36  # in them a limit comes a week after a change by points
STAY = 30
BORDERS = (80.0, 65.0, 45.0)
# What gives none and all of the points of each tag that the policy weighs.
WORST: dict[str, Any] = {
    "economic_score": 0.0,
    "credit_score": 0.0,
    "paid_on_time_share": 0.3,
    "is_rare_purchaser": True,
    "overdue_days_max": 90,
}
BEST: dict[str, Any] = {
    "economic_score": 100.0,
    "credit_score": 100.0,
    "paid_on_time_share": 1.0,
    "is_rare_purchaser": False,
    "overdue_days_max": 0,
}
Row = Mapping[str, Any]


@pytest.fixture(scope="module")
def grader(cranes: CraneWorld, tmp_path_factory: pytest.TempPathFactory) -> Grader:
    """The policy `customer_grade` over values of the tags that it reads."""
    policy = cranes.catalog.policies["customer_grade"]
    tags = {each.tag for each in policy.inputs}
    tags |= {each.tag for each in (*policy.limits, *policy.special)}
    kinds = {slug: cranes.catalog.tag(slug).definition.type for slug in sorted(tags)}
    assert {each.tag for each in policy.inputs} == WORST.keys() == BEST.keys()
    folder: Path = tmp_path_factory.mktemp("grades")
    return Grader(cranes.catalog, cranes.engine, folder, "customer_grade", kinds)


@pytest.fixture(scope="module")
def own_days(cranes: CraneWorld, grader: Grader) -> list[list[dict[str, Any]]]:
    """What the simulated company's tags are on consecutive days, of each customer.

    But for those that call for care: they move no grade, and cost as much as all others.
    """
    weighed = sorted(WORST)
    return [
        pyarrow.Table.from_pandas(
            cranes.tags(FIRST + timedelta(days=day), weighed)[weighed]
        ).to_pylist()
        for day in range(DAYS)
    ]


def follow(grader: Grader, days: Sequence[Sequence[Row]]) -> list[dict[str, Row]]:
    """The grades of each day by customer, each made with those of the day before."""
    made: list[dict[str, Row]] = []
    for number, rows in enumerate(days):
        as_of = grader.catalog.midnight(FIRST + timedelta(days=number))
        before = list(made[-1].values()) if made else ()
        graded = grader.grade(as_of, rows, before, reasons=False)
        made.append({row["customer_id"]: row for row in graded})
    return made


def changes(
    made: Sequence[Mapping[str, Row]], customer: str, column: str = "customer_grade"
) -> list[int]:
    """The days on which a customer's value is not that of the day before."""
    held = [day[customer][column] if customer in day else None for day in made]
    return [
        day
        for day in range(1, len(held))
        if held[day - 1] is not None and held[day] != held[day - 1]
    ]


def closest(days: Sequence[int]) -> int:
    """The shortest time between two changes; 1000 of fewer than two."""
    return min((later - day for day, later in pairwise(days)), default=1000)


def test_in_the_companys_own_days_no_grade_changes_twice_in_30_days(
    grader: Grader, own_days: list[list[dict[str, Any]]]
) -> None:
    made = follow(grader, own_days)
    customers = list(made[-1])
    assert [each for each in customers if closest(changes(made, each)) < STAY] == []
    moved = [each for each in customers if changes(made, each)]
    today = [closest(changes(made, each, "customer_grade__today")) < STAY for each in customers]
    waiting = {
        customer
        for day in made
        for customer, row in day.items()
        if row["customer_grade__limit"] > row["customer_grade__now"]
    }
    print(f"{len(customers)} customers, {len(moved)} change; {sum(today)} would change twice")
    assert len(customers) > 300 and len(moved) > 10 and sum(today) > 3
    assert waiting, "no limit came within a stay"


def on_a_border(grader: Grader, rows: Sequence[Row]) -> list[tuple[dict[str, Any], float]]:
    """Those whose points another economic score, by 12 at most, puts on a border; and which."""
    found = []
    as_of = grader.catalog.midnight(FIRST)
    for row, graded in zip(rows, grader.grade(as_of, rows), strict=True):
        points = graded["customer_grade_points"]
        policy = grader.catalog.policies["customer_grade"]
        weight = sum(
            each.weight
            for each in policy.inputs
            if graded[f"customer_grade_points__{each.tag}"] is not None
        )
        border = min(BORDERS, key=lambda border: abs(border - points))
        moved = row["economic_score"] + (border - points) * weight / 45
        if abs(moved - row["economic_score"]) <= 12 and 0 <= moved <= 100:
            found.append((dict(row) | {"economic_score": moved}, border))
    return found


def test_on_a_border_with_noise_a_customer_changes_grade_at_most_once_in_30_days(
    grader: Grader, own_days: list[list[dict[str, Any]]]
) -> None:
    """Noise about a border of points, small or wide, about the days of a limit, or about both.

    Those with both come to the limit in the course of the first 20 days.
    """
    chance = random.Random(6)
    lying = on_a_border(grader, own_days[-1])
    kinds = [
        ("small", "wide", "limit", "both")[number % (2 if border == BORDERS[-1] else 4)]
        for number, (_, border) in enumerate(lying)
    ]  # a limit is felt only where the points give better
    limits = [chance.choice((90, 180)) if border == BORDERS[0] else 180 for _, border in lying]

    def noisy(day: int, row: Row, kind: str, limit: int) -> dict[str, Any]:
        made = dict(row)
        wide = {"small": 1.0, "limit": 0.0}.get(kind, 8.0)
        for tag, reach in (("economic_score", 4 * wide), ("credit_score", 3 * wide)):
            value = made[tag] + chance.uniform(-reach, reach)
            made[tag] = min(100.0, max(0.0, value))
        if kind in ("limit", "both"):
            still = max(0, 20 - day) if kind == "both" else 0
            made["overdue_days_max"] = limit - still + chance.randint(-2, 2)
        return made

    rows = [row for row, _ in lying]
    days = [
        [noisy(day, *each) for each in zip(rows, kinds, limits, strict=True)]
        for day in range(STAY + 15)
    ]
    made = follow(grader, days)
    of_kind = {
        kind: [row["customer_id"] for row, own in zip(rows, kinds, strict=True) if own == kind]
        for kind in set(kinds)
    }
    assert all(len(own) > 15 for own in of_kind.values())
    assert [each for each in made[0] if closest(changes(made, each)) < STAY] == []
    flapping = {
        kind: sum(closest(changes(made, each, "customer_grade__today")) < STAY for each in own)
        for kind, own in of_kind.items()
    }
    moved = {kind: sum(bool(changes(made, each)) for each in own) for kind, own in of_kind.items()}
    print({kind: (len(own), flapping[kind], moved[kind]) for kind, own in of_kind.items()})
    assert all(flapping[kind] > len(own) / 2 for kind, own in of_kind.items())
    assert moved["small"] == 0, "noise within the margin is none"
    assert all(moved[kind] > 10 for kind in ("wide", "limit", "both"))


def test_a_grade_would_be_another_one_without_the_tags_that_it_names(
    grader: Grader, own_days: list[list[dict[str, Any]]]
) -> None:
    """With their points gone it is worse, with all of their points better, a limit lifted."""
    rows, as_of = own_days[-1], grader.catalog.midnight(FIRST)
    graded = {row["customer_id"]: row for row in grader.grade(as_of, rows)}
    changed: dict[str, tuple[str, list[str], dict[str, Any]]] = {}
    for row in rows:
        customer = row["customer_id"]
        named = graded[customer]["customer_grade_reasons"]
        assert named and set(named) <= WORST.keys()
        for tags in (named, *([tag] for tag in named if len(named) > 1)):
            for values in (WORST, BEST):
                other = f"{len(changed):06}"
                made = row | {tag: values[tag] for tag in tags} | {"customer_id": other}
                changed[other] = (customer, tags, made)
    again = {
        row["customer_id"]: row
        for row in grader.grade(as_of, [made for *_, made in changed.values()], reasons=False)
    }
    limited = 0
    for low, high in zip(list(changed)[::2], list(changed)[1::2], strict=True):
        customer, tags, _ = changed[low]
        was, worse, better = graded[customer], again[low], again[high]
        assert worse["customer_grade_points"] < better["customer_grade_points"]
        place, last = was["customer_grade__points"], len(BORDERS)
        if tags == was["customer_grade_reasons"] and place == was["customer_grade__today"]:
            assert place == last or worse["customer_grade__points"] > place, was
            assert place == 0 or better["customer_grade__points"] < place, was
        elif "overdue_days_max" in tags and place != was["customer_grade__today"]:
            limited += 1
            assert was["customer_grade__limit"] == was["customer_grade__today"] > place
            assert better["customer_grade__limit"] == 0
    assert limited > 0, "some grades are held by a limit alone"
    print(f"{len(graded)} grades, {limited} held by a limit alone")


# A changed standard

NOW = datetime(2026, 1, 2, tzinfo=UTC)
DAY = date(2025, 12, 31)


@pytest.fixture
def maker(cranes: CraneWorld, tmp_path: Path, postgres_url: str) -> Iterator[Deployment]:
    """The simulated company in a deployment of its own, one day released."""
    with crane_deployment(cranes, tmp_path / "home", postgres_url) as deployment:
        release(deployment, "first")
        yield deployment
    drop_databases(deployment.settings)


def release(deployment: Deployment, run: str) -> None:
    """A day without its loads: the lake has all rows."""
    as_of = deployment.catalog.midnight(DAY)
    deployment.registry.start_run(run, as_of, NOW)
    for stage in STAGES[STAGES.index("compute") :]:
        run_stage(deployment, stage, run, as_of, NOW)


def exported(deployment: Deployment, path: Path) -> dict[str, str]:
    """The grade of each customer in what is exported of the live release."""
    export(deployment, str(path))
    rows = parquet.read_table(path, columns=["customer_id", "customer_grade"]).to_pylist()
    return {row["customer_id"]: row["customer_grade"] for row in rows}


def test_a_changed_standard_regrades_exactly_those_that_the_plan_named(
    maker: Deployment, tmp_path: Path
) -> None:
    """From December on, three million is a large amount of contracts, where it was six.

    The economic score reads it, and the grade reads the score.
    """
    definitions = tmp_path / "definitions"
    copied_definitions(definitions)
    standards = definitions / "standards.yaml"
    text, value = standards.read_text("utf-8"), "{from: 1990-01-01, value: 6000000}"
    assert text.count(value) == 1
    later = f"{value}\n      - {{from: 2025-12-01, value: 3000000}}"
    standards.write_text(text.replace(value, later), "utf-8")

    first = exported(maker, tmp_path / "grades.parquet")
    settings = maker.settings.model_copy(update={"definitions": definitions})
    with open_deployment(settings) as changed:
        with planned(changed) as plan:
            said = set(plan.ids("customer_grade"))
            document = plan.as_json()
        release(changed, "second")
        second = exported(changed, tmp_path / "grades.parquet")
        with planned(changed) as plan:
            assert plan.as_json()["same"]
    assert first.keys() == second.keys() and len(first) > 300
    moved = {customer for customer in first if first[customer] != second[customer]}
    print(f"{len(first)} customers, {len(moved)} of another grade")
    assert said == moved
    assert 3 < len(moved) < len(first) / 4
    (told,) = [each for each in document["tags"] if each["tag"] == "economic_score"]
    assert told["why"] == ["standard contract_amount_large: 6000000 → 3000000"]
    assert told["customers"]["differ"] > len(moved)
