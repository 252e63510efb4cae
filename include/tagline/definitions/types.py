"""Types of columns and tags, and small values shared by all definitions."""

from __future__ import annotations

import re
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, StringConstraints


class Definition(BaseModel):
    """A value read from a definition file; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataType(StrEnum):
    """A column's or tag's type, the same for every engine."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    NUMBER = "number"
    TEXT = "text"
    DATE = "date"
    TIMESTAMP = "timestamp"
    TEXT_LIST = "list of text"

    @property
    def sql(self) -> str:
        """The DuckDB type; instants are TIMESTAMPTZ in UTC."""
        return _SQL_TYPES[self]


_SQL_TYPES = {
    DataType.BOOLEAN: "BOOLEAN",
    DataType.INTEGER: "BIGINT",
    DataType.NUMBER: "DOUBLE",
    DataType.TEXT: "VARCHAR",
    DataType.DATE: "DATE",
    DataType.TIMESTAMP: "TIMESTAMPTZ",
    DataType.TEXT_LIST: "VARCHAR[]",
}

PLACEHOLDER = re.compile(r"\{(\w+)\}")  # a tag in a sentence, filled in with its value
HIDDEN = "__"  # no slug holds it: it begins what a hidden column says of the tag before it
DURATION_PATTERN = r"^(\d+)\s+(second|minute|hour|day|week)s?$"
LONGEST = timedelta(days=36_500)  # a longer one would leave the calendar
_DURATION = re.compile(DURATION_PATTERN)


def parse_duration(text: Any) -> timedelta:
    """`90 days`, `6 hours`, `2 weeks`, `90 seconds` as a timedelta.

    >>> parse_duration("90 days").days
    90
    """
    if isinstance(text, timedelta):
        return text
    match = _DURATION.match(text.strip()) if isinstance(text, str) else None
    if not match:
        raise ValueError(f"{text!r} is not a duration; write for example '90 days' or '6 hours'")
    seconds = int(match[1]) * int(timedelta(**{match[2] + "s": 1}).total_seconds())
    if seconds > LONGEST.total_seconds():
        raise ValueError(f"{text!r} is longer than {LONGEST.days} days")
    return timedelta(seconds=seconds)


def spell_duration(duration: timedelta) -> str:
    """A duration as definitions write it, so that what was saved as JSON can be read again.

    >>> spell_duration(parse_duration("2 weeks")), spell_duration(parse_duration("1 hour"))
    ('14 days', '1 hour')
    """
    seconds = int(duration.total_seconds())
    units = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))
    unit, length = next(each for each in units if seconds % each[1] == 0)
    count = seconds // length
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(spell_duration, return_type=str, when_used="json"),
]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$", max_length=60)]
Sentence = Annotated[str, StringConstraints(min_length=3, strip_whitespace=True)]


class Names(Definition):
    """A name for people, in both languages of the product."""

    en: Annotated[str, StringConstraints(min_length=1)]
    zh: Annotated[str, StringConstraints(min_length=1)]
