"""What the files of every kind of model have, and what others ask of one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from pydantic import Field

from tagline.definitions.types import DataType, Definition, Duration, Names, Sentence, Slug


class Panels(Definition):
    """Past instants that training looks at; the newest is the holdout.

    The holdout lies one horizon before the training's as_of, the others `every` further back;
    only panels whose label horizon ends by the holdout's instant are trained on.
    """

    count: int = Field(ge=2, le=60)
    every: Duration


class DriftLimits(Definition):
    """How far what a model reads may lie from what it learned from, as PSI of each feature.

    Beyond `warn` the gate warns of the model's tags and names the feature; beyond `withhold` it
    withholds them.
    """

    warn: float = Field(0.25, gt=0)
    withhold: float = Field(1.0, gt=0)


@dataclass(frozen=True)
class LabelQuery:
    """sql/labels/<name>.sql: what happened from an instant to its horizon."""

    name: str
    horizon: timedelta
    columns: Mapping[str, DataType]  # what it returns beside the subject's key


class ModelHead(Definition):
    """The part that all kinds share; a model's name is its file's, its kind is `task`.

    A kind says by the properties below what it reads and gives, so that checking, planning and
    scoring need not know it.
    """

    name: Names
    description: Sentence
    owner: Slug
    subject: Literal["customer", "machine", "opportunity"] = "customer"  # what it tells of
    population: str  # an audience expression at the instant of training or scoring
    features: tuple[Slug, ...] = ()

    @property
    @abstractmethod
    def outputs(self) -> Mapping[str, DataType]:
        """What the model says of each one that it scores: column and type."""

    @property
    def nominal(self) -> frozenset[str]:
        """Outputs that are numbers but name something, so that none is more than another."""
        return frozenset()

    @property
    def feature_places(self) -> tuple[tuple[str | int, ...], ...]:
        """Where the file names each of the features."""
        return tuple(("features", index) for index in range(len(self.features)))

    @property
    def compared(self) -> Mapping[tuple[str | int, ...], str]:
        """Tags that only training reads, such as a plain rule's, by their place in the file."""
        return {}

    @property
    def label_query(self) -> LabelQuery | None:
        """What tells how it went after each instant; None where nothing is predicted."""
        return None

    @property
    def drift_limits(self) -> DriftLimits | None:
        """Limits on the drift of its inputs; None for a kind that does not watch them."""
        return None

    @property
    def input_columns(self) -> Mapping[str, Mapping[str, DataType]]:
        """The queries sql/inputs/<name>.sql and what each returns beside the key."""
        return {}
