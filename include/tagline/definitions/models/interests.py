"""The file of a model of interests: what a customer buys, long since and lately."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from tagline.definitions.models.head import LabelQuery, ModelHead, Panels
from tagline.definitions.types import DataType, Definition, Duration, Slug


class InterestsGate(Definition):
    """What interests must reach on the holdout to be promoted."""

    min_hit_share: float = Field(ge=0, le=1)
    min_gain_over_popular: float = Field(0.0, ge=0)  # lower end of the bootstrap interval
    max_calibration_error: float = Field(0.05, gt=0, le=1)
    min_customers: int = Field(100, ge=10)


class InterestsModel(ModelHead):
    """The items that a customer buys most of, told to be bought again within the horizon."""

    task: Literal["interests"]
    input: Slug  # sql/inputs/<input>.sql: customer_id, item, weight, days_ago
    label: Slug  # sql/labels/<label>.sql: customer_id, item
    horizon: Duration
    top: int = Field(5, ge=1, le=50)
    max_customers: int = Field(10_000, ge=100, le=1_000_000)
    panels: Panels
    gate: InterestsGate

    @property
    def outputs(self) -> Mapping[str, DataType]:
        """The items, how surely they are bought again, those that rise, and the reasons."""
        return {
            "interests": DataType.TEXT_LIST,
            "strength": DataType.NUMBER,
            "rising": DataType.TEXT_LIST,
            "reasons": DataType.TEXT_LIST,
            "reasons_zh": DataType.TEXT_LIST,
        }

    @property
    def label_query(self) -> LabelQuery:
        """What was bought in the horizon, a row per item."""
        return LabelQuery(self.label, self.horizon, {"item": DataType.TEXT})

    @property
    def input_columns(self) -> Mapping[str, Mapping[str, DataType]]:
        """What was bought before the instant, how often and how long ago."""
        columns = {"weight": DataType.NUMBER, "days_ago": DataType.NUMBER}
        return {self.input: {"item": DataType.TEXT, **columns}}
