"""The tag profile: what an audit measures of each tag, however many customers there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tagline.definitions import DataType

Bound = float | str | None  # the least or greatest value; an ISO text for dates and instants


@dataclass(frozen=True)
class TagProfile:
    """One tag's figures over all rows of a candidate.

    `coverage` is the share of customers with a value. Deciles are the nine inner ones; `top`
    the most frequent values of a text or boolean tag with their shares. `psi` and `changed`
    compare with an earlier release and are None without one. `failures` are sentences, one per
    quality limit that does not hold.
    """

    slug: str
    type: DataType
    version: str
    rows: int
    present: int
    distinct: int
    minimum: Bound = None
    maximum: Bound = None
    mean: float | None = None
    deciles: tuple[Bound, ...] = ()
    true_share: float | None = None
    top: tuple[tuple[str, float], ...] = ()
    not_finite: int = 0
    undeclared: int = 0  # rows with a value that is not among the declared ones
    psi: float | None = None
    changed: float | None = None
    redefined: bool = False  # the earlier release had another version of the tag
    failures: tuple[str, ...] = ()

    @property
    def coverage(self) -> float:
        """Share of the rows that have a value; 0 without rows."""
        return self.present / self.rows if self.rows else 0.0

    def as_json(self) -> dict[str, Any]:
        """The profile as a JSON object."""
        return {
            "type": self.type.value,
            "version": self.version,
            "rows": self.rows,
            "coverage": self.coverage,
            "distinct": self.distinct,
            "min": self.minimum,
            "max": self.maximum,
            "mean": self.mean,
            "quantiles": list(self.deciles),
            "true_share": self.true_share,
            "top": [[value, share] for value, share in self.top],
            "not_finite": self.not_finite,
            "undeclared": self.undeclared,
            "psi": self.psi,
            "changed": self.changed,
            "redefined": self.redefined,
            "failures": list(self.failures),
        }


@dataclass(frozen=True)
class Earlier:
    """The release that a candidate was compared with."""

    release: int
    as_of: datetime


@dataclass(frozen=True)
class AuditReport:
    """What an audit measured of a candidate; `docs` is the page of the quality checks.

    `drift` is by model the PSI of each feature, of the scored customers against its training.
    """

    run_id: str
    as_of: datetime
    customers: int
    tags: tuple[TagProfile, ...]
    compared_with: Earlier | None
    docs: str | None
    seconds: float
    drift: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The report as a JSON object, as it is kept with the run and with the release."""
        earlier = self.compared_with
        return {
            "run_id": self.run_id,
            "as_of": self.as_of.isoformat(),
            "customers": self.customers,
            "compared_with": None
            if earlier is None
            else {"release": earlier.release, "as_of": earlier.as_of.isoformat()},
            "tags": {profile.slug: profile.as_json() for profile in self.tags},
            "failing": sum(bool(profile.failures) for profile in self.tags),
            "drift": {model: dict(psi) for model, psi in self.drift.items()},
            "docs": self.docs,
            "seconds": round(self.seconds, 3),
        }
