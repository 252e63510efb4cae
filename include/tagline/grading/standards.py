"""The values that amounts take over time, so that a definition can be checked for each of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from tagline.definitions.business import Standard
from tagline.definitions.grading import standard_named

Amount = float | str


@dataclass(frozen=True)
class Dated:
    """What amounts are worth in one business from a day on; `when` says so, empty if always."""

    values: Mapping[Amount, float]
    when: str


def over_time(
    amounts: Iterable[Amount], timelines: Mapping[str, Mapping[str, Standard]]
) -> Iterator[Dated]:
    """The values of amounts on every day on which one changes, of every business.

    Days before each standard has a value are left out, and so are amounts that name no standard
    of numbers: these are faults of their own.
    """
    wanted = list(dict.fromkeys(amounts))
    named = {standard for each in wanted if (standard := standard_named(each)) is not None}
    if not named:
        yield Dated({each: float(each) for each in wanted}, "")
        return
    told: set[tuple[float, ...]] = set()
    for business, standards in timelines.items():
        if not named <= standards.keys():
            continue
        days = {dated.from_ for name in named for dated in standards[name].values}
        for day in sorted(days):
            values = {each: value_on(each, standards, day) for each in wanted}
            held = {each: value for each, value in values.items() if value is not None}
            if len(held) == len(wanted) and tuple(held.values()) not in told:
                told.add(tuple(held.values()))
                yield Dated(held, f" (standards of {business} from {day} on)")


def value_on(amount: Amount, standards: Mapping[str, Standard], day: date) -> float | None:
    """A number, or the value of a standard on a day; None before its first, and of no number."""
    name = standard_named(amount)
    if name is None:
        return float(amount)
    held = [dated for dated in standards[name].values if dated.from_ <= day]
    value = max(held, key=lambda dated: dated.from_).value if held else None
    return float(value) if isinstance(value, int | float) else None
