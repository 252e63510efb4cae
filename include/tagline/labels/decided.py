"""What the judgements of a label set come to: a label, a disagreement, or not enough answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from tagline.definitions.label_set import LabelSet
from tagline.labels.agreement import Answers

Subject = tuple[str, datetime | None]  # a customer, and the instant asked about, if it was one


@dataclass(frozen=True)
class Judgement:
    """One answer of one annotator; `value` None takes that annotator's earlier answer back."""

    label_id: str
    customer_id: str
    about_at: datetime
    value: str | None
    judged_by: str
    judged_at: datetime


@dataclass(frozen=True)
class Decided:
    """What is known of one customer at the instant that the judgements speak of.

    Where each speaks of the day of its answer, `about_at` is the newest of those that count.
    """

    customer_id: str
    about_at: datetime
    answers: Mapping[str, str]  # of annotators
    state: Literal["agreed", "adjudicated", "disagreed", "too few"]
    value: str | None  # None while disagreed or too few


def decide(definition: LabelSet, judgements: Iterable[Judgement]) -> list[Decided]:
    """The state of every customer that was judged, ordered by instant and customer.

    Each person's newest judgement of a customer counts, unless it took the earlier one back: at
    each instant asked about, or at all where the set speaks of the day of the answer, since people
    answer on different days. Values that the label set does not have do not count.
    """
    asked = definition.speaks_of == "asked"
    given: dict[Subject, dict[str, Judgement]] = {}
    for each in sorted(judgements, key=lambda one: (one.judged_at, one.label_id)):
        subject = (each.customer_id, each.about_at if asked else None)
        given.setdefault(subject, {})[each.judged_by] = each
    found = []
    for (customer, _), newest in given.items():
        counted = [each for each in newest.values() if each.value in definition.values]
        if counted:
            about_at = max(each.about_at for each in counted)
            found.append(_decide(definition, customer, about_at, counted))
    return sorted(found, key=lambda one: (one.about_at, one.customer_id))


def _decide(
    definition: LabelSet, customer: str, about_at: datetime, counted: list[Judgement]
) -> Decided:
    """What the answers that count come to; an adjudicator decides only where others disagree."""
    answers: dict[str, str] = {}
    decisions: list[Judgement] = []
    for each in counted:
        if each.judged_by in definition.adjudicators:
            decisions.append(each)
        else:
            answers[each.judged_by] = str(each.value)
    if len(answers) < definition.min_annotators:
        return Decided(customer, about_at, answers, "too few", None)
    [(value, times)] = Counter(answers.values()).most_common(1)
    if 2 * times > len(answers):
        return Decided(customer, about_at, answers, "agreed", value)
    last = max((each.judged_at for each in decisions), default=None)
    decision = {each.value for each in decisions if each.judged_at == last}
    if len(decision) == 1:  # adjudicators who differ at the same instant decide nothing
        return Decided(customer, about_at, answers, "adjudicated", decision.pop())
    return Decided(customer, about_at, answers, "disagreed", None)


def independent(decided: Iterable[Decided]) -> Answers:
    """The answers that agreement is measured on, by customer and instant."""
    return {f"{each.customer_id} {each.about_at.isoformat()}": each.answers for each in decided}
