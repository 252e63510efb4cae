"""The file of a model of several classes: which of them is a customer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from tagline.definitions.models.head import DriftLimits, LabelQuery, ModelHead, Panels
from tagline.definitions.types import DataType, Definition, Duration, Slug


class ClassRule(Definition):
    """The rule that a model must beat: one tag, each of whose values means a class."""

    tag: Slug
    means: dict[str, Slug] = Field(min_length=1)


class ClassGate(Definition):
    """What a model of several classes must reach on the holdout to be promoted."""

    min_macro_f1: float = Field(ge=0, le=1)
    min_gain_over_rule: float = Field(0.0, ge=0)  # lower end of the bootstrap interval
    min_gain_over_majority: float = Field(0.0, ge=0)  # lower end of the bootstrap interval
    max_calibration_error: float = Field(gt=0, le=1)
    max_single_feature_auc: float = Field(0.99, gt=0.5, le=1)  # above: gives the label away
    max_feature_psi: float = Field(0.5, gt=0)  # of the holdout against the training rows
    max_slice_gap: float = Field(0.2, gt=0, le=1)  # accuracy of a slice below that of all
    min_slice_rows: int = Field(100, ge=20)
    min_rows_of_class: int = Field(20, ge=5)  # in the training rows
    min_holdout_rows: int = Field(100, ge=20)


class MulticlassModel(ModelHead):
    """Which of several classes a customer is, learnt from what happened or from people's labels."""

    task: Literal["multiclass"]
    classes: tuple[Slug, ...] = Field(min_length=2)
    label: Slug | None = None  # sql/labels/<label>.sql, with horizon and panels
    horizon: Duration | None = None
    panels: Panels | None = None
    label_set: Slug | None = None  # labels/<label_set>.yaml, in place of label
    features: tuple[Slug, ...] = Field(min_length=1)
    known_in_part: tuple[Slug, ...] = ()  # features that may give one of the classes away
    rule: ClassRule
    candidates: tuple[Literal["logistic_regression", "boosted_trees"], ...] = Field(min_length=1)
    slices: tuple[Slug, ...] = ()  # text or boolean tags; the model is to be good for each value
    gate: ClassGate
    drift: DriftLimits = DriftLimits()

    @model_validator(mode="after")
    def _one_kind_of_label(self) -> Self:
        of_query = {"label": self.label, "horizon": self.horizon, "panels": self.panels}
        given = [name for name, value in of_query.items() if value is not None]
        lacking = [name for name in of_query if name not in given]
        if self.label_set is not None and given:
            raise ValueError(f"learns from label_set, so it takes no {', '.join(given)}")
        if self.label_set is None and lacking:
            raise ValueError(f"add {', '.join(lacking)}, or label_set in place of all three")
        unknown = sorted({*self.rule.means.values()} - {*self.classes})
        if unknown:
            raise ValueError(f"rule.means names {unknown[0]!r}, which is none of the classes")
        strange = [slug for slug in self.known_in_part if slug not in self.features]
        if strange:
            raise ValueError(f"known_in_part names {strange[0]!r}, which is none of the features")
        return self

    @property
    def outputs(self) -> Mapping[str, DataType]:
        """The most probable class, how probable it is, and the reasons in two languages."""
        return {
            "class": DataType.TEXT,
            "probability": DataType.NUMBER,
            "reasons": DataType.TEXT_LIST,
            "reasons_zh": DataType.TEXT_LIST,
        }

    @property
    def compared(self) -> Mapping[tuple[str | int, ...], str]:
        """The plain rule's tag, and those of the slices."""
        found: dict[tuple[str | int, ...], str] = {("rule", "tag"): self.rule.tag}
        return found | {("slices", place): slug for place, slug in enumerate(self.slices)}

    @property
    def drift_limits(self) -> DriftLimits:
        """Those of the file."""
        return self.drift

    @property
    def label_query(self) -> LabelQuery | None:
        """Which class it was; null where it cannot be said. None where people say it."""
        if self.label is None or self.horizon is None:
            return None
        return LabelQuery(self.label, self.horizon, {"label": DataType.TEXT})
