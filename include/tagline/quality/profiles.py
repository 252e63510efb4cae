"""Quality limits of tags, judged by Great Expectations on the tag profile: a row per tag.

The number of expectations is fixed: each compares a measure with the limit beside it, so the
cost grows neither with customers nor, to speak of, with tags.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tagline.audit.profile import TagProfile
from tagline.definitions.tag import Quality
from tagline.quality.plan import BETWEEN, Rule

if TYPE_CHECKING:
    from tagline.deployment import Deployment
    from tagline.quality.validation import Judge

SUITE = "tag_profile"
_PAIR = "expect_column_pair_values_a_to_be_greater_than_b"


@dataclass(frozen=True)
class _Limit:
    """A measure of the profile that must not pass the limit beside it."""

    measure: str
    limit: str
    least: bool  # the limit is the least value allowed, else the greatest
    says: str

    @property
    def rule(self) -> Rule:
        larger, smaller = (self.measure, self.limit) if self.least else (self.limit, self.measure)
        kwargs = {
            "column_A": larger,
            "column_B": smaller,
            "or_equal": True,
            "ignore_row_if": "either_value_is_missing",
        }
        return Rule(_PAIR, kwargs, "critical", self.measure, _PAIR, note=self.says)


_LIMITS = (
    _Limit("coverage", "coverage_min", True, "coverage is {measure}, at least {limit} is allowed"),
    _Limit("coverage", "coverage_max", False, "coverage is {measure}, at most {limit} is allowed"),
    _Limit(
        "minimum", "between_min", True, "the least value is {measure}, at least {limit} is allowed"
    ),
    _Limit(
        "maximum",
        "between_max",
        False,
        "the greatest value is {measure}, at most {limit} is allowed",
    ),
    _Limit(
        "distinct",
        "distinct_min",
        True,
        "there are {measure} distinct values, at least {limit} are allowed",
    ),
    _Limit(
        "distinct",
        "distinct_max",
        False,
        "there are {measure} distinct values, at most {limit} are allowed",
    ),
)
_NONE_ALLOWED = {
    "not_finite": "{measure} values are infinite or not a number, none is allowed",
    "undeclared": "{measure} values are not among the tag's declared values, none is allowed",
}


def check_tag_profile(
    deployment: Deployment,
    profiles: Sequence[TagProfile],
    limits: Mapping[str, Quality],
    run_id: str,
    at: datetime,
) -> tuple[dict[str, tuple[str, ...]], str | None]:
    """Per failing tag a sentence for each limit that does not hold, and the Data Docs page."""
    from tagline.quality.validation import Judge

    if not profiles:
        return {}, None
    judge = Judge(deployment.settings.home_path / "data_docs")
    failures, results = judge_profile(judge, profiles, limits)
    with deployment.registry.lock("data_docs"):
        docs = judge.build([judge.keep(SUITE, results, run_id, at)])
    return failures, docs


def judge_profile(
    judge: Judge, profiles: Sequence[TagProfile], limits: Mapping[str, Quality]
) -> tuple[dict[str, tuple[str, ...]], list[Any]]:
    """The failures per tag, and the library's own results."""
    import pandas as pd

    from tagline.quality.validation import identified

    rows = [_row(profile, limits[profile.slug]) for profile in profiles]
    frame = pd.DataFrame(rows).set_index("tag", drop=False)
    numbers = [column for column in frame.columns if column != "tag"]
    frame[numbers] = frame[numbers].astype("float64")
    rules = [limit.rule for limit in _LIMITS] + [
        Rule(BETWEEN, {"column": measure, "max_value": 0}, "critical", measure, BETWEEN, note=says)
        for measure, says in _NONE_ALLOWED.items()
    ]
    says = [(limit.measure, limit.limit, limit.says) for limit in _LIMITS]
    says += [(measure, measure, sentence) for measure, sentence in _NONE_ALLOWED.items()]
    results = judge.judge(SUITE, rules, [frame], identify="tag")
    failures: dict[str, list[str]] = {}
    for (measure, limit, sentence), result in zip(says, results, strict=True):
        for slug in identified(result, "tag"):
            row = frame.loc[slug]
            failures.setdefault(slug, []).append(
                sentence.format(measure=_shown(row[measure]), limit=_shown(row[limit]))
            )
    return {slug: tuple(found) for slug, found in failures.items()}, results


def _row(profile: TagProfile, limit: Quality) -> dict[str, Any]:
    lower, upper = limit.between or (None, None)
    return {
        "tag": profile.slug,
        "coverage": profile.coverage,
        "coverage_min": limit.coverage.get("min"),
        "coverage_max": limit.coverage.get("max"),
        "minimum": _number(profile.minimum),
        "between_min": lower,
        "maximum": _number(profile.maximum),
        "between_max": upper,
        "distinct": profile.distinct,
        "distinct_min": limit.distinct.get("min"),
        "distinct_max": limit.distinct.get("max"),
        "not_finite": profile.not_finite,
        "undeclared": profile.undeclared,
    }


def _number(bound: Any) -> float | None:
    return float(bound) if isinstance(bound, int | float) else None


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:,.6g}"
