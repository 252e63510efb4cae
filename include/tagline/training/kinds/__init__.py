"""What each kind of model can do: learn, and answer for customers.

A kind is the module of this package that is named as its `task`. The rest of training and scoring
knows only what this file says: locks, MLflow, the registry and the release are the same for all.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from tagline.definitions.models import AnyModel
    from tagline.deployment import Deployment
    from tagline.training.evaluate import Interval
    from tagline.training.verdict import Verdict


@dataclass(frozen=True)
class Training:
    """What a kind is asked to learn; `champion` is the fitted model that serves as_of so far.

    The champion is None where there is none, or where it reads other inputs than today's file.
    """

    deployment: Deployment
    model: str
    definition: AnyModel
    as_of: datetime
    champion: Any | None


@dataclass(frozen=True)
class Candidate:
    """One way to learn that was tried: a child run in MLflow.

    `model` is a fitted scikit-learn estimator, saved without code (skops); None where the data
    could not carry one. `documents` and `figures` are by file name.
    """

    name: str
    model: Any | None
    metrics: Mapping[str, Interval] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    documents: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    figures: Mapping[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True)
class Judged:
    """What came of a training: `chosen` is the candidate whose verdict this is.

    `counts` says of the holdout and of the training rows what they were (as_of, rows, …);
    `digests` gives a digest of each input by name; `example` is a head of the rows that the
    model reads. The model may serve from `label_end_at`: nothing later was looked at.
    """

    candidates: tuple[Candidate, ...]
    chosen: Candidate | None
    verdict: Verdict
    counts: Mapping[str, Mapping[str, Any]]
    digests: Mapping[str, str]
    params: Mapping[str, Any]
    example: pd.DataFrame
    label_end_at: datetime


@dataclass(frozen=True)
class Scoring:
    """Whom a kind is asked to answer for: the population of a candidate, as of its instant.

    `candidate` is a wide Parquet file of tags, `folder` an empty one for what must be written.
    """

    deployment: Deployment
    model: str
    definition: AnyModel
    as_of: datetime
    candidate: str
    folder: Path


class Kind(Protocol):
    """A module of this package."""

    def train(self, asked: Training) -> Judged:
        """Learn from what was known as of the instant, and judge it on the newest holdout."""

    def rows(self, asked: Scoring) -> Iterator[pd.DataFrame]:
        """What the model reads, in parts that fit into memory: the subject's key and inputs.

        The key (customer_id, of customers) comes first; all rows of one key are in the same part.
        """

    def answers(self, definition: Any, model: Any, rows: pd.DataFrame) -> pd.DataFrame:
        """The key and the definition's outputs, a row per key of the part."""


def kind_of(definition: AnyModel) -> Kind:
    """The module that trains and scores models of this definition's kind."""
    return cast(Kind, importlib.import_module(f"{__name__}.{definition.task}"))
