"""Names of circles, in English and Chinese, from the tags that set their customers apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tagline.definitions.types import Names
from tagline.training.circle_measures import Labels

CLEAR = 0.2  # Cohen's small effect: a weaker one names nothing
PARTS = 2  # traits in a name
VALUES = 3  # of one text that a trait may join, until they cover half of the circle
REMEMBERED = 5  # a circle keeps its name while the name's first trait is among these


@dataclass(frozen=True)
class Trait:
    """Values, or a side of a number, that a circle's customers have more than the others.

    `effect` is Cohen's h of the two shares, or his d of the two means: 0.2 is small, 0.8 large.
    """

    tag: str
    values: tuple[str, ...]  # of a text or boolean, the clearest first; high or low of a number
    effect: float
    inside: float  # the share, or the mean, in the circle
    outside: float  # and among all others
    name: Names

    @property
    def keys(self) -> tuple[str, ...]:
        """The tag with each value, the clearest first, to find them again in a later run."""
        return tuple(f"{self.tag}={value}" for value in self.values)

    def as_json(self) -> dict[str, Any]:
        """Plain values, rounded."""
        numbers = {"effect": self.effect, "inside": self.inside, "outside": self.outside}
        shown = {name: round(number, 4) for name, number in numbers.items()}
        return {"tag": self.tag, "values": list(self.values), **shown, **self.name.model_dump()}


def traits(
    labels: Labels, tags: pd.DataFrame, names: Mapping[str, Names], most: int = REMEMBERED
) -> dict[int, list[Trait]]:
    """For each circle its traits, the most distinguishing first, one per tag.

    `labels` gives each row's circle (0: none); `tags` holds numbers as floats, and texts and
    booleans ("true", "false") as strings; `names` gives each tag's name.
    """
    found: dict[int, list[Trait]] = {}
    for circle in np.unique(labels[labels != 0]).tolist():
        inside = labels == circle
        each = (_trait(slug, tags[slug], inside, names[slug]) for slug in tags.columns)
        clear = [trait for trait in each if trait is not None and trait.effect >= CLEAR]
        found[circle] = sorted(clear, key=lambda trait: (-trait.effect, trait.tag))[:most]
    return found


def named(
    found: Mapping[int, Sequence[Trait]], earlier: Mapping[int, tuple[Names, str]]
) -> dict[int, tuple[Names, str]]:
    """Each circle's name and the key (tag=value) that leads it.

    A circle of the earlier run keeps its name while what led it is still among its traits.
    Two circles with the same name get a further trait, or else their ids, to tell them apart.
    """
    result: dict[int, tuple[Names, str]] = {}
    for circle, known in found.items():
        if circle in earlier and earlier[circle][1] in {
            key for trait in known for key in trait.keys
        }:
            result[circle] = earlier[circle]
    taken = {name.en for name, _ in result.values()}
    for circle, known in found.items():
        if circle not in result:
            result[circle] = (_name(circle, known, taken), known[0].keys[0] if known else "")
            taken.add(result[circle][0].en)
    return dict(sorted(result.items()))


def _name(circle: int, known: Sequence[Trait], taken: set[str]) -> Names:
    for parts in range(min(PARTS, len(known)), len(known) + 1):
        chosen = known[:parts]
        english = ", ".join(trait.name.en for trait in chosen)
        if chosen and english not in taken:
            return Names(en=english, zh="，".join(trait.name.zh for trait in chosen))
    return Names(en=f"Circle {circle}", zh=f"圈子{circle}")


def _trait(
    slug: str, values: pd.Series[Any], inside: np.ndarray[Any, Any], name: Names
) -> Trait | None:
    """What of one tag sets the circle apart most; None where nothing is known of it."""
    if not pd.api.types.is_numeric_dtype(values):
        return _value(slug, values, inside, name)
    numbers = values.to_numpy(dtype=float)
    known = ~np.isnan(numbers)
    if not (known & inside).any() or not (known & ~inside).any():
        return None
    spread = float(numbers[known].std())
    own, other = float(numbers[known & inside].mean()), float(numbers[known & ~inside].mean())
    if spread == 0:
        return None
    side = "high" if own > other else "low"
    if side == "high":
        shown = Names(en=f"high {_lower(name.en)}", zh=f"{name.zh}高")
    else:
        shown = Names(en=f"low {_lower(name.en)}", zh=f"{name.zh}低")
    return Trait(slug, (side,), abs(own - other) / spread, own, other, shown)


def _value(
    slug: str, values: pd.Series[Any], inside: np.ndarray[Any, Any], name: Names
) -> Trait | None:
    """The values whose shares in the circle are furthest above those among the others.

    Further values join the clearest one while together they cover less than half of the circle.
    """
    known = values.notna().to_numpy()
    if not (known & inside).any() or not (known & ~inside).any():
        return None
    own = values[known & inside].value_counts(normalize=True)
    other = values[known & ~inside].value_counts(normalize=True).reindex(own.index).fillna(0.0)
    effects = 2 * np.arcsin(np.sqrt(own)) - 2 * np.arcsin(np.sqrt(other))
    best = sorted(own.index, key=lambda value: (-effects[value], value))
    chosen = best[:1]
    for value in best[1:VALUES]:
        if own[chosen].sum() < 0.5 and effects[value] >= CLEAR:
            chosen.append(value)
    shares = float(own[chosen].sum()), float(other[chosen].sum())
    return Trait(slug, tuple(chosen), float(effects[chosen[0]]), *shares, _said(name, chosen))


def _said(name: Names, values: Sequence[str]) -> Names:
    if values[0] == "true":
        return Names(en=_lower(name.en), zh=name.zh)
    if values[0] == "false":
        return Names(en=f"not {_lower(name.en)}", zh=f"非{name.zh}")
    *first, last = values
    english = f"{', '.join(first)} or {last}" if first else last
    chinese = f"{'、'.join(first)}或{last}" if first else last
    return Names(en=f"{_lower(name.en)} {english}", zh=f"{name.zh}{chinese}")


def _lower(name: str) -> str:
    """The name as it stands inside a sentence; an abbreviation such as RFM stays."""
    return name if name[:2].isupper() else name[:1].lower() + name[1:]
