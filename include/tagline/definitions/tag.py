"""The shape of `tags/<theme>/<dimension>/<tag>.yaml`, one class per kind of tag."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field

from tagline.definitions.grading import Grading, ScoreInput
from tagline.definitions.types import DataType, Definition, Duration, Names, Sentence, Slug

TagValue = bool | int | float | str | date | list[str] | None


class Quality(Definition):
    """Limits that a candidate must keep; outside them the tag is withheld."""

    coverage: dict[Literal["min", "max"], float] = Field(default_factory=dict)
    between: tuple[float | None, float | None] | None = None
    distinct: dict[Literal["min", "max"], int] = Field(default_factory=dict)


class Stability(Definition):
    """Limits on the change against an earlier release; outside them the gate warns."""

    max_psi: float | None = Field(None, gt=0)
    max_changed: float | None = Field(None, gt=0, le=1)  # share of customers


class Example(Definition):
    """The tag's own test: rows of its table, or values of the tags it reads, and the result.

    A rank's example gives lists: the values of the population, and the ranks in that order.
    A row key may be a dotted name of a referenced table's column (`product.department`).
    """

    as_of: date
    rows: tuple[dict[str, Any], ...] | None = None
    tags: dict[str, Any] | None = None
    value: Any
    because: str | None = None


class TagDefinition(Definition):
    """What every kind of tag declares; the slug is the file's name."""

    name: Names
    description: Sentence
    owner: Slug
    type: DataType
    unit: str | None = None
    values: tuple[str, ...] | None = None  # of a text tag
    valid_for: Duration = Field(default="2 days", validate_default=True)
    polarity: Literal["positive", "negative", "special"] | None = None
    sensitivity: Literal["open", "internal", "restricted"] = "open"
    critical: bool = False
    quality: Quality = Quality()
    stability: Stability = Stability()
    examples: tuple[Example, ...] = ()


class ExtractionTag(TagDefinition):
    """抽取: a value of the one row of a customer that holds as of the instant."""

    kind: Literal["extraction"]
    table: Slug
    value: str
    empty: TagValue = None


class StatisticTag(TagDefinition):
    """统计: rows of one table aggregated per customer."""

    kind: Literal["statistic"]
    table: Slug
    where: str | None = None
    window: Duration | None = None
    via: str | None = None  # reference.column of the customer that held it when it happened
    value: str | None = None
    by: str | None = None  # group, with `pick`
    pick: str | None = None  # top(aggregate) or top(aggregate, n)
    empty: TagValue = None


class RankTag(TagDefinition):
    """A customer's group by quantile cut-points over the population; `into` is the best group."""

    kind: Literal["rank"]
    of: Slug
    into: int = Field(ge=2, le=100)
    best: Literal["low", "high"]
    within: Slug | None = None


class Case(Definition):
    """One case of a rule; the first whose `when` is true holds. `because` may name {tags}."""

    when: str
    value: TagValue
    because: Sentence


class Otherwise(Definition):
    """The value of a rule where no case holds."""

    value: TagValue
    because: Sentence


class RuleTag(TagDefinition):
    """规则: an expression over other tags and standard values."""

    kind: Literal["rule"]
    cases: tuple[Case, ...] = Field(min_length=1)
    otherwise: Otherwise


class ModelTag(TagDefinition):
    """算法: an output of a registered model."""

    kind: Literal["model"]
    model: Slug
    output: Slug


class ManualTag(TagDefinition):
    """人工: what people say of a customer, where enough of them agree.

    Each annotator's newest judgement counts. The value is the most frequent one, if it reaches
    the share `agreement` of the annotators; otherwise `empty`. A tie has no value.
    """

    kind: Literal["manual"]
    label_set: Slug
    agreement: float = Field(0.5, gt=0, le=1)
    empty: TagValue = None

    @property
    def table(self) -> str:
        """The canonical table of people's judgements."""
        return "labels"


class ScoreTag(TagDefinition):
    """得分: points of other tags, from 0 to 100, averaged by weight."""

    kind: Literal["score"]
    inputs: tuple[ScoreInput, ...] = Field(min_length=1)


class GradeTag(TagDefinition, Grading):
    """等级: one of the tags that a policy makes; no tag's file has this kind."""

    kind: Literal["grade"]
    policy: Slug
    output: Literal["grade", "since", "before", "reasons", "care"]


FileTag = Annotated[
    ExtractionTag | StatisticTag | RankTag | RuleTag | ScoreTag | ModelTag | ManualTag,
    Field(discriminator="kind"),
]
"""What the file of a tag holds."""

AnyTag = Annotated[
    ExtractionTag | StatisticTag | RankTag | RuleTag | ScoreTag | ModelTag | ManualTag | GradeTag,
    Field(discriminator="kind"),
]
"""A tag of a catalog or of a release; those of policies have no files of their own."""


class ThemeDefinition(Definition):
    """The shape of `tags/<theme>/theme.yaml`: 主题, its subject and its dimensions 维度."""

    name: Names
    description: Sentence
    subject: Literal["customer", "machine", "opportunity"] = "customer"
    dimensions: dict[Slug, Names] = Field(min_length=1)
