"""The file of a model that infers an attribute from the customers most like one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from tagline.definitions.models.head import ModelHead
from tagline.definitions.types import DataType, Definition, Slug


class SimilarCustomersGate(Definition):
    """What an inferred attribute must reach to be promoted, on customers treated as unknown."""

    min_gain_over_mode: float = Field(0.0, ge=0)  # lower end of the bootstrap interval
    min_answered: float = Field(0.1, gt=0, le=1)
    max_overconfidence: float = Field(0.1, gt=0, le=1)
    min_known: int = Field(200, ge=20)
    max_single_feature_auc: float = Field(0.99, gt=0.5, le=1)  # above: gives the attribute away


class SimilarCustomersModel(ModelHead):
    """An attribute that some customers told and others did not, by their nearest neighbours."""

    task: Literal["similar_customers"]
    attribute: Slug  # a text or boolean tag
    features: tuple[Slug, ...] = Field(min_length=1)
    input: Slug | None = None  # sql/inputs/<input>.sql: customer_id, item, weight, days_ago
    least_item_share: float = Field(0.3, gt=0, le=1)  # of the customers: rarer items do not count
    min_confidence: float = Field(0.0, ge=0, lt=1)
    max_customers: int = Field(10_000, ge=100, le=1_000_000)
    gate: SimilarCustomersGate

    @property
    def outputs(self) -> Mapping[str, DataType]:
        """The value, null where it abstains or it is known; how surely it is right, and why."""
        return {
            "value": DataType.TEXT,
            "confidence": DataType.NUMBER,
            "reason": DataType.TEXT,
            "reason_zh": DataType.TEXT,
        }

    @property
    def compared(self) -> Mapping[tuple[str | int, ...], str]:
        """The attribute."""
        return {("attribute",): self.attribute}

    @property
    def input_columns(self) -> Mapping[str, Mapping[str, DataType]]:
        """What was bought before the instant, how often and how long ago."""
        if self.input is None:
            return {}
        columns = {"weight": DataType.NUMBER, "days_ago": DataType.NUMBER}
        return {self.input: {"item": DataType.TEXT, **columns}}
