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
LEAST = 0.05  # log odds; less is no reason beside a larger one
SENTENCES: Mapping[Language, tuple[str, str]] = {  # of what raises, and of what lowers
    "en": (
        "{name}: {value} (usually {usual}), raises it",
        "{name}: {value} (usually {usual}), lowers it",
    ),
    "zh": ("{name}：{value}（通常{usual}），推高", "{name}：{value}（通常{usual}），拉低"),
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
    language: Language = "en",
    least: float = LEAST,
) -> list[list[str]]:
    """For each row its largest contributions in words, the largest first.

    `contributions` has a column per feature of `usual`, in that order; `usual` is each feature's
    usual value, `spoken_of` how it is named. Beside the largest, a contribution counts from
    `least` on (by default, in log odds). Of a row that differs from the usual in nothing that
    counts, that is the reason.
    """
    slugs = list(usual)
    most = min(REASONS, len(slugs))
    order = np.argsort(-np.abs(contributions), axis=1, kind="stable")[:, :most]
    size = np.take_along_axis(contributions, order, axis=1)
    said: list[list[str]] = [[] for _ in range(len(rows))]
    for row in np.flatnonzero(size[:, 0] == 0).tolist():
        said[row].append(NOTHING[language])
    texts = [
        _texts(rows[slug], (order == place).any(axis=1), spoken_of[slug], language)
        for place, slug in enumerate(slugs)
    ]
    usually = [spoken(usual[slug], spoken_of[slug], language) for slug in slugs]
    names = [spoken_of[slug][language] for slug in slugs]
    raises, lowers = SENTENCES[language]
    for rank in range(most):  # the largest contributions of all rows, then the next ones
        enough = least if rank else np.finfo(float).tiny
        strong = np.flatnonzero(np.abs(size[:, rank]) >= enough)
        for row, place, up in zip(
            strong.tolist(), order[strong, rank].tolist(), (size[strong, rank] > 0).tolist(),
            strict=True,
        ):  # fmt: skip
            sentence = raises if up else lowers
            said[row].append(
                sentence.format(name=names[place], value=texts[place][row], usual=usually[place])
            )
    return said


def spoken(value: Any, of: Described, language: Language = "en") -> str:
    """A feature's value as a reason shows it; at most three digits, shares as percentages.

    >>> of = Described(en="Share", zh="占比", type="number", unit="share")
    >>> spoken(0.1234, of), spoken(None, of), spoken(float("nan"), of, "zh")
    ('12%', 'none', '无')
    """
    if value is None or (isinstance(value, float) and np.isnan(value)):
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


def _texts(
    values: pd.Series[Any],
    wanted: np.ndarray[Any, np.dtype[np.bool_]],
    of: Described,
    language: Language,
) -> Mapping[int, str]:
    """The values of the wanted rows in words, by place; each distinct one is worded once."""
    places = np.flatnonzero(wanted)
    codes, distinct = pd.factorize(values.iloc[places], use_na_sentinel=False)
    words = [spoken(value, of, language) for value in distinct.tolist()]
    return {place: words[code] for place, code in zip(places.tolist(), codes.tolist(), strict=True)}
