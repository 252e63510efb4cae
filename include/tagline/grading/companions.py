"""The tags that a policy makes, as definitions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from tagline.definitions import DataType, GradeTag, Names, PolicyDefinition, ScoreTag
from tagline.definitions.grading import Grading
from tagline.definitions.tag import Quality

Output = Literal["grade", "since", "before", "reasons", "care"]
_TYPES: Mapping[Output, DataType] = {
    "grade": DataType.TEXT,
    "since": DataType.DATE,
    "before": DataType.TEXT,
    "reasons": DataType.TEXT_LIST,
    "care": DataType.BOOLEAN,
}
_SAID: Mapping[Output, tuple[str, str, str]] = {  # after the policy's name, in a sentence
    "grade": ("", "", ""),
    "since": ("since", "起始日", "The business day since which the grade is what it is"),
    "before": ("before", "上一等级", "The grade before the present one; none until it has changed"),
    "reasons": ("reasons", "依据标签", "The tags that decide the grade"),
    "care": ("care", "需关注", "Whether a special tag calls for care"),
}


def companions(policy: str, definition: PolicyDefinition) -> dict[str, ScoreTag | GradeTag]:
    """The policy's tags by slug; the grade has the policy's own name."""
    found: dict[str, ScoreTag | GradeTag] = {f"{policy}_points": _points(definition)}
    for output in _TYPES:
        if output != "care" or definition.special:
            slug = policy if output == "grade" else f"{policy}_{output}"
            found[slug] = _grade_tag(policy, definition, output)
    return found


def slugs_of(policy: str) -> dict[str, DataType]:
    """The names and types that a policy's tags may have, whatever its file says."""
    named = {policy if output == "grade" else f"{policy}_{output}": output for output in _TYPES}
    types = {slug: _TYPES[output] for slug, output in named.items()}
    return {**types, f"{policy}_points": DataType.NUMBER}


def _points(policy: PolicyDefinition) -> ScoreTag:
    directed = [(each, "high") for each in policy.positive]
    directed += [(each, "low") for each in policy.negative]
    inputs = [
        {**each.model_dump(by_alias=True, exclude_unset=True), "best": best}
        for each, best in directed
    ]
    said = f"Points from 0 to 100 that the grade follows: {_inner(policy.description)}"
    return ScoreTag.model_validate(
        {
            **_common(policy, "points", "得分", said),
            "kind": "score",
            "type": DataType.NUMBER,
            "inputs": inputs,
        }
    )


def _grade_tag(slug: str, policy: PolicyDefinition, output: Output) -> GradeTag:
    en, zh, said = _SAID[output]
    description = f"{said}: {_inner(policy.description)}" if said else policy.description
    given = {
        **_common(policy, en, zh, description),
        **{name: getattr(policy, name) for name in Grading.model_fields},
        "kind": "grade",
        "type": _TYPES[output],
        "policy": slug,
        "output": output,
    }
    if output == "grade":
        given |= {
            "values": tuple(each.grade for each in policy.grades),
            "critical": policy.critical,
            "stability": policy.stability,
            "quality": Quality(coverage={"min": 1.0}),
        }
    if output == "care":
        given["polarity"] = "special"
    return GradeTag.model_validate(given)


def _common(policy: PolicyDefinition, en: str, zh: str, description: str) -> dict[str, Any]:
    names = policy.name
    if en:
        names = Names(en=f"{names.en}, {en}", zh=f"{names.zh}{zh}")
    return {
        "name": names,
        "description": description,
        "owner": policy.owner,
        "valid_for": policy.valid_for,
        "sensitivity": policy.sensitivity,
    }


def _inner(sentence: str) -> str:
    """A sentence as part of another one."""
    return sentence[:1].lower() + sentence[1:]
