"""The file of a model that finds circles: customers who share items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from tagline.definitions.models.head import ModelHead
from tagline.definitions.types import DataType, Definition, Slug


class CirclesGate(Definition):
    """What circles must reach to be promoted; agreement is the adjusted Rand index."""

    min_circles: int = Field(8, ge=2)
    max_share: float = Field(0.4, gt=0, le=1)
    min_modularity: float = Field(0.3, gt=0, lt=1)
    min_weekly_agreement: float = Field(0.8, gt=0, le=1)
    min_seed_agreement: float = Field(0.8, gt=0, le=1)
    max_chance: float = Field(0.05, gt=0, lt=1)
    max_told_by_tag: float = Field(0.5, gt=0, lt=1)  # above: the tag made the circles


class CirclesGraph(Definition):
    """How customers are linked, and what counts as a circle."""

    neighbours: int = Field(30, ge=1, le=500)
    resolution: float = Field(1.0, gt=0, le=100)
    min_size: int = Field(10, ge=2)
    max_item_share: float = Field(0.5, gt=0, le=1)
    max_customers: int = Field(50_000, ge=100, le=500_000)


class CirclesModel(ModelHead):
    """Communities of customers by what they share, with identities that last."""

    task: Literal["circles"]
    input: Slug  # sql/inputs/<input>.sql: customer_id, item, weight
    named_by: tuple[Slug, ...] = Field(min_length=1)
    judged_by: tuple[Slug, ...] = Field(min_length=1)
    weeks: int = Field(4, ge=2, le=12)
    seeds: int = Field(3, ge=2, le=20)
    graph: CirclesGraph = CirclesGraph()
    gate: CirclesGate = CirclesGate()

    @property
    def outputs(self) -> Mapping[str, DataType]:
        """The circle's lasting id, id and name in English and Chinese, strength of membership."""
        return {
            "id": DataType.INTEGER,
            "circle": DataType.TEXT,
            "circle_zh": DataType.TEXT,
            "strength": DataType.NUMBER,
        }

    @property
    def nominal(self) -> frozenset[str]:
        """The number of a circle."""
        return frozenset({"id"})

    @property
    def compared(self) -> Mapping[tuple[str | int, ...], str]:
        """The tags that name the circles and those that judge them."""
        return {
            (part, index): slug
            for part, slugs in (("named_by", self.named_by), ("judged_by", self.judged_by))
            for index, slug in enumerate(slugs)
        }

    @property
    def input_columns(self) -> Mapping[str, Mapping[str, DataType]]:
        """What each customer had to do with, and how much."""
        return {self.input: {"item": DataType.TEXT, "weight": DataType.NUMBER}}
