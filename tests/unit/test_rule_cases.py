"""Rules are checked without data: cases that nothing can reach, and texts that no tag has."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tagline.catalog import load_catalog
from tagline.definitions import DataType
from tagline.errors import DefinitionError
from tagline.expressions import Scope, parse_condition
from tagline.expressions.reach import MOST_ASSIGNMENTS, unreachable
from tagline.settings import PROJECT

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
        (["since >= '2017-01-01'", "since > '20160101'"], [0, 1, 2]),  # engines differ on it
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
    without = shutil.ignore_patterns("tagline", "*.egg-info", "__pycache__")
    return Path(
        shutil.copytree(
            PROJECT / "include", tmp_path_factory.mktemp("rules") / "include", ignore=without
        )
    )


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
