"""The file of an uplift model: whom does a treatment move?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Literal

from pydantic import Field

from tagline.definitions.models.head import DriftLimits, LabelQuery, ModelHead
from tagline.definitions.types import DataType, Definition, Duration, Slug


class UpliftGate(Definition):
    """What a model of uplift must show on customers that it was not fitted on."""

    min_qini_area: float = Field(0.0, ge=0)  # the interval's lower end must lie above
    max_treatment_auc: float = Field(0.52, gt=0.5, le=1)  # above: the arms are not comparable
    max_single_feature_auc: float = Field(0.99, gt=0.5, le=1)  # above: gives the response away
    min_responses: int = Field(30, ge=10)  # of each arm, and as many without a response


class CampaignUpliftModel(ModelHead):
    """Whom a treatment moves, learnt from trials in which it was given at random."""

    task: Literal["campaign_uplift"]
    label: Slug  # sql/labels/<label>.sql: who was in a trial, in which arm, and who responded
    trials: tuple[date, ...] = Field(min_length=1)  # at whose midnight the tags are read
    horizon: Duration
    features: tuple[Slug, ...] = Field(min_length=1)
    candidates: tuple[
        Literal["two_logistic_models", "two_boosted_models", "transformed_outcome"], ...
    ] = Field(min_length=1)
    gate: UpliftGate = UpliftGate()
    drift: DriftLimits = DriftLimits()
    threshold: float = Field(0.0, ge=-1, le=1)  # the uplift from which treating pays

    @property
    def outputs(self) -> Mapping[str, DataType]:
        """The uplift, whether it reaches the threshold, and the reasons in two languages."""
        return {
            "uplift": DataType.NUMBER,
            "is_persuadable": DataType.BOOLEAN,
            "reasons": DataType.TEXT_LIST,
            "reasons_zh": DataType.TEXT_LIST,
        }

    @property
    def label_query(self) -> LabelQuery:
        """Whether each was treated, and whether it responded; only those who were in a trial."""
        columns = {"treated": DataType.BOOLEAN, "label": DataType.BOOLEAN}
        return LabelQuery(self.label, self.horizon, columns)

    @property
    def drift_limits(self) -> DriftLimits:
        """Limits on the drift of the features."""
        return self.drift
