"""Faults of scores and policies, each with its place and what to do; versions and businesses."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.graded import POLICY, STANDARDS, TAGS, project, standard
from tests.till import COMMON, write

from tagline.catalog import Catalog, load_catalog
from tagline.errors import DefinitionError
from tagline.serve.reasons import told_tags

Change = Callable[[dict[str, Any]], Any]


def loaded(root: Path, policy: dict[str, Any] = POLICY, **more: Any) -> Catalog:
    return load_catalog(project(root, policy=policy, **more), "shop")


def changed(change: Change) -> dict[str, Any]:
    policy = copy.deepcopy(POLICY)
    change(policy)
    return policy


AMOUNT = POLICY["positive"][0]
FAULTS: list[tuple[Change, str, str]] = [
    (
        lambda p: p["positive"][0].update(tag="amount_9d"),
        "tag: amount_9d",
        "unknown tag 'amount_9d'. Did you",
    ),
    (
        lambda p: p["positive"][0].update(tag="is_loud"),
        "tag: is_loud",
        "is_loud has no polarity, and this is",
    ),
    (
        lambda p: p["positive"].append(p["negative"].pop()),
        "tag: silent_days",
        "silent_days is negative, and this",
    ),
    (lambda p: p["positive"].append(AMOUNT), "tag: amount_10d", "amount_10d is listed twice"),
    (
        lambda p: p["negative"].append(AMOUNT),
        "tag: amount_10d",
        "amount_10d is positive, and this is the list",
    ),
    (
        lambda p: p["positive"][0].pop("between"),
        "tag: amount_10d",
        "amount_10d is integer: add 'between' or",
    ),
    (
        lambda p: p["positive"][1].update(between=AMOUNT["between"]),
        "between:",
        "bought_large is boolean",
    ),
    (lambda p: p["positive"][0].pop("missing"), "tag: amount_10d", "missing key 'missing'"),
    (
        lambda p: p["positive"][0]["between"].update(worst=100),
        "between:",
        "so 'best' lies above 'worst'",
    ),
    (
        lambda p: p["positive"][0]["between"].update(best="standard('x')"),
        "best: standard('x')",
        "unknown standard 'x'",
    ),
    (
        lambda p: p["positive"][0]["between"].update(best="amount"),
        "best: amount",
        "neither a number nor stand",
    ),
    (
        lambda p: p["positive"][0]["because"].update(zh="{amount}"),
        "zh: '{amount}'",
        "unknown tag 'amount'",
    ),
    (
        lambda p: p["positive"][0].update(steps=[{"from": 1, "points": 9}]),
        "tag: amount_10d",
        "either 'between' or",
    ),
    (
        lambda p: p["negative"][0]["steps"][1].update(points=60),
        "points: 60",
        "the points of steps fall",
    ),
    (lambda p: p["negative"][0]["steps"][1].update({"from": 1}), "from: 1", "1 is not above 2"),
    (
        lambda p: p["special"][0].update(tag="bought_large"),
        "tag: bought_large",
        "this is the list of special tags",
    ),
    (
        lambda p: p["special"][0].update({"from": 3}),
        "from: 3",
        "is boolean, and holds when it is true",
    ),
    (lambda p: p["limits"][0].update(at_best="E"), "at_best: E", "unknown grade 'E'"),
    (
        lambda p: p["limits"][0].update(at_best="A"),
        "at_best: A",
        "the best grade, so this limits nothing",
    ),
    (
        lambda p: p["limits"][0].update(tag="is_sleepy"),
        "from: standard('long_silence')",
        "is boolean, and holds when it is",
    ),
    (
        lambda p: p["limits"][0].update(tag="amount_10d"),
        "from: standard('long_silence')",
        "holds 'below' a value",
    ),
    (
        lambda p: p["limits"][0].pop("from"),
        "tag: silent_days",
        "silent_days is integer: add 'from' or 'below'",
    ),
    (lambda p: p["grades"][1].update(grade="A"), "grade: A", "grade 'A' is there twice"),
    (lambda p: p["grades"][1].pop("from"), "grade: B", "grade B is given from some points on: add"),
    (
        lambda p: p["grades"][3].update({"from": 3}),
        "from: 3",
        "the last grade is given to all others",
    ),
    (
        lambda p: p["grades"][1].update({"from": 80}),
        "from: 80",
        "grade B can never be given: it begins",
    ),
    (lambda p: p["grades"][1].update({"from": 120}), "from: 120", "grade B can never be given"),
    (lambda p: p["grades"][2].update({"from": 0}), "", ""),
    (lambda p: p.update(theme="tset"), "theme: tset", "unknown theme 'tset'. Did you mean 'test'?"),
    (lambda p: p.update(dimension="mde"), "dimension: mde", "theme test has no dimension 'mde'"),
    (lambda p: p.update(grade="A"), "grade: A", "unknown key 'grade'. Did you mean 'grades'?"),
    (lambda p: p["hysteresis"].update(stay="12 hours"), "hysteresis:", "a number of whole days"),
    (lambda p: p["hysteresis"].update(margin=-1), "margin: -1", "a margin is at least 0"),
    (lambda p: [p["positive"].clear(), p["negative"].clear()], "name:", "add 'positive'"),
]


@pytest.mark.parametrize(("change", "line", "said"), FAULTS)
def test_a_fault_is_told_with_its_line(
    tmp_path: Path, change: Change, line: str, said: str
) -> None:
    loud = {**TAGS["amount_10d"], "polarity": None}
    if not said:  # the limit gives D where no points do
        loaded(tmp_path, changed(change), tags={"is_loud": loud})
        return
    with pytest.raises(DefinitionError) as refused:
        loaded(tmp_path, changed(change), tags={"is_loud": loud})
    found = [str(fault) for fault in refused.value.faults]
    assert any(said in fault for fault in found), found
    place = next(fault for fault in found if said in fault)
    assert place.startswith("policies/buyer_grade.yaml:"), place
    text = (tmp_path / "policies" / "buyer_grade.yaml").read_text("utf-8").splitlines()
    assert text[int(place.split(":")[1]) - 1].strip().removeprefix("- ") == line
    assert all("buyer_grade" not in each or "policies/" in each for each in found), found


def test_a_grade_that_no_points_and_no_limit_give_is_a_fault(tmp_path: Path) -> None:
    policy = changed(lambda p: [p["grades"][2].update({"from": 0}), p["limits"].clear()])
    with pytest.raises(DefinitionError, match="grade D can never be given: C begins at 0, and nob"):
        loaded(tmp_path, policy)
    low = changed(lambda p: [p["positive"][0]["between"].update(best=200), p["grades"]])
    low["positive"][0] |= {"steps": [{"from": 1, "points": 20}]}
    low["positive"][0].pop("between")
    with pytest.raises(DefinitionError, match="the inputs give 52 points at most"):
        loaded(tmp_path, low)


def test_borders_are_checked_on_every_day_of_every_business_that_grades(tmp_path: Path) -> None:
    risen = STANDARDS | {"grade_a": standard(("2000-01-01", 75), ("2030-01-01", 40))}
    with pytest.raises(DefinitionError) as refused:
        loaded(tmp_path, standards=risen)
    (fault,) = refused.value.faults
    assert "(standards of shop from 2030-01-01 on)" in fault.message
    project(tmp_path, standards=risen, names=())
    assert "buyer_grade" in load_catalog(tmp_path, "shop").unavailable


def test_a_policy_makes_tags_for_the_businesses_that_name_it(tmp_path: Path) -> None:
    reader = {
        "kind": "rule", "type": "boolean",
        "cases": [{"when": "buyer_grade = 'A'", "value": True, "because": "Is {buyer_grade}."}],
        "otherwise": {"value": False, "because": "Is {buyer_grade}."},
    }  # fmt: skip
    catalog = loaded(tmp_path, tags={"is_best": reader})
    made = [slug for slug, tag in catalog.tags.items() if tag.path == "policies/buyer_grade.yaml"]
    assert sorted(made) == [
        "buyer_grade", "buyer_grade_before", "buyer_grade_care", "buyer_grade_points",
        "buyer_grade_reasons", "buyer_grade_since",
    ]  # fmt: skip
    assert catalog.tag("buyer_grade").definition.values == ("A", "B", "C", "D")
    assert catalog.tag("buyer_grade").standards == ("grade_a", "long_silence")
    assert set(told_tags(catalog.tag("buyer_grade").definition)) == {
        "amount_10d", "bought_large", "silent_days", "buyer_grade_since", "buyer_grade_reasons",
    }  # fmt: skip
    without = load_catalog(project(tmp_path, names=(), tags={"is_best": reader}), "shop")
    assert without.unavailable["buyer_grade"] == "shop does not use policy buyer_grade"
    assert without.unavailable["is_best"].startswith("reads buyer_grade, which is unavailable")
    with pytest.raises(
        DefinitionError, match=r"unknown policy 'buyr_grade'\. Did you mean 'buyer_g"
    ):
        loaded(tmp_path, names=("buyr_grade",))
    with pytest.raises(DefinitionError, match="is never 'Aa', which is not among its values"):
        wrong: dict[str, Any] = copy.deepcopy(reader)
        wrong["cases"][0]["when"] = "buyer_grade = 'Aa'"
        loaded(tmp_path, tags={"is_best": wrong})


def test_a_business_has_the_tags_that_its_scores_and_grades_tell_of(tmp_path: Path) -> None:
    counted = {**TAGS["amount_10d"], "polarity": None, "value": "count(*)"}
    told = changed(
        lambda p: p["limits"][0]["because"].update(en="silent after {order_count_10d} orders")
    )
    score = SCORE | {"inputs": [copy.deepcopy(SCORE["inputs"][0])]}
    score["inputs"][0]["because"] = {"en": "of {money_spent_10d}", "zh": "花费{money_spent_10d}"}
    more = {"order_count_10d": counted, "money_spent_10d": counted, "scored": score}
    project(tmp_path, policy=told, tags=more)
    path = tmp_path / "businesses" / "shop.yaml"
    business = yaml.safe_load(path.read_text("utf-8"))
    write(path, business | {"tags": ["scored"]})
    tags = load_catalog(tmp_path, "shop").tags
    assert {"scored", "money_spent_10d", "buyer_grade", "order_count_10d"} <= tags.keys()
    write(path, business | {"tags": ["scored"], "policies": []})
    tags = load_catalog(tmp_path, "shop").tags
    assert sorted(tags) == ["money_spent_10d", "scored", "silent_days"]


def test_no_file_makes_a_tag_of_a_policy(tmp_path: Path) -> None:
    taken = {"buyer_grade_since": TAGS["amount_10d"]}
    with pytest.raises(DefinitionError, match="makes a tag 'buyer_grade_since', which is defined"):
        loaded(tmp_path, tags=taken)
    (tmp_path / "tags" / "test" / "made" / "buyer_grade_since.yaml").unlink()
    grade = {"kind": "grade", "type": "text", "policy": "x", "output": "grade"}
    with pytest.raises(DefinitionError, match="unknown kind 'grade'"):
        loaded(tmp_path, tags={"by_hand": grade})


@pytest.mark.parametrize("name", ["Key_Accounts", "a" * 53])
def test_a_policy_whose_name_makes_no_tags_is_a_fault_of_its_file(
    tmp_path: Path, name: str
) -> None:
    reader = {**TAGS["is_sleepy"], "cases": [
        {"when": "buyer_grade = 'A'", "value": True, "because": "It is."},
    ]}  # fmt: skip
    project(tmp_path, tags={"is_best": reader})
    write(tmp_path / "policies" / f"{name}.yaml", POLICY)
    with pytest.raises(DefinitionError) as refused:
        load_catalog(tmp_path, "shop")
    [fault] = refused.value.faults
    assert fault.path == f"policies/{name}.yaml"
    assert f"'{name}" in fault.message and "is no name for a policy" in fault.message


def test_a_broken_policy_brings_no_faults_of_what_reads_its_tags(tmp_path: Path) -> None:
    reader = {**TAGS["is_sleepy"], "cases": [
        {"when": "buyer_grade = 'A'", "value": True, "because": "Is {buyer_grade_points}."},
    ]}  # fmt: skip
    for change in (lambda p: p.pop("grades"), lambda p: p["positive"][0].update(tag="x")):
        with pytest.raises(DefinitionError) as refused:
            loaded(tmp_path, changed(change), tags={"is_best": reader})
        assert {fault.path for fault in refused.value.faults} == {"policies/buyer_grade.yaml"}


def test_the_meaning_of_a_policy_is_part_of_its_tags_versions(tmp_path: Path) -> None:
    def versions(change: Change = lambda p: None) -> dict[str, str]:
        catalog = loaded(tmp_path, changed(change))
        return {slug: tag.version for slug, tag in catalog.tags.items()}

    before = versions()

    def differ(change: Change) -> set[str]:
        after = versions(change)
        return {slug.removeprefix("buyer_") for slug in before if before[slug] != after[slug]}

    weighed = differ(lambda p: p["positive"][0].update(weight=50))
    assert weighed == {"grade", "grade_points", "grade_since", "grade_before", "grade_reasons"}
    assert differ(lambda p: p["hysteresis"].update(stay="10 days")) == weighed - {"grade_points"}
    assert differ(lambda p: p["hysteresis"].update(limits="wait")) == weighed - {"grade_points"}
    assert differ(lambda p: p["grades"][1].update({"from": 51})) == weighed - {"grade_points"}
    assert differ(lambda p: p.update(description="Another one.")) == set()
    assert differ(lambda p: p["positive"][0]["because"].update(en="so")) == set()
    numbers = {**TAGS["amount_10d"], "polarity": "special"}
    careful = changed(lambda p: p["special"][0].update({"tag": "amount_9d", "below": 2}))
    after = loaded(tmp_path, careful, tags={"amount_9d": numbers}).tags
    assert before["buyer_grade"] == after["buyer_grade"].version
    assert before["buyer_grade_care"] != after["buyer_grade_care"].version


SCORE: dict[str, Any] = {
    "kind": "score", "type": "number",
    "inputs": [{"tag": "silent_days", "weight": 1, "missing": "leave_out",
                "steps": [{"from": 2, "points": 40}, {"from": 4, "points": 0}],
                "because": {"en": "{silent_days} days", "zh": "{silent_days}天"}}],
}  # fmt: skip
SCORE_FAULTS: list[tuple[Change, str]] = [
    (lambda s: s.update(type="integer"), "a score is a number, not integer"),
    (lambda s: s["inputs"][0].update(best="high"), "silent_days is negative, so its best values"),
    (lambda s: s["inputs"][0].update(tag="is_sleepy"), "add 'best: high' or 'best: low'"),
    (lambda s: s["inputs"][0].update(tag="habit"), "habit is text, of which no points follow"),
    (lambda s: s["inputs"][0]["steps"].reverse(), "the points of steps fall"),
    (lambda s: s["inputs"][0].update(weight=0), "weight"),
    (lambda s: s["inputs"].clear(), "at least 1 is needed"),
    (lambda s: s["inputs"][0].update(tag="slowness"), "depend on each other in a cycle"),
]


@pytest.mark.parametrize(("change", "said"), SCORE_FAULTS)
def test_a_fault_of_a_score_is_told_in_its_file(tmp_path: Path, change: Change, said: str) -> None:
    habit = {**TAGS["amount_10d"], "type": "text", "value": "max(order_id)", "empty": None}
    score = copy.deepcopy(SCORE)
    loaded(tmp_path, tags={"slowness": score, "habit": habit})
    change(score)
    if said == "the points of steps fall":
        score["inputs"][0]["steps"][0]["from"], score["inputs"][0]["steps"][1]["from"] = 2, 4
    if "cycle" in said:
        score["inputs"][0]["best"] = "low"
    write(tmp_path / "tags" / "test" / "made" / "slowness.yaml", COMMON | score)
    with pytest.raises(DefinitionError) as refused:
        load_catalog(tmp_path, "shop")
    assert any(said in str(fault) for fault in refused.value.faults), refused.value.faults
    assert {fault.path for fault in refused.value.faults} == {"tags/test/made/slowness.yaml"}
