"""Why a score or a grade is what it is, in words, English and Chinese, from a released row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from tagline.definitions.grading import Held, Input
from tagline.definitions.tag import GradeTag, ScoreTag
from tagline.definitions.types import PLACEHOLDER, Names

Row = Mapping[str, Any]
Fill = Callable[[str, Row], str]
NAMED = 3  # inputs that a score's reason tells of, on either side


@dataclass(frozen=True)
class Words:
    """A language: which of the names it reads, how it fills them in, and its sentences."""

    language: str
    fill: Fill
    joint: str
    points: str  # with {points}
    come: str
    lost: str
    gained: str  # {said} {part} {whole}
    missed: str
    got: str
    graded: str  # {grade}
    decided: str
    limited: str  # {grade} {said}
    by_points: str  # {points} {grade}
    within: str  # {grade} {points} {other}
    staying: str  # {grade} {until} {days} {other}
    then: str  # {tags}
    since: str  # {grade} {day}
    before: str  # {grade} {day}
    never: str
    care: str
    calm: str

    def of(self, names: Names, row: Row) -> str:
        """A phrase with its tags filled in."""
        return self.fill(getattr(names, self.language), row)


def score_reason(slug: str, tag: ScoreTag, row: Row, words: Words) -> str | None:
    """The inputs that gave the most points and those that cost the most; None of no score."""
    if row.get(slug) is None:
        return None
    shares = _shares(slug, tag.inputs, row)
    gave = sorted((each for each in shares if each.part > 0), key=lambda each: -each.part)
    cost = sorted((each for each in shares if each.lost > 0), key=lambda each: -each.lost)
    said = [words.points.format(points=_short(row[slug]))]
    for sentence, form, chosen in (
        (words.come, words.gained, gave),
        (words.lost, words.missed, cost),
    ):
        if chosen:
            listed = words.joint.join(each.said(form, row, words) for each in chosen[:NAMED])
            said.append(sentence.format(said=listed))
    return _sentences(said, words)


def grade_reason(slug: str, tag: GradeTag, row: Row, words: Words) -> str | None:
    """Why a policy's tag is what it is; None where the row does not tell."""
    policy = tag.policy
    grade = row.get(policy)
    if grade is None:
        return None
    if tag.output == "since":
        return words.since.format(grade=grade, day=_day(row.get(slug)))
    if tag.output == "before":
        if row.get(slug) is None:
            return words.never.format(grade=grade)
        return words.before.format(grade=row[slug], day=_day(row.get(f"{policy}_since")))
    if tag.output == "care":
        held = [each for each in tag.special if row.get(f"{slug}__{each.tag}")]
        if not held:
            return words.calm
        return words.care.format(said=_phrases(held, row, words))
    return _why(tag, row, str(grade), words)


def quoted(tag: ScoreTag | GradeTag) -> frozenset[str]:
    """The tags whose values the reason may tell."""
    phrases: list[Input | Held] = []
    kept: frozenset[str] = frozenset()  # what the reason of a grade that stays tells of it
    if isinstance(tag, ScoreTag):
        phrases += tag.inputs
    elif tag.output in ("grade", "reasons"):
        phrases += [*tag.inputs, *tag.limits]
        kept = frozenset({f"{tag.policy}_since", f"{tag.policy}_reasons"})
    elif tag.output == "before":
        kept = frozenset({f"{tag.policy}_since"})
    elif tag.output == "care":
        phrases += tag.special
    return kept | frozenset(
        slug
        for each in phrases
        for text in (each.because.en, each.because.zh)
        for slug in PLACEHOLDER.findall(text)
    )


def _why(tag: GradeTag, row: Row, grade: str, words: Words) -> str | None:
    policy, names = tag.policy, [each.grade for each in tag.grades]
    today, now = row.get(f"{policy}__today"), row.get(f"{policy}__now")
    by_points, limit = row.get(f"{policy}__points"), row.get(f"{policy}__limit")
    if today is None or now is None or by_points is None or limit is None:
        return None
    points = _short(row.get(f"{policy}_points"))
    if now != today and now == row.get(f"{policy}__was"):
        return _sentences(_kept(tag, row, grade, names[today], points, words), words)
    said = []
    if limit == now and limit > 0:
        held = [
            each
            for at, each in enumerate(tag.limits)
            if row.get(f"{policy}__limit_{at}") and each.at_best == names[limit]
        ]
        said.append(words.limited.format(grade=grade, said=_phrases(held, row, words)))
    if now != today:  # the limit struck within a stay, in which points change nothing
        said.append(_staying(tag, row, grade, names[today], words))
        return _sentences(said, words)
    if by_points != today:
        said.append(words.by_points.format(points=points, grade=names[by_points]))
        return _sentences(said, words)
    said.append(words.graded.format(grade=grade, points=points))
    shares = _shares(f"{policy}_points", tag.inputs, row)
    decide = [each for each in shares if each.input.tag in (row.get(f"{policy}_reasons") or ())]
    if decide:
        ordered = sorted(decide, key=lambda each: -max(each.part, each.lost))
        listed = words.joint.join(each.said(words.got, row, words) for each in ordered)
        said.append(words.decided.format(said=listed))
    return _sentences(said, words)


def _kept(
    tag: GradeTag, row: Row, grade: str, other: str, points: str, words: Words
) -> Iterable[str]:
    """What keeps a grade that today's tags would not give."""
    policy = tag.policy
    if row.get(f"{policy}__wish") == row.get(f"{policy}__now"):
        yield words.within.format(grade=grade, points=points, other=other)
    else:
        yield _staying(tag, row, grade, other, words)
    if tags := row.get(f"{policy}_reasons"):
        yield words.then.format(tags=words.joint.join(tags))


def _staying(tag: GradeTag, row: Row, grade: str, other: str, words: Words) -> str:
    stay, since = tag.hysteresis.stay, row.get(f"{tag.policy}_since")
    until = "?" if since is None else _day(date.fromisoformat(_day(since)) + stay)
    return words.staying.format(grade=grade, until=until, days=stay.days, other=other)


@dataclass(frozen=True)
class _Share:
    """What an input gave of what it could give to a score of 100."""

    input: Input
    part: float
    whole: float

    @property
    def lost(self) -> float:
        return self.whole - self.part

    def said(self, form: str, row: Row, words: Words) -> str:
        """The phrase of the input with its points."""
        numbers = {
            "part": _short(self.part), "lost": _short(self.lost), "whole": _short(self.whole),
        }  # fmt: skip
        return form.format(said=words.of(self.input.because, row), **numbers)


def _shares(slug: str, inputs: Sequence[Input], row: Row) -> list[_Share]:
    """The inputs that counted, with their shares of the score."""
    given = [(each, row.get(f"{slug}__{each.tag}")) for each in inputs]
    counted = [(each, float(points)) for each, points in given if points is not None]
    weight = sum(each.weight for each, _ in counted)
    return [
        _Share(each, each.weight * points / weight, 100 * each.weight / weight)
        for each, points in counted
    ]


def _phrases(held: Iterable[Held], row: Row, words: Words) -> str:
    return words.joint.join(dict.fromkeys(words.of(each.because, row) for each in held))


def _sentences(said: Iterable[str], words: Words) -> str:
    return (" " if words.language == "en" else "").join(said)


def _short(value: Any) -> str:
    return "?" if value is None else f"{value:.1f}".removesuffix(".0")


def _day(value: Any) -> str:
    return "?" if value is None else str(value)[:10]
