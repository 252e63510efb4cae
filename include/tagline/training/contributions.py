"""Why a model says what it says of a customer: the largest contributions, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypedDict

import numpy as np
import pandas as pd

from tagline.definitions.tag import TagDefinition
from tagline.definitions.types import DataType
from tagline.training.panels import Array

Language = Literal["en", "zh"]

REASONS = 3  # for each customer, at most
LEAST = 0.05  # log odds; less is no reason
SENTENCES: Mapping[Language, tuple[str, str, str]] = {  # before the value, of the usual one, end
    "en": ("{name}: ", " (usually {usual}), ", "{direction} it"),
    "zh": ("{name}：", "（通常{usual}），", "{direction}"),
}
DIRECTIONS: Mapping[Language, tuple[str, str]] = {
    "en": ("lowers", "raises"),
    "zh": ("拉低", "推高"),
}
NOTHING: Mapping[Language, str] = {"en": "Nothing is unusual", "zh": "各项均与通常相同"}
WORDS: Mapping[Language, Mapping[str | None, str]] = {
    "en": {None: "none", "true": "yes", "false": "no"},
    "zh": {None: "无", "true": "是", "false": "否"},
}


class Described(TypedDict):
    """How a feature is spoken of: its tag's names, type and unit; plain, to go with a model."""

    en: str
    zh: str
    type: str
    unit: str | None


def described(definition: TagDefinition) -> Described:
    """How reasons speak of a tag."""
    return Described(
        en=definition.name.en,
        zh=definition.name.zh,
        type=definition.type.value,
        unit=definition.unit,
    )


def reasons(
    contributions: Array,
    rows: pd.DataFrame,
    usual: Mapping[str, Any],
    spoken_of: Mapping[str, Described],
    least: float = LEAST,
) -> dict[Language, list[list[str]]]:
    """For each row its largest contributions in words, the largest first, in each language.

    `contributions` has a column per feature of `usual`, in that order; `usual` is each feature's
    usual value, `spoken_of` how it is named. A contribution below `least` (by default, log odds)
    and a value that reads as the usual one are no reasons; a row without any says that nothing
    is unusual.
    """
    order = np.argsort(-np.abs(contributions), axis=1, kind="stable")[:, : 2 * REASONS]
    size = np.take_along_axis(contributions, order, axis=1)
    said: dict[Language, list[list[str]]] = {
        language: [[] for _ in range(len(rows))] for language in SENTENCES
    }
    features = [_Feature(rows[slug], usual[slug], spoken_of[slug]) for slug in usual]
    english, chinese = said["en"], said["zh"]
    for rank in range(order.shape[1]):  # the largest contributions of all rows, then the next ones
        strong = np.flatnonzero(np.abs(size[:, rank]) >= least)
        for row, place, up in zip(
            strong.tolist(), order[strong, rank].tolist(), (size[strong, rank] > 0).tolist(),
            strict=True,
        ):  # fmt: skip
            if len(english[row]) < REASONS and (both := features[place].said(row, up)):
                english[row].append(both[0])
                chinese[row].append(both[1])
    return {
        language: [each or [NOTHING[language]] for each in lists]
        for language, lists in said.items()
    }


class _Feature:
    """The values of a feature, and the sentences around them; a million rows are worded by it."""

    def __init__(self, values: pd.Series[Any], usual: Any, of: Described) -> None:
        self._values = values.tolist()
        self._of = of
        self._usual = spoken(usual, of)
        self._around: list[tuple[str, str, str, str]] = []
        for up in (False, True):
            parts: list[str] = []
            for language, (before, after, end) in SENTENCES.items():
                shown = spoken(usual, of, language)
                direction = DIRECTIONS[language][up]
                parts.append(before.format(name=of[language]))
                parts.append(after.format(usual=shown) + end.format(direction=direction))
            self._around.append((parts[0], parts[1], parts[2], parts[3]))

    def said(self, row: int, up: bool) -> tuple[str, str] | None:
        """The sentence in English and in Chinese; None where the value reads as the usual one."""
        value = self._values[row]
        english = spoken(value, self._of)
        if english == self._usual:
            return None
        is_number = isinstance(value, float) and value == value
        chinese = english if is_number else spoken(value, self._of, "zh")
        before, after, before_zh, after_zh = self._around[up]
        return before + english + after, before_zh + chinese + after_zh


def spoken(value: Any, of: Described, language: Language = "en") -> str:
    """A feature's value as a reason shows it; at most three digits, shares as percentages.

    >>> of = Described(en="Share", zh="占比", type="number", unit="share")
    >>> spoken(0.1234, of), spoken(None, of), spoken(float("nan"), of, "zh")
    ('12%', 'none', '无')
    """
    if value is None or value != value:
        return WORDS[language][None]
    if isinstance(value, str):
        words = WORDS[language] if of["type"] == DataType.BOOLEAN else {}
        return words.get(value, value)
    if of["unit"] == "share":
        return f"{value:.0%}"
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if digits else text
