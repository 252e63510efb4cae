"""The file of a binary model: will it happen or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from tagline.definitions.models.head import DriftLimits, LabelQuery, ModelHead, Panels
from tagline.definitions.types import DataType, Definition, Duration, Slug


class PlainRule(Definition):
    """The rule that a model must beat: one tag, read as a score, or as a probability if it is one.

    A model must also be surely better in Brier score than a rule that is a probability.
    """

    tag: Slug
    high_means: Literal["positive", "negative"]
    is_probability: bool = False

    @model_validator(mode="after")
    def _of_the_label(self) -> Self:
        if self.is_probability and self.high_means == "negative":
            raise ValueError("is_probability goes with high_means: positive")
        return self


class HoldoutPanels(Panels):
    """Panels of which the newest `holdouts` are judged together.

    One instant may have too few rows to judge a model by. Only panels whose label horizon ends by
    the oldest holdout's instant are trained on; resamples keep the rows of one subject together.
    """

    holdouts: int = Field(1, ge=1, le=36)

    @model_validator(mode="after")
    def _some_left(self) -> Self:
        if self.holdouts >= self.count:
            raise ValueError(f"holdouts {self.holdouts} leave none of {self.count} to train on")
        return self


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
    panels: HoldoutPanels
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
