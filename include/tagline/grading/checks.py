"""Faults of scores and policies that show without data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from tagline.definitions import DataType, PolicyDefinition, ScoreTag
from tagline.definitions.files import DefinitionFile, Location
from tagline.definitions.grading import LEFT_OUT, Held, Input, standard_named
from tagline.definitions.types import PLACEHOLDER, Names
from tagline.errors import Fault, did_you_mean
from tagline.grading.points import MOST, is_rising
from tagline.grading.standards import Amount, Dated, over_time
from tagline.subjects import Subject

if TYPE_CHECKING:
    from tagline.meaning import World

_NUMBERS = (DataType.INTEGER, DataType.NUMBER)


def check_score(file: DefinitionFile, tag: ScoreTag, world: World, subject: Subject) -> list[Fault]:
    """Types, directions, steps and standards of a score's inputs."""
    checker = _Checker(file, world, subject, tuple(world.timelines))
    if tag.type is not DataType.NUMBER:
        checker.fault(("type",), f"type: a score is a number, not {tag.type.value}")
    checker.inputs(("inputs",), tag.inputs)
    for index, each in enumerate(tag.inputs):
        checker.directed(("inputs", index), each.tag, each.best)
        rising = is_rising(each, world.tag_polarities.get(each.tag))
        checker.shape(("inputs", index), each, rising=rising)
    return checker.faults


def check_policy(
    file: DefinitionFile,
    policy: PolicyDefinition,
    world: World,
    subject: Subject,
    businesses: Sequence[str],
) -> list[Fault]:
    """All that a policy says of tags, standards and grades; `businesses` are those that use it."""
    checker = _Checker(file, world, subject, tuple(businesses))
    for polarity, inputs in (("positive", policy.positive), ("negative", policy.negative)):
        checker.inputs((polarity,), inputs)
        for index, each in enumerate(inputs):
            checker.speaks((polarity, index), each.tag, polarity)
            checker.shape((polarity, index), each, rising=polarity == "positive")
    checker.distinct(policy)
    for index, special in enumerate(policy.special):
        place: Location = ("special", index)
        if special.tag in [each.tag for each in policy.special[:index]]:
            checker.fault((*place, "tag"), f"{special.tag} is listed twice; remove one")
        checker.speaks(place, special.tag, "special")
        checker.held(place, special)
    for index, limit in enumerate(policy.limits):
        checker.limit(("limits", index), limit.tag, limit)
    checker.grades(policy)
    return checker.faults


class _Checker:
    def __init__(
        self, file: DefinitionFile, world: World, subject: Subject, businesses: Sequence[str]
    ) -> None:
        self.file = file
        self.world = world
        self.subject = subject
        self.timelines = {name: world.timelines[name] for name in businesses}
        self.faults: list[Fault] = []

    def fault(self, place: Location, message: str) -> None:
        self.faults.append(self.file.fault(place, message))

    def over_time(self, *amounts: Amount) -> Iterable[Dated]:
        return over_time(amounts, self.timelines)

    def kind(self, slug: str) -> DataType | None:
        return self.world.tag_types.get(slug)

    # Names

    def tag(self, place: Location, slug: str) -> bool:
        """Whether a tag is there and of the subject."""
        if slug not in self.world.tag_types:
            close = did_you_mean(slug, self.world.tag_types)
            self.fault(place, f"unknown tag {slug!r}.{close}")
            return False
        if said := self.world.foreign(slug, self.subject):
            self.fault(place, said)
            return False
        return True

    def because(self, place: Location, words: Names, own: str) -> None:
        """The tags that a reason names, which are filled in from the same row."""
        for language in ("en", "zh"):
            for slug in sorted(set(PLACEHOLDER.findall(getattr(words, language)))):
                if slug != own:
                    self.tag((*place, "because", language), slug)

    def amount(self, place: Location, amount: Amount) -> bool:
        """Whether an amount is a number or a standard of numbers."""
        name = standard_named(amount)
        if name is None:
            return True
        known = self.world.standards
        if name not in known:
            self.fault(place, f"unknown standard {name!r}.{did_you_mean(name, known)}")
            return False
        if known[name] not in _NUMBERS:
            self.fault(place, f"standard {name} is {known[name].value}, where a number is needed")
            return False
        return True

    # Directions

    def directed(self, place: Location, slug: str, best: str | None) -> None:
        """Whether it is said, and said once, of which values of a tag more is better."""
        polarity = self.world.tag_polarities.get(slug)
        told = {"positive": "high", "negative": "low"}.get(polarity or "")
        if slug not in self.world.tag_types:
            return
        if told is None and best is None:
            said = f"{slug} has no polarity that says it; add 'best: high' or 'best: low'"
            self.fault(place, said)
        elif told is not None and best is not None and told != best:
            said = f"{slug} is {polarity}, so its best values are the {told} ones; remove 'best'"
            self.fault((*place, "best"), said)

    def speaks(self, place: Location, slug: str, wanted: str) -> None:
        """Whether a tag has the polarity under which it is listed."""
        polarity = self.world.tag_polarities.get(slug)
        if slug not in self.world.tag_types or polarity == wanted:
            return
        said = f"is {polarity}" if polarity else "has no polarity"
        self.fault(
            (*place, "tag"),
            f"{slug} {said}, and this is the list of {wanted} tags; write 'polarity: {wanted}' in "
            f"its file{', or list it there' if polarity else ''}",
        )

    # Inputs

    def inputs(self, place: Location, inputs: Sequence[Input]) -> None:
        """Tags, words, standards and types of inputs."""
        for index, each in enumerate(inputs):
            here: Location = (*place, index)
            self.because(here, each.because, each.tag)
            if each.tag in [other.tag for other in inputs[:index]]:
                self.fault((*here, "tag"), f"{each.tag} is listed twice; join its two inputs")
            if not self.tag((*here, "tag"), each.tag):
                continue
            kind = self.kind(each.tag)
            shaped = each.between is not None or bool(each.steps)
            if kind is DataType.BOOLEAN and shaped:
                said = f"{each.tag} is boolean, which has 100 points or none; remove it"
                self.fault((*here, "steps" if each.steps else "between"), said)
            elif kind in _NUMBERS and not shaped:
                self.fault(here, f"{each.tag} is {kind.value}: add 'between' or 'steps'")
            elif kind is not None and kind not in (DataType.BOOLEAN, *_NUMBERS):
                said = f"{each.tag} is {kind.value}, of which no points follow; make a rule of it"
                self.fault((*here, "tag"), said)

    def shape(self, place: Location, each: Input, *, rising: bool) -> None:
        """Whether the points go one way, the way in which the tag is better, for each standard."""
        if each.between is not None:
            self.even(place, each, rising=rising)
        good = [
            self.amount((*place, "steps", number, "from"), step.from_)
            for number, step in enumerate(each.steps)
        ]
        if not each.steps or not all(good):
            return
        for number, (first, second) in enumerate(pairwise(each.steps), start=1):
            if (second.points - first.points) * (1 if rising else -1) <= 0:
                word = "more" if rising else "less"
                said = f"{word} of {each.tag} is better, so the points of steps "
                said += "rise" if rising else "fall"
                self.fault((*place, "steps", number, "points"), said)
        for dated in self.over_time(*(step.from_ for step in each.steps)):
            values = [dated.values[step.from_] for step in each.steps]
            for number, (low, high) in enumerate(pairwise(values), start=1):
                if low >= high:
                    said = f"steps begin in rising order, and {high:g} is not above {low:g}"
                    self.fault((*place, "steps", number, "from"), said + dated.when)
                    return

    def even(self, place: Location, each: Input, *, rising: bool) -> None:
        """Whether `worst` and `best` lie as the tag's direction says."""
        assert each.between is not None
        worst, best = each.between.worst, each.between.best
        here: Location = (*place, "between")
        if not all([self.amount((*here, "worst"), worst), self.amount((*here, "best"), best)]):
            return
        for dated in self.over_time(worst, best):
            low, high = dated.values[worst], dated.values[best]
            if low == high or (low < high) != rising:
                word, side = ("more", "above") if rising else ("less", "below")
                said = f"{word} of {each.tag} is better, so 'best' lies {side} 'worst'"
                self.fault(here, f"{said}, and {high:g} is not {side} {low:g}{dated.when}")
                return

    # Policies

    def distinct(self, policy: PolicyDefinition) -> None:
        """Whether there is something to grade by, for every one."""
        if all(each.missing == LEFT_OUT for each in policy.inputs):
            said = "every tag is left out where it is missing, so that some would have no grade; "
            self.fault((), said + "give one of them points for a missing value")
        ahead = [each.tag for each in policy.positive]
        for index, each in enumerate(policy.negative):
            if each.tag in ahead:
                said = f"{each.tag} is listed under positive, too"
                self.fault(("negative", index, "tag"), said)

    def held(self, place: Location, condition: Held) -> bool:
        """Tag, words, form and standard of a condition."""
        self.because(place, condition.because, condition.tag)
        if not self.tag((*place, "tag"), condition.tag):
            return False
        kind = self.kind(condition.tag)
        key = "from" if condition.from_ is not None else "below"
        amount = condition.from_ if condition.from_ is not None else condition.below
        if kind is DataType.BOOLEAN and amount is not None:
            self.fault((*place, key), f"{condition.tag} is boolean, and holds when it is true")
        elif kind in _NUMBERS and amount is None:
            self.fault(place, f"{condition.tag} is {kind.value}: add 'from' or 'below'")
        elif kind not in (DataType.BOOLEAN, *_NUMBERS):
            said = f"{condition.tag} is {kind.value if kind else 'unknown'}; make a rule of it"
            self.fault((*place, "tag"), said)
        elif amount is not None:
            return self.amount((*place, key), amount)
        else:
            return True
        return False

    def limit(self, place: Location, slug: str, condition: Held) -> None:
        """Whether a limit holds for bad values only, so that better ones never lower a grade."""
        if not self.held(place, condition):
            return
        polarity = self.world.tag_polarities.get(slug)
        if polarity == "special":
            self.fault((*place, "tag"), f"{slug} calls for care, and does not lower a grade")
        elif polarity is None:
            said = f"{slug} has no polarity; write 'polarity: negative' or 'positive' in its file"
            self.fault((*place, "tag"), said)
        elif polarity == "negative" and condition.below is not None:
            said = f"{slug} speaks against, so a limit holds 'from' a value on"
            self.fault((*place, "below"), said)
        elif polarity == "positive" and condition.below is None:
            key = "from" if condition.from_ is not None else "tag"
            said = f"{slug} speaks for, so a limit holds 'below' a value"
            if self.kind(slug) is DataType.BOOLEAN:
                said = f"{slug} speaks for; a limit needs a tag that speaks against"
            self.fault((*place, key), said)

    def grades(self, policy: PolicyDefinition) -> None:
        """Names and borders of the grades, and whether each can be given."""
        names = [each.grade for each in policy.grades]
        for index, each in enumerate(policy.grades):
            place: Location = ("grades", index)
            if each.grade in names[:index]:
                self.fault((*place, "grade"), f"grade {each.grade!r} is there twice")
            if index == len(names) - 1 and each.from_ is not None:
                self.fault((*place, "from"), "the last grade is given to all others; remove it")
            if index < len(names) - 1 and each.from_ is None:
                self.fault(place, f"grade {each.grade} is given from some points on: add 'from'")
        for index, limit in enumerate(policy.limits):
            here: Location = ("limits", index, "at_best")
            if limit.at_best not in names:
                close = did_you_mean(limit.at_best, names)
                self.fault(here, f"unknown grade {limit.at_best!r}.{close}")
            elif limit.at_best == names[0]:
                self.fault(here, f"{names[0]} is the best grade, so this limits nothing")
        margin = policy.hysteresis.margin
        place = ("hysteresis", "margin")
        if self.amount(place, margin):
            for dated in self.over_time(margin):
                if dated.values[margin] < 0:
                    self.fault(place, f"a margin is at least 0{dated.when}")
                    break
        if not self.faults:
            self.borders(policy)

    def borders(self, policy: PolicyDefinition) -> None:
        """Whether the borders fall from grade to grade, within the points that there are."""
        borders = [each.from_ for each in policy.grades[:-1] if each.from_ is not None]
        good = [self.amount(("grades", at, "from"), each) for at, each in enumerate(borders)]
        if not all(good):
            return
        least, most = _reach(policy)
        limited = {limit.at_best for limit in policy.limits}
        for dated in self.over_time(*borders):
            values = [dated.values[each] for each in borders]
            for at, value in enumerate(values):
                grade, below = policy.grades[at].grade, policy.grades[at + 1].grade
                if at and value >= values[at - 1]:
                    said = f"grade {grade} can never be given: it begins at {value:g}, which is "
                    said += f"not below the {values[at - 1]:g} of {policy.grades[at - 1].grade}"
                    self.fault(("grades", at, "from"), said + dated.when)
                    return
                if value > most:
                    said = f"grade {grade} can never be given: it begins at {value:g}, and the "
                    said += f"inputs give {most:g} points at most"
                    self.fault(("grades", at, "from"), said + dated.when)
                    return
                worse = {each.grade for each in policy.grades[at + 1 :]}
                if value <= least and not worse & limited:
                    said = f"grade {below} can never be given: {grade} begins at {value:g}, and "
                    said += f"nobody has less than {least:g} points"
                    self.fault(("grades", at, "from"), said + dated.when)
                    return


def _reach(policy: PolicyDefinition) -> tuple[float, float]:
    """The least and the most points that the inputs can give together."""
    low = high = 0.0
    weight = sum(each.weight for each in policy.inputs)
    for each in policy.inputs:
        rising = each in policy.positive
        points = [0.0, float(MOST)]
        if each.steps:
            points = [0.0 if rising else float(MOST), *(step.points for step in each.steps)]
        if each.missing != LEFT_OUT:
            points.append(float(each.missing))
        low += each.weight * min(points)
        high += each.weight * max(points)
    if any(each.missing == LEFT_OUT for each in policy.inputs):
        return 0.0, float(MOST)
    return low / weight, high / weight
