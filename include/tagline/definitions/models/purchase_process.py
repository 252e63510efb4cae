"""The file of a purchase process: who is still a customer, and what it will buy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from tagline.definitions.models.head import LabelQuery, ModelHead
from tagline.definitions.types import DataType, Definition, Duration, Slug


class PurchaseHistory(Definition):
    """The tags that hold a customer's history; days are counted once however many orders."""

    frequency: Slug  # purchase days after the first
    recency: Slug  # days from the first purchase to the last
    age: Slug  # days from the first purchase until now
    mean_value: Slug | None = None  # mean amount of a purchase day, the first among them


class RecentRule(Definition):
    """A second plain rule, measured and shown: a window's purchase days go on as they were."""

    tag: Slug
    window: Duration


class PurchaseGate(Definition):
    """What the forecast must reach on the holdout to be promoted."""

    min_repeaters: int = Field(100, ge=1)  # customers with a purchase after the first
    min_gain: float = Field(0.0, ge=0)  # over the past rate, in mean absolute error; lower end
    min_correlation: float = Field(ge=0, le=1)
    max_total_error: float = Field(gt=0)  # share by which all purchases may be missed
    max_value_error: float = Field(gt=0)  # the same of the amount
    max_value_correlation: float = Field(0.3, gt=0, le=1)  # of frequency and mean value


class PurchaseProcessModel(ModelHead):
    """BG/NBD with Gamma-Gamma: probabilities of being alive, purchases and value in a horizon."""

    task: Literal["purchase_process"]
    label: Slug  # sql/labels/<label>.sql
    horizon: Duration
    history: PurchaseHistory
    recent: RecentRule | None = None
    gate: PurchaseGate

    @model_validator(mode="after")
    def _features_are_the_history(self) -> Self:
        """The features follow from `history`, in the order in which the estimator reads them."""
        named = tuple(slug for slug in self.history.model_dump().values() if slug is not None)
        if self.features not in ((), named):
            raise ValueError("leave features out: the tags under history are the features")
        object.__setattr__(self, "features", named)
        return self

    @property
    def valued(self) -> bool:
        """Whether amounts are forecast too."""
        return self.history.mean_value is not None

    @property
    def forecasts(self) -> tuple[str, ...]:
        """The outputs that are numbers, in the order of the estimator's answers."""
        names = ("probability_alive", "purchase_probability", "expected_purchases")
        return (*names, "expected_value") if self.valued else names

    @property
    def outputs(self) -> Mapping[str, DataType]:
        """Probabilities of being alive and of buying, purchase days and amount, and why."""
        return {
            **dict.fromkeys(self.forecasts, DataType.NUMBER),
            "reasons": DataType.TEXT_LIST,
            "reasons_zh": DataType.TEXT_LIST,
        }

    @property
    def feature_places(self) -> tuple[tuple[str | int, ...], ...]:
        """The keys under `history`."""
        return tuple(("history", key) for key, slug in self.history if slug is not None)

    @property
    def compared(self) -> Mapping[tuple[str | int, ...], str]:
        """The tag of the second rule."""
        return {} if self.recent is None else {("recent", "tag"): self.recent.tag}

    @property
    def label_query(self) -> LabelQuery:
        """Purchase days in the horizon, and their amount."""
        columns = {"purchase_days": DataType.INTEGER, "amount": DataType.NUMBER}
        return LabelQuery(self.label, self.horizon, columns)
