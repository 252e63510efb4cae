"""Why a forecast of purchases says what it says: the customer's own rhythm, in words.

The forecast reads nothing but these numbers, so they are all that there is to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from tagline.training.panels import Array

Language = Literal["en", "zh"]

_WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "once": "a single purchase day, {age:g} days ago",
        "often": "{days:g} purchase days in {age:g} days, one every {gap:.1f} days",
        "silent": "no purchase for {silence:g} days, {times:.1f} times the usual gap",
        "amount": "{mean:,.2f} spent on a purchase day on average",
    },
    "zh": {
        "once": "仅有一个购买日，在{age:g}天前",
        "often": "{age:g}天内有{days:g}个购买日，平均每{gap:.1f}天一次",
        "silent": "已有{silence:g}天未购买，为平常间隔的{times:.1f}倍",
        "amount": "平均每个购买日消费{mean:,.2f}",
    },
}


def reasons(rows: Array, language: Language) -> list[list[str] | None]:
    """For each history (frequency, recency, age, perhaps mean amount) its rhythm and its silence.

    None for a customer who never bought, of whom nothing is known.
    """
    return list(_each(rows, _WORDS[language]))


def _each(rows: Array, words: dict[str, str]) -> Iterator[list[str] | None]:
    known = np.asarray(np.isfinite(rows).all(axis=1)).tolist()
    for numbers, said in zip(rows.tolist(), known, strict=True):
        if not said:
            yield None
            continue
        frequency, recency, age, *mean = numbers
        if frequency == 0:
            told = [words["once"].format(age=age)]
        else:
            gap, silence = recency / frequency, age - recency
            told = [
                words["often"].format(days=frequency + 1, age=age, gap=gap),
                words["silent"].format(silence=silence, times=silence / gap),
            ]
        yield [*told, *(words["amount"].format(mean=each) for each in mean)]
