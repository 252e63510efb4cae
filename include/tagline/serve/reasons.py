"""Why a tag has its value, in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from tagline.definitions.tag import AnyTag, GradeTag, ModelTag, RankTag, RuleTag, ScoreTag
from tagline.definitions.types import PLACEHOLDER
from tagline.serve.grade_reasons import Words, grade_reason, quoted, score_reason
from tagline.serve.released import CASE

Reason = Callable[[Mapping[str, Any]], str]


def reason_of(slug: str, definition: AnyTag, models: Mapping[str, Mapping[str, Any]]) -> Reason:
    """What tells the reason of a tag's value from a customer's row.

    A rule tells the case that held, with the values of the tags it names; the others say what
    they are made from. `models` are those of the release.
    """
    if isinstance(definition, RuleTag):
        cases = [case.because for case in definition.cases] + [definition.otherwise.because]
        column, unknown, last = slug + CASE, definition.description, len(cases) - 1

        def held(row: Mapping[str, Any]) -> str:
            case = row.get(column)
            return unknown if case is None else fill(cases[min(case, last)], row)

        return held
    if isinstance(definition, ScoreTag | GradeTag):
        return _of_points(slug, definition, ENGLISH)
    text = _made_from(definition, models)
    return lambda _row: text


def reason_in_chinese(slug: str, definition: AnyTag) -> Reason | None:
    """What tells the reason in Chinese; None of a tag whose definition has no Chinese words."""
    if isinstance(definition, ScoreTag | GradeTag):
        return _of_points(slug, definition, CHINESE)
    return None


def tells_why(definition: AnyTag) -> bool:
    """Whether the reason is of each customer, not of the tag as such."""
    return isinstance(definition, RuleTag | ScoreTag | GradeTag)


def told_tags(definition: AnyTag) -> frozenset[str]:
    """The tags whose values a reason may tell though the tag does not read them itself."""
    return quoted(definition) if isinstance(definition, ScoreTag | GradeTag) else frozenset()


def _of_points(slug: str, tag: ScoreTag | GradeTag, words: Words) -> Reason:
    """The reason of a score or a grade; the description where a row does not tell it."""

    def told(row: Mapping[str, Any]) -> str:
        if isinstance(tag, ScoreTag):
            said = score_reason(slug, tag, row, words)
        else:
            said = grade_reason(slug, tag, row, words)
        return tag.description if said is None else said

    return told


def _made_from(definition: AnyTag, models: Mapping[str, Mapping[str, Any]]) -> str:
    if isinstance(definition, RankTag):
        inside = f" within each {definition.within}" if definition.within else ""
        return (
            f"Group of {definition.into} by {definition.of}{inside}; "
            f"{definition.into} is the best, where {definition.of} is {definition.best}."
        )
    if isinstance(definition, ModelTag):
        since = str(models.get(definition.model, {}).get("trained_as_of", ""))[:10]
        trained = f", trained as of {since}" if since else ""
        return f"{definition.output.capitalize()} of the model {definition.model}{trained}."
    return definition.description


def fill(template: str, values: Mapping[str, Any]) -> str:
    """A sentence with its {tags} replaced by their values.

    >>> fill("{days} days without an order, {amount} before", {"days": 91, "amount": 12.5})
    '91 days without an order, 12.5 before'
    """
    return PLACEHOLDER.sub(lambda match: spoken(values.get(match[1])), template)


def spoken(value: Any) -> str:
    """A value as a sentence shows it.

    >>> [spoken(v) for v in (None, True, 1234.5678, 3.0, ["DAIRY", "MEAT"])]
    ['no value', 'yes', '1234.57', '3', 'DAIRY, MEAT']
    """
    if value is None:
        return "no value"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    if isinstance(value, list | tuple):
        return ", ".join(spoken(item) for item in value)
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def fill_in_chinese(template: str, values: Mapping[str, Any]) -> str:
    """A Chinese sentence with its {tags} replaced by their values.

    >>> fill_in_chinese("逾期{days}天，投诉：{open}", {"days": None, "open": True})
    '逾期无值天，投诉：是'
    """
    return PLACEHOLDER.sub(lambda match: _spoken_in_chinese(values.get(match[1])), template)


def _spoken_in_chinese(value: Any) -> str:
    if value is None:
        return "无值"
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, list | tuple):
        return "、".join(_spoken_in_chinese(item) for item in value)
    return spoken(value)


ENGLISH = Words(
    language="en",
    fill=fill,
    joint=", ",
    points="{points} of 100 points.",
    come="Most come from {said}.",
    lost="Most are lost by {said}.",
    gained="{said} (+{part} of {whole})",
    missed="{said} (−{lost} of {whole})",
    got="{said} ({part} of {whole} points)",
    graded="{grade} with {points} of 100 points.",
    decided="Decided by {said}.",
    limited="{grade} at best: {said}.",
    by_points="By its {points} of 100 points it would be {grade}.",
    within="Stays {grade}: its {points} of 100 points are not far enough in {other}.",
    staying="Stays {grade} until {until}, {days} days after it changed; today's tags give {other}.",
    then="It was given for {tags}.",
    since="{grade} since {day}.",
    before="{grade} until {day}.",
    never="Has been {grade} since it was first graded.",
    care="Calls for care: {said}.",
    calm="Nothing calls for care.",
)
CHINESE = Words(
    language="zh",
    fill=fill_in_chinese,
    joint="、",
    points="得分{points}（满分100）。",
    come="主要得分：{said}。",
    lost="主要失分：{said}。",
    gained="{said}（+{part}/{whole}）",
    missed="{said}（−{lost}/{whole}）",
    got="{said}（{part}/{whole}）",
    graded="{grade}级，得分{points}（满分100）。",
    decided="依据：{said}。",
    limited="至多{grade}级：{said}。",
    by_points="按得分{points}（满分100）应为{grade}级。",
    within="保持{grade}级：得分{points}（满分100）尚未明显进入{other}级。",
    staying="保持{grade}级至{until}（变更后{days}天内不再变更）；按今日标签应为{other}级。",
    then="当时依据：{tags}。",
    since="自{day}起为{grade}级。",
    before="{day}之前为{grade}级。",
    never="首次评级以来一直为{grade}级。",
    care="需关注：{said}。",
    calm="无需特别关注。",
)
