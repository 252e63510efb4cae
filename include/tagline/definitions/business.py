"""The shapes of `businesses/<business>.yaml` and `standards.yaml`."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from tagline.definitions.source import TimeZoneName
from tagline.definitions.table import Expectation
from tagline.definitions.tag import Quality
from tagline.definitions.types import DataType, Definition, Names, Sentence, Slug


class DatedValue(Definition):
    """A standard's value from the start of a business day on."""

    from_: date = Field(alias="from")
    value: bool | int | float | str


class Standard(Definition):
    """A standard value 标准值: named, dated, read by `standard('name')`."""

    description: Sentence
    type: DataType
    unit: str | None = None
    values: tuple[DatedValue, ...] = Field(min_length=1)


class Standards(Definition):
    """The whole of `standards.yaml`."""

    standards: dict[Slug, Standard]


class Preparation(Definition):
    """What `make demo` fills a database with, for the sources that read it.

    `python -m <module> --database <url>` fills an empty database of the deployment's PostgreSQL,
    all of it or nothing; its URL is in the environment variable `url` of the runs. Where that
    variable is set, the sources are somebody's own, and nothing is prepared.
    """

    module: str = Field(pattern=r"^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*$")
    url: str = Field(pattern=r"^[A-Z][A-Z0-9_]*$")


class Demo(Definition):
    """What `make demo` runs: `days` daily runs, the first with this as_of."""

    first_as_of: date
    days: int = Field(ge=1, le=60)
    prepare: Preparation | None = None


class BusinessDefinition(Definition):
    """What one deployment serves; its name is the file's."""

    name: Names
    description: Sentence
    timezone: TimeZoneName = "UTC"  # business days are cut here
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    identity: Literal["one_to_one", "mapped", "resolved"]
    sources: tuple[Slug, ...] = Field(min_length=1)
    tags: tuple[Slug, ...] | None = None  # none: every tag whose tables it has
    models: tuple[Slug, ...] = ()
    policies: tuple[Slug, ...] = ()
    standards: dict[Slug, tuple[DatedValue, ...]] = Field(default_factory=dict)  # its own values
    expectations: dict[Slug, tuple[Expectation, ...]] = Field(default_factory=dict)
    """What it expects of its tables' rows, beside what every business expects of them."""
    quality: dict[Slug, Quality] = Field(default_factory=dict)
    """Limits on its values of a tag, in place of the tag's own."""
    starts_on: date  # the first business day that sources are asked for
    ends_on: date | None = None  # of a closed, historical data set: no day after it is scheduled
    demo: Demo | None = None
