"""The shapes of what scores and grades are made of: inputs with points, limits, grades."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from tagline.definitions.types import Definition, Duration, Names, Slug

LEFT_OUT = "leave_out"
STANDARD_PATTERN = r"^\s*standard\(\s*'([^']*)'\s*\)\s*$"
_STANDARD = re.compile(STANDARD_PATTERN)


def _amount(value: Any) -> Any:
    """A number stays one; a text must be standard('name')."""
    if isinstance(value, str) and standard_named(value) is None:
        raise ValueError(f"{value!r} is neither a number nor standard('name')")
    if isinstance(value, bool):
        raise ValueError(f"{value!r} is neither a number nor standard('name')")
    return value


def standard_named(amount: float | str) -> str | None:
    """The name of the standard that an amount is read from; None of a number.

    >>> standard_named("standard('grade_a')"), standard_named(3)
    ('grade_a', None)
    """
    found = _STANDARD.match(amount) if isinstance(amount, str) else None
    return found[1] if found else None


_Standard = Annotated[str, StringConstraints(pattern=STANDARD_PATTERN)]
Amount = Annotated[int | float | _Standard, BeforeValidator(_amount)]
Points = Annotated[float, Field(ge=0, le=100)]


class Between(Definition):
    """Points that grow evenly: none at `worst` and beyond it, 100 at `best` and beyond it."""

    worst: Amount
    best: Amount


class Step(Definition):
    """The points from a value on, up to the next step."""

    from_: Amount = Field(alias="from")
    points: Points


class Input(Definition):
    """What one tag gives: points from 0 to 100, and its weight among the other inputs.

    A boolean has 100 or 0; a number has `between` or `steps`.
    """

    tag: Slug
    weight: float = Field(gt=0)
    between: Between | None = None
    steps: tuple[Step, ...] = ()
    missing: Points | Literal["leave_out"]
    because: Names

    @model_validator(mode="after")
    def _one_way_to_points(self) -> Self:
        if self.between is not None and self.steps:
            raise ValueError("an input has either 'between' or 'steps'")
        return self


class ScoreInput(Input):
    """An input of a score; `best` where the tag's polarity does not say it."""

    best: Literal["low", "high"] | None = None


class Held(Definition):
    """A condition on one tag: a boolean is true, a number is `from` on or `below`."""

    tag: Slug
    from_: Amount | None = Field(None, alias="from")
    below: Amount | None = None
    because: Names

    @model_validator(mode="after")
    def _one_side(self) -> Self:
        if self.from_ is not None and self.below is not None:
            raise ValueError("give either 'from' or 'below'")
        return self


class Special(Held):
    """A tag that calls for care and does not move the grade."""


class Limit(Held):
    """A hard limit: at best this grade for as long as it holds."""

    at_best: str


class Grade(Definition):
    """A grade and the points from which it is given; the last of a policy has none."""

    grade: str = Field(min_length=1, max_length=40)
    from_: Amount | None = Field(None, alias="from")


class Hysteresis(Definition):
    """What keeps a grade on a border: how long after a change, and how far beyond the border.

    `limits` says whether a limit strikes within the stay too, or waits for its end.
    """

    stay: Duration = Field(default="30 days", validate_default=True)
    margin: Amount = 0
    limits: Literal["at_once", "wait"] = "at_once"

    @model_validator(mode="after")
    def _whole_days(self) -> Self:
        if self.stay % timedelta(days=1):
            raise ValueError("stay is a number of whole days, such as '30 days'")
        return self


class Grading(Definition):
    """How a policy comes to a grade."""

    grades: tuple[Grade, ...] = Field(min_length=2)
    positive: tuple[Input, ...] = ()
    negative: tuple[Input, ...] = ()
    special: tuple[Special, ...] = ()
    limits: tuple[Limit, ...] = ()
    hysteresis: Hysteresis = Hysteresis()

    @property
    def inputs(self) -> tuple[Input, ...]:
        """What gives points: for the subject, then against it."""
        return (*self.positive, *self.negative)
