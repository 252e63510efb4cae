"""The file of a binary model: will it happen or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from tagline.definitions.models.head import LabelQuery, ModelHead, Panels
from tagline.definitions.types import DataType, Definition, Duration, Slug


class PlainRule(Definition):
    """The rule that a model must beat: one tag, read as a score."""

    tag: Slug
    high_means: Literal["positive", "negative"]


class ModelGate(Definition):
    """What a model must reach on the holdout to be promoted."""

    min_roc_auc: float = Field(ge=0.5, le=1)
    min_gain_over_rule: float = Field(0.0, ge=0)  # lower end of the bootstrap interval
    max_calibration_error: float = Field(gt=0, le=1)
    max_single_feature_auc: float = Field(0.99, gt=0.5, le=1)  # above: gives the label away
    min_positives: int = Field(30, ge=1)


class BinaryModel(ModelHead):
    """A yes-or-no question about each customer, learnt from what happened at past instants."""

    task: Literal["binary"]
    label: Slug  # sql/labels/<label>.sql
    horizon: Duration
    features: tuple[Slug, ...] = Field(min_length=1)
    rule: PlainRule
    candidates: tuple[Literal["logistic_regression"], ...] = Field(min_length=1)
    panels: Panels
    gate: ModelGate
    threshold: float = Field(0.5, gt=0, lt=1)  # of the class output

    @property
    def outputs(self) -> Mapping[str, DataType]:
        """The probability, and whether it reaches the threshold."""
        return {"probability": DataType.NUMBER, "class": DataType.BOOLEAN}

    @property
    def compared(self) -> Mapping[tuple[str | int, ...], str]:
        """The plain rule's tag."""
        return {("rule", "tag"): self.rule.tag}

    @property
    def label_query(self) -> LabelQuery:
        """Whether it happened; null where it cannot be said."""
        return LabelQuery(self.label, self.horizon, {"label": DataType.BOOLEAN})
