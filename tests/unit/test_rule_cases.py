"""Rules are checked without data: cases that nothing can reach, and texts that no tag has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.definition_copies import copied_definitions

from tagline.catalog import load_catalog
from tagline.definitions import DataType
from tagline.errors import DefinitionError
from tagline.expressions import Scope, parse_condition
from tagline.expressions.reach import MOST_ASSIGNMENTS, unreachable

TYPES = {
    "whole": DataType.INTEGER,
    "other": DataType.INTEGER,
    "share": DataType.NUMBER,
    "grade": DataType.TEXT,
    "is_new": DataType.BOOLEAN,
    "since": DataType.DATE,
    "groups": DataType.TEXT_LIST,
    "as_of": DataType.TIMESTAMP,
}
SCOPE = Scope(TYPES, {"long": DataType.INTEGER, "short": DataType.INTEGER})


def reached(*conditions: str) -> list[int]:
    """The conditions that may be the first that is true; their number: none of them."""
    parsed = [parse_condition(condition, SCOPE) for condition in conditions]
    lost = {found.index for found in unreachable(parsed, TYPES)}
    return [index for index in range(len(parsed) + 1) if index not in lost]


@pytest.mark.parametrize(
    ("conditions", "wanted"),
    [
        (["whole > 10", "whole > 20"], [0, 2]),
        (["whole > 20", "whole > 10"], [0, 1, 2]),
        (["whole > 10 and whole < 11"], [1]),  # a whole number has nothing between
        (["share > 10 and share < 11"], [0, 1]),
        (["whole = null"], [1]),
        (["null"], [1]),
        (["true", "whole = 1"], [0]),
        (["whole is null", "whole > 3 or whole <= 3"], [0, 1]),
        (["whole > 3 or whole <= 3", "whole = 5"], [0, 2]),  # neither is true of null
        (["is_new", "not is_new"], [0, 1, 2]),
        (["is_new", "not is_new", "is_new is null"], [0, 1, 2]),
        (["is_new is not true", "not is_new"], [0, 2]),
        (["grade in ('A', 'B')", "grade = 'B' and whole > 1"], [0, 2]),
        (["grade = 'A' and grade = 'B'"], [1]),
        (["not (grade = 'A')", "grade <> 'A' and is_new"], [0, 2]),
        (["since >= '2017-01-01'", "since = '2018-02-01'"], [0, 2]),
        (["whole between 1 and 3", "1 + 1 = whole"], [0, 1, 2]),
        (["whole > other and other > whole"], [1]),
        (["whole > other or other > whole", "whole = other", "whole <> other"], [0, 1, 3]),
        (["whole > standard('long')", "whole > standard('long') and is_new"], [0, 2]),
        (["whole > standard('long')", "whole > standard('short')"], [0, 1, 2]),
        (["whole >= standard('long') and standard('long') > whole"], [1]),
        (["share < 3", "other < 3", "share = 2 and other = 2"], [0, 1, 3]),
        (["lower(grade) = 'a'", "lower(grade) in ('a') and is_new"], [0, 2]),
        (["list_contains(groups, 'x')", "not list_contains(groups, 'x')"], [0, 1, 2]),
        (["share > 0.1000000000000000055", "share > 0.1"], [0, 1, 2]),  # perhaps the same number
        (["as_of is null"], [1]),
        (["(whole > 1) is null", "whole is null"], [0, 2]),
    ],
)
def test_a_case_is_unreachable_only_where_that_is_certain(
    conditions: list[str], wanted: list[int]
) -> None:
    assert reached(*conditions) == wanted


def test_conditions_over_too_many_values_are_taken_as_reachable_unless_two_of_them_decide() -> None:
    many = " or ".join(f"whole + {n} = other + {n}" for n in range(20))
    assert MOST_ASSIGNMENTS < 3**20
    assert reached(many, "is_new", "is_new and whole > 1") == [0, 1, 3]


def test_a_long_list_is_no_deeper_than_a_short_one() -> None:
    listed = ",".join(map(str, range(1000)))
    assert reached(f"whole in ({listed})", "whole = 999", "whole = 1000") == [0, 2, 3]


# Random rules against the engine

ATOMS = st.one_of(
    st.builds(
        "{} {} {}".format,
        st.sampled_from(["whole", "other"]),
        st.sampled_from(["=", "<>", "<", "<=", ">", ">="]),
        st.sampled_from(["0", "2", "3", "-1", "other", "whole", "null", "2.5"]),
    ),
    st.sampled_from(
        [
            "grade = 'A'", "grade <> 'B'", "grade in ('A', 'B')", "grade in ('B', null)",
            "grade not in ('A')", "grade is null", "grade > 'A'", "is_new", "is_new is not true",
            "is_new is null", "is_new = true", "whole between 0 and 2", "whole is null", "true",
            "null", "whole not between 1 and 3", "other is not null", "(whole > 2) is null",
            "whole + other > 1", "upper(grade) = 'A'",
        ]
    ),
)  # fmt: skip
CONDITIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("not ({})".format, inner),
    ),
    max_leaves=4,
)
RULES = st.lists(st.lists(CONDITIONS, min_size=1, max_size=4), min_size=20, max_size=20)
DOMAIN = """
    SELECT * FROM (SELECT unnest([NULL, -3, -2, -1, 0, 1, 2, 3, 4, 5]) AS whole),
    (SELECT unnest([NULL, -3, -2, -1, 0, 1, 2, 3, 4, 5]) AS other),
    (SELECT unnest([NULL, '', 'A', 'AA', 'B', 'C']) AS grade),
    (SELECT unnest([NULL, true, false]) AS is_new)
"""


@settings(max_examples=8, deadline=None)
@given(RULES)
def test_no_row_reaches_what_is_called_unreachable(rules: list[list[str]]) -> None:
    """Where whole numbers are compared, a row of the domain reaches all the rest, too."""
    shown = []
    for rule in rules:
        whens = " ".join(f"WHEN {condition} THEN {at}" for at, condition in enumerate(rule))
        shown.append(f"list(DISTINCT CASE {whens} ELSE {len(rule)} END)")
    with duckdb.connect(config={"threads": 1}) as connection:
        found = connection.execute(f"SELECT {', '.join(shown)} FROM ({DOMAIN})").fetchone()
    assert found is not None
    for rule, seen in zip(rules, found, strict=True):
        possible = set(reached(*rule))
        assert set(seen) <= possible, rule
        if not any(part in " ".join(rule) for part in ("+", "upper", "2.5")):
            assert set(seen) == possible, rule


# Through the files

Break = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied_definitions(tmp_path_factory.mktemp("rules") / "include")


TAG = """\
name: {en: Made for a test, zh: 测试}
description: Made for a test.
owner: crm
type: text
values: [near, far]
kind: rule
cases:
  - when: recency_days <= 30
    value: near
    because: Near.
  - {when: XX, value: far, because: Far.}
otherwise:
  value: null
  because: Neither.
"""


@pytest.mark.parametrize(
    ("condition", "line", "said"),
    [
        ("recency_days < 20", 11, "case 2 can never be reached: case 1 holds whenever it would"),
        ("recency_days > 40 and recency_days < 35", 11, "its condition is never true"),
        ("true", 12, "otherwise can never be reached: case 2 holds always; give its value to"),
        ("rfm_segment = 'champions'", 11, "rfm_segment is never 'champions', which is not among"),
        ("life_stage in ('family', 'snior')", 11, "Did you mean 'senior'?"),
        ("recency_days > 'soon'", 11, "compares integer with text"),
        ("sum(recency_days) > 40", 11, "an aggregate is not allowed here"),
        ("recency_days + 1", 11, "is integer, where a condition (true or false) is needed"),
    ],
)
def test_a_faulty_case_is_told_with_its_line(
    project: Path, condition: str, line: int, said: str
) -> None:
    file = project / "tags" / "activity" / "recency" / "made_for_a_test.yaml"
    file.write_text(TAG.replace("XX", yaml.dump(condition, default_style='"').strip()), "utf-8")
    try:
        with pytest.raises(DefinitionError) as refused:
            load_catalog(project, "grocer")
    finally:
        file.unlink()
    (fault,) = refused.value.faults
    assert (fault.path, fault.line) == ("tags/activity/recency/made_for_a_test.yaml", line)
    assert said in fault.message


STATISTIC = {"kind": "statistic", "table": "orders", "value": "count(*)", "type": "integer"}
EXTRACTION = {"kind": "extraction", "table": "customers", "value": "age_band", "type": "text"}
RANK = {"kind": "rank", "of": "recency_days", "into": 4, "best": "low", "type": "integer"}
RULE = yaml.safe_load(TAG.replace("XX", "recency_days > 40"))
OTHERWISE = {"value": None, "because": "So."}


def cases(**keys: Any) -> dict[str, Any]:
    return {"cases": [RULE["cases"][0] | keys]}


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {  # tag, key with the fault, message
    "no_aggregate": (STATISTIC | {"value": "amount"}, "value", "stands outside of an aggregate"),
    "constant": (STATISTIC | {"value": "1 + 1"}, "value", "has no aggregate"),
    "nested": (STATISTIC | {"value": "sum(count(*))"}, "value", "an aggregate inside"),
    "sum_of_text": (STATISTIC | {"value": "sum(status)"}, "value", "status is text, where"),
    "mean_of_dates": (STATISTIC | {"value": "avg(ordered_at)"}, "value", "is timestamp, where"),
    "text_with_number": (STATISTIC | {"where": "status = 3"}, "where", "compares text with"),
    "no_condition": (STATISTIC | {"where": "amount"}, "where", "where a condition"),
    "aggregate_in_where": (STATISTIC | {"where": "sum(amount) > 1"}, "where", "not allowed here"),
    "other_type": (STATISTIC | {"value": "avg(amount)"}, "value", "number, but type says integer"),
    "empty_of_text": (STATISTIC | {"empty": "none"}, "empty", "'none' is not integer"),
    "value_and_pick": (STATISTIC | {"by": "status", "pick": "top(count(*))"}, "", "has either"),
    "values_of_number": (STATISTIC | {"values": ["1"]}, "values", "only a text tag has values"),
    "unknown_column": (STATISTIC | {"value": "sum(amout)"}, "value", "Did you mean 'amount'?"),
    "clock": (STATISTIC | {"value": "max(now())"}, "value", "looks at the clock"),
    "many_rows": (EXTRACTION | {"table": "orders", "value": "status"}, "table", "no single row"),
    "value_twice": (EXTRACTION | {"values": ["a", "b", "a"]}, "values", "'a' is there more than"),
    "rank_of_text": (RANK | {"of": "life_stage"}, "of", "life_stage is text, which has no order"),
    "rank_of_none": (RANK | {"of": "recency_day"}, "of", "Did you mean 'recency_days'?"),
    "rank_as_text": (RANK | {"type": "text"}, "type", "a rank is an integer"),
    "undeclared_case": (RULE | cases(value="neer"), "value: neer", "Did you mean 'near'?"),
    "case_of_number": (RULE | cases(value=3), "value: 3", "3 is not text"),
    "undeclared_otherwise": (RULE | {"otherwise": OTHERWISE | {"value": "x"}}, "value: x", "among"),
    "unknown_reason": (RULE | cases(because="{recency_day}"), "because", "Did you mean"),
    "unknown_tag": (RULE | cases(when="recency_day > 1"), "when", "Did you mean"),
    "unknown_standard": (RULE | cases(when="recency_days > standard('x')"), "when", "standard 'x'"),
}  # fmt: skip


def test_every_fault_of_meaning_is_found_with_its_line(project: Path) -> None:
    folder = project / "tags" / "activity" / "recency"
    try:
        for slug, (tag, _, _) in WRONG.items():
            common = {key: RULE[key] for key in ("name", "description", "owner")}
            text = yaml.safe_dump(common | tag, allow_unicode=True, sort_keys=False)
            (folder / f"{slug}.yaml").write_text(text, "utf-8")
        with pytest.raises(DefinitionError) as refused:
            load_catalog(project, "grocer")
        lines = {slug: (folder / f"{slug}.yaml").read_text("utf-8").splitlines() for slug in WRONG}
    finally:
        for slug in WRONG:
            (folder / f"{slug}.yaml").unlink()
    found = {Path(fault.path).stem: fault for fault in refused.value.faults}
    assert found.keys() == WRONG.keys()
    assert len(refused.value.faults) == len(WRONG)
    for slug, (_, key, said) in WRONG.items():
        fault = found[slug]
        assert said in fault.message, fault
        written = lines[slug][fault.line - 1].strip("- ")
        assert written.startswith(key), (slug, fault, written)
