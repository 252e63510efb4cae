"""Scores and grades as people see them: one each, monotone, explained, and steady on a border."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.graded import GRADES, PLACES, POLICY, Grader, project

from tagline.catalog import load_catalog
from tagline.engines import open_engine
from tagline.serve.reasons import reason_in_chinese, reason_of, spoken
from tagline.settings import Settings

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
BORDERS = {"A": 75.0, "B": 50.0, "C": 30.0}
WEIGHTS = {"amount_10d": 60, "bought_large": 10, "silent_days": 30}
Row = Mapping[str, Any]


@pytest.fixture(scope="module")
def grader(tmp_path_factory: pytest.TempPathFactory) -> Grader:
    folder = tmp_path_factory.mktemp("graded")
    catalog = load_catalog(project(folder), "shop")
    return Grader(catalog, open_engine(Settings(threads=1)), folder)


def cases(count: int) -> settings:
    return settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def rows(*, known: bool) -> Any:
    """Values of the input tags; with `known` there is one of each."""

    def maybe(values: Any) -> Any:
        return values if known else st.none() | values

    return st.fixed_dictionaries(
        {
            "amount_10d": maybe(st.integers(0, 130)),
            "bought_large": maybe(st.booleans()),
            "silent_days": maybe(st.integers(0, 14)),
            "is_sleepy": maybe(st.booleans()),
        }
    )


def earlier() -> Any:
    """What a release before may hold of a customer: a grade, since when, and the one before."""
    return st.fixed_dictionaries(
        {
            "buyer_grade": st.none() | st.sampled_from((*GRADES, "Z")),
            "buyer_grade_since": st.none() | st.dates(date(2026, 1, 1), date(2026, 2, 28)),
            "buyer_grade_before": st.none() | st.sampled_from((*GRADES, "Z")),
            "buyer_grade_reasons": st.none() | st.just(["earlier"]),
        }
    )


def numbered(found: Sequence[Row]) -> list[dict[str, Any]]:
    return [{"customer_id": f"{number:06}", **row} for number, row in enumerate(found)]


def points_of(row: Row) -> dict[str, float]:
    """The points of each input, by the words of the policy."""
    amount, silent = row["amount_10d"], row["silent_days"]
    return {
        "amount_10d": 0.0 if amount is None else min(100.0, float(amount)),
        "bought_large": 100.0 if row["bought_large"] else 0.0,
        "silent_days": 0.0 if silent is None or silent >= 5 else 50.0 if silent >= 2 else 100.0,
    }


def by_hand(points: Mapping[str, float]) -> tuple[float, str]:
    """The mean of points, and the grade that it gives."""
    mean = sum(WEIGHTS[tag] * points[tag] for tag in WEIGHTS) / 100
    return mean, next((grade for grade, least in BORDERS.items() if mean >= least), "D")


@cases(3)
@given(st.lists(st.tuples(rows(known=False), earlier()), min_size=30, max_size=60))
def test_every_customer_has_exactly_one_grade(
    grader: Grader, made: list[tuple[dict[str, Any], dict[str, Any]]]
) -> None:
    graded = grader.grade(AS_OF, [row for row, _ in made], numbered([was for _, was in made]))
    assert [row["customer_id"] for row in graded] == [f"{at:06}" for at in range(len(made))]
    for row, (given_row, was) in zip(graded, made, strict=True):
        mean, today = by_hand(points_of(given_row))
        assert row["buyer_grade"] in GRADES
        assert row["buyer_grade_points"] == pytest.approx(mean)
        assert row["buyer_grade_care"] is bool(given_row["is_sleepy"])
        if was["buyer_grade"] in (None, "Z"):
            limited = (given_row["silent_days"] or 0) >= 9
            assert row["buyer_grade"] == ("D" if limited else today)
        if row["buyer_grade"] != was["buyer_grade"]:
            assert row["buyer_grade_since"] == AS_OF.date()
            assert row["buyer_grade_before"] == was["buyer_grade"]
        else:
            assert row["buyer_grade_since"] == was["buyer_grade_since"] or AS_OF.date()
            assert row["buyer_grade_before"] == was["buyer_grade_before"]


@cases(3)
@given(
    st.lists(
        st.tuples(rows(known=True), earlier(), st.integers(0, 60), st.integers(0, 14)),
        min_size=30,
        max_size=60,
    )
)
def test_what_speaks_for_a_customer_never_lowers_its_grade_all_else_equal(
    grader: Grader, made: list[tuple[dict[str, Any], dict[str, Any], int, int]]
) -> None:
    """More bought, or a shorter silence: no fewer points, no worse grade, whatever was before."""
    worse = [row for row, *_ in made]
    more = [row | {"amount_10d": row["amount_10d"] + more} for row, _, more, _ in made]
    sooner = [row | {"silent_days": max(0, row["silent_days"] - d)} for row, _, _, d in made]
    large = [row | {"bought_large": True} for row in worse]
    was = [before for _, before, *_ in made]
    graded = grader.grade(AS_OF, [*worse, *more, *sooner, *large], numbered(was * 4))
    size = len(made)
    for start in (size, 2 * size, 3 * size):
        for at in range(size):
            low, high = graded[at], graded[start + at]
            assert high["buyer_grade_points"] >= low["buyer_grade_points"]
            assert PLACES[high["buyer_grade"]] <= PLACES[low["buyer_grade"]]


def deciding(points: Mapping[str, float]) -> set[str]:
    """The fewest inputs whose points hold the grade, and the fewest whose lost ones bar a better.

    By whole points of the score times 100, so that nothing is rounded.
    """
    _, grade = by_hand(points)
    found: set[str] = set()
    gains = {tag: WEIGHTS[tag] * points[tag] for tag in WEIGHTS}
    losses = {tag: WEIGHTS[tag] * (100 - points[tag]) for tag in WEIGHTS}
    total = sum(gains.values())
    if grade != "D":
        room = total - BORDERS[grade] * 100
        for tag in sorted(gains, key=lambda tag: -gains[tag]):
            if room >= 0 and gains[tag] > 0:
                found.add(tag)
                room -= gains[tag]
    if grade != "A":
        gap = BORDERS[GRADES[PLACES[grade] - 1]] * 100 - total
        for tag in sorted(losses, key=lambda tag: -losses[tag]):
            if gap > 0 and losses[tag] > 0:
                found.add(tag)
                gap -= losses[tag]
    return found


@cases(3)
@given(st.lists(rows(known=False), min_size=40, max_size=80))
def test_reasons_name_the_tags_that_decide_the_grade(
    grader: Grader, made: list[dict[str, Any]]
) -> None:
    told = reason_of("buyer_grade", grader.catalog.tag("buyer_grade").definition, {})
    chinese = reason_in_chinese("buyer_grade", grader.catalog.tag("buyer_grade").definition)
    assert chinese is not None
    for row in grader.grade(AS_OF, made):
        points = points_of(row)
        _, today = by_hand(points)
        limited = (row["silent_days"] or 0) >= 9
        wanted = {"silent_days"} if limited else set()
        if not limited or today == "D":
            wanted |= deciding(points)
            assert "Decided by" in told(row)
        reasons = row["buyer_grade_reasons"]
        assert set(reasons) == wanted and len(set(reasons)) == len(reasons)
        assert reasons, "a grade without a reason"
        for tag in wanted:
            assert spoken(row[tag]) in told(row)
        assert ("D at best: silent for" in told(row)) == limited
        assert ("至多D级" in chinese(row)) == limited
        if not limited:  # without their points it is worse, with all of them it is better
            without = by_hand({tag: 0.0 if tag in reasons else points[tag] for tag in points})
            with_all = by_hand({tag: 100.0 if tag in reasons else points[tag] for tag in points})
            assert today == "D" or PLACES[without[1]] > PLACES[today]
            assert today == "A" or PLACES[with_all[1]] < PLACES[today]


# Days


def follow(grader: Grader, days: Sequence[Sequence[Row]]) -> list[list[dict[str, Any]]]:
    """The grades of each day, each made with those of the day before."""
    made: list[list[dict[str, Any]]] = []
    for number, day in enumerate(days):
        as_of = AS_OF + timedelta(days=number)
        before = made[-1] if made else ()
        made.append(grader.grade(as_of, day, before, reasons=len(day) < 10))
    return made


def changes(made: Sequence[Sequence[Row]], customer: int, tag: str = "buyer_grade") -> list[int]:
    """The days on which a customer's value is not that of the day before."""
    values = [day[customer][tag] for day in made]
    return [day for day in range(1, len(values)) if values[day] != values[day - 1]]


def closest(days: Sequence[int]) -> int:
    """The shortest time between two changes; 1000 of fewer than two."""
    return min((later - day for day, later in pairwise(days)), default=1000)


def row(amount: float, silent: int = 0) -> dict[str, Any]:
    return {"amount_10d": round(amount), "silent_days": silent, "bought_large": False,
            "is_sleepy": False}  # fmt: skip


@pytest.mark.slow
@cases(1)
@given(seed=st.integers(0, 2**32))
def test_on_a_border_with_noise_a_grade_changes_at_most_once_in_30_days(
    grader: Grader, seed: int
) -> None:
    """Three kinds of customers: with noisy points, with a noisy limit, with both."""
    chance = random.Random(seed)
    noise = [chance.choice((2, 10, 40)) for _ in range(300)]
    levels = [  # the points of an amount are 0.6 of it and 30 more: 50 and 75 are borders
        chance.choice((33, 75)) if wide == 2 else chance.uniform(0, 120) for wide in noise
    ]

    def day(number: int, level: float, wide: float) -> dict[str, Any]:
        silent = 0 if number % 3 == 0 else chance.choice((8, 9, 10))
        return row(max(0, level + (chance.uniform(-wide, wide) if number % 3 != 1 else 0)), silent)

    days = [[day(number, *each) for number, each in enumerate(zip(levels, noise, strict=True))]
            for _ in range(64)]  # fmt: skip
    made = follow(grader, days)
    noisy, limited, both = (range(first, len(levels), 3) for first in range(3))
    for customer in (*noisy, *limited):
        assert closest(changes(made, customer)) >= 30
    for customer in both:
        held = changes(made, customer)
        for first, second in pairwise(held):
            if second - first < 30:  # a limit, to a grade worse than the one just left
                left, after = made[first - 1][customer], made[second][customer]
                assert after["buyer_grade__limit"] == PLACES[after["buyer_grade"]]
                assert PLACES[after["buyer_grade"]] > PLACES[left["buyer_grade"]]
    flapping = sum(closest(changes(made, each, "buyer_grade__today")) < 30 for each in noisy)
    assert flapping > 20, "without hysteresis many would change within 30 days"
    assert sum(len(changes(made, each)) > 0 for each in noisy) > 10, "and some do change"
    small = [each for each in noisy if noise[each] == 2]
    near = [each for each in small if changes(made, each, "buyer_grade__today")]
    assert near, "some are on a border"
    assert not any(changes(made, each) for each in near), "noise within the margin is none"
    struck = [changes(made, each)[:1] for each in limited if levels[each] > 60]
    assert max(day for days in struck for day in days) < 20, "a limit strikes at once"


def test_what_keeps_a_grade_is_told_in_both_languages(grader: Grader) -> None:
    definition = grader.catalog.tag("buyer_grade").definition
    told, chinese = reason_of("buyer_grade", definition, {}), reason_in_chinese("x", definition)
    assert chinese is not None
    days = [[row(40), row(40)], [row(20), row(29)], [row(80), row(40)], [row(80, 10), row(40)]]
    made = follow(grader, days)
    assert [day[0]["buyer_grade"] for day in made] == ["B", "C", "C", "D"]
    assert [day[1]["buyer_grade"] for day in made] == ["B", "B", "B", "B"]
    assert made[2][0]["buyer_grade_reasons"] == made[1][0]["buyer_grade_reasons"]
    assert told(made[2][0]) == (
        "Stays C until 2026-04-01, 30 days after it changed; today's tags give A. "
        "It was given for silent_days, amount_10d."
    )
    assert told(made[1][1]).startswith("Stays B: its 47.4 of 100 points are not far enough in C.")
    assert (
        told(made[3][0]) == "D at best: silent for 10 days. By its 48 of 100 points it would be C."
    )
    assert chinese(made[3][0]) == "至多D级：10天未购买。按得分48（满分100）应为C级。"
    assert told(made[0][0]) == (
        "B with 54 of 100 points. Decided by bought for 40 (24 of 60 points), "
        "silent for 0 days (30 of 30 points)."
    )
    since = reason_of("s", grader.catalog.tag("buyer_grade_since").definition, {})
    was = reason_of("buyer_grade_before", grader.catalog.tag("buyer_grade_before").definition, {})
    care = reason_of("buyer_grade_care", grader.catalog.tag("buyer_grade_care").definition, {})
    assert since({**made[2][0], "s": made[2][0]["buyer_grade_since"]}) == "C since 2026-03-02."
    assert was(made[2][0]) == "B until 2026-03-02."
    assert was(made[2][1]) == "Has been B since it was first graded."
    sleepy = grader.grade(AS_OF, [row(40) | {"is_sleepy": True}, row(40)])
    assert [care(each) for each in sleepy] == [
        "Calls for care: it sleeps.", "Nothing calls for care.",
    ]  # fmt: skip


def test_a_limit_that_waits_strikes_when_the_stay_is_over(tmp_path: Path) -> None:
    waiting = {**POLICY, "hysteresis": {**POLICY["hysteresis"], "limits": "wait"}}
    catalog = load_catalog(project(tmp_path, policy=waiting), "shop")
    patient = Grader(catalog, open_engine(Settings(threads=1)), tmp_path)
    graded: list[dict[str, Any]] = []
    silent = row(20, 10)
    for day, now in {0: row(40), 1: row(20), 5: silent, 30: silent, 31: silent}.items():
        graded += patient.grade(AS_OF + timedelta(days=day), [now], graded[-1:])
    assert [each["buyer_grade"] for each in graded] == ["B", "C", "C", "C", "D"]
    told = reason_of("buyer_grade", catalog.tag("buyer_grade").definition, {})
    assert told(graded[2]).startswith("Stays C until 2026-04-01, 30 days after it changed; today's")
    assert graded[4]["buyer_grade_before"] == "C"
    assert graded[4]["buyer_grade_reasons"][0] == "silent_days"


def test_a_limit_that_strikes_within_the_stay_gives_its_own_grade_and_is_the_reason(
    tmp_path: Path,
) -> None:
    """The points of its day would give D at once; they wait for the end of the stay."""
    limits = [POLICY["limits"][0] | {"at_best": "C"}]
    catalog = load_catalog(project(tmp_path, policy={**POLICY, "limits": limits}), "shop")
    strict = Grader(catalog, open_engine(Settings(threads=1)), tmp_path)
    graded: list[dict[str, Any]] = []
    silent = row(20, 10)
    days = {0: row(40), 1: row(100), 5: silent, 6: silent, 34: silent, 35: silent}
    for day, now in days.items():
        graded += strict.grade(AS_OF + timedelta(days=day), [now], graded[-1:])
    assert [each["buyer_grade"] for each in graded] == ["B", "A", "C", "C", "C", "D"]
    assert [each["buyer_grade__today"] for each in graded[2:]] == [3, 3, 3, 3]
    definition = catalog.tag("buyer_grade").definition
    told, chinese = reason_of("buyer_grade", definition, {}), reason_in_chinese("x", definition)
    assert chinese is not None
    stays = "Stays C until 2026-04-05, 30 days after it changed; today's tags give D."
    assert told(graded[2]) == f"C at best: silent for 10 days. {stays}"
    assert chinese(graded[2]).startswith("至多C级：10天未购买。保持C级至2026-04-05")
    assert told(graded[3]) == f"{stays} It was given for silent_days."
    assert [each["buyer_grade_reasons"] for each in graded[2:5]] == [["silent_days"]] * 3
    assert graded[2]["buyer_grade_before"] == "A"
    assert graded[5]["buyer_grade_before"] == "C"
    assert told(graded[5]).startswith("D with 12 of 100 points.")
