"""The file of a binary model: will it happen or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from tagline.definitions.models.head import DriftLimits, LabelQuery, ModelHead, Panels
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
    max_feature_psi: float = Field(0.5, gt=0)  # of the holdout against the training rows
    max_slice_gap: float = Field(0.15, gt=0, le=0.5)  # ROC AUC of a slice below that of all
    min_slice_rows: int = Field(100, ge=20)  # with at least ten of either label; else not judged
    min_positives: int = Field(30, ge=1)


class BinaryModel(ModelHead):
    """A yes-or-no question about each customer, learnt from what happened at past instants."""

    task: Literal["binary"]
    label: Slug  # sql/labels/<label>.sql
    horizon: Duration
    features: tuple[Slug, ...] = Field(min_length=1)
    rule: PlainRule
    candidates: tuple[Literal["logistic_regression", "boosted_trees"], ...] = Field(min_length=1)
    slices: tuple[Slug, ...] = ()  # text or boolean tags; the model is to be good for each value
    panels: Panels
    gate: ModelGate
    drift: DriftLimits = DriftLimits()
    threshold: float = Field(0.5, gt=0, lt=1)  # of the class output

    @property
    def outputs(self) -> Mapping[str, DataType]:
        """The probability, whether it reaches the threshold, and the reasons in two languages."""
        return {
            "probability": DataType.NUMBER,
            "class": DataType.BOOLEAN,
            "reasons": DataType.TEXT_LIST,
            "reasons_zh": DataType.TEXT_LIST,
        }

    @property
    def compared(self) -> Mapping[tuple[str | int, ...], str]:
        """The plain rule's tag, and those of the slices."""
        found: dict[tuple[str | int, ...], str] = {("rule", "tag"): self.rule.tag}
        for place, slug in enumerate(self.slices):
            found["slices", place] = slug
        return found

    @property
    def drift_limits(self) -> DriftLimits:
        """Those of the file."""
        return self.drift

    @property
    def label_query(self) -> LabelQuery:
        """Whether it happened; null where it cannot be said."""
        return LabelQuery(self.label, self.horizon, {"label": DataType.BOOLEAN})
