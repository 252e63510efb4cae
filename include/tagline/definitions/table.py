"""The shape of `tables/<table>.yaml`: a canonical table, the seam between sources and tags."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from tagline.definitions.expectations import COLUMN_EXPECTATIONS, EXPECTATIONS
from tagline.definitions.types import DataType, Definition, Names, Sentence, Slug
from tagline.errors import did_you_mean

CANONICAL = frozenset(
    {
        "customers", "identity", "products", "orders", "order_lines", "receivables", "payments",
        "opportunities", "machines", "machine_days", "service_tickets", "surveys", "interactions",
        "campaign_members", "labels", "contacts", "identity_evidence", "payment_promises",
        "machine_returns", "opportunity_activities", "parts_used",
    }
)  # fmt: skip
"""The tables that tags are written against. A project may declare one that nothing feeds yet:
tags over it are unavailable. Any other table must be fed by a source or derived."""


class Column(Definition):
    """A column of a canonical table."""

    type: DataType
    description: Sentence
    unit: str | None = None
    nullable: bool = True
    references: Slug | None = None  # the table whose single key this column holds
    pii: Literal["none", "indirect", "direct"] = "none"


class Expectation(Definition):
    """A rule of Great Expectations, by its name, with what happens where it does not hold.

    `row` sends the offending rows to quarantine under `reason`; a share of them above `limit`
    stops the run. `warning` is reported. `critical` stops the run.
    """

    expect: str = Field(pattern=r"^expect_[a-z0-9_]+$")
    column: str | None = None
    with_: dict[str, Any] = Field(default_factory=dict, alias="with")
    severity: Literal["row", "warning", "critical"]
    reason: Slug | None = None  # required for row
    limit: float = Field(0.05, ge=0, le=1)  # row: share of an interval's rows; 1 never stops

    @model_validator(mode="after")
    def _known_with_its_arguments(self) -> Self:
        if self.expect not in EXPECTATIONS:
            close = did_you_mean(self.expect, EXPECTATIONS)
            raise ValueError(f"unknown expectation {self.expect!r}.{close}")
        if (self.expect in COLUMN_EXPECTATIONS) != (self.column is not None):
            verb = "needs a" if self.column is None else "takes no"
            raise ValueError(f"{self.expect} {verb} 'column'")
        for name in self.with_:
            if name not in EXPECTATIONS[self.expect]:
                close = did_you_mean(name, EXPECTATIONS[self.expect])
                raise ValueError(f"{self.expect} has no argument {name!r}.{close}")
        if self.severity == "row" and (self.reason is None or self.column is None):
            raise ValueError("a row expectation needs 'column' and 'reason'")
        return self


class TableDefinition(Definition):
    """A canonical table; its name is the file's.

    Every stored row also has `valid_at` (when this version became true) and `loaded_at`.
    With `event_at`, rows are events and count only if they happened before as_of.
    """

    name: Names
    description: Sentence
    key: tuple[str, ...] = Field(min_length=1)
    customer: str | None = None  # the column that holds the source's customer key
    event_at: str | None = None  # the column that says when the event happened
    immutable: bool = False  # keys never get a second version
    required: bool = False  # without its data a day is not released
    columns: dict[str, Column] = Field(min_length=1)
    expectations: tuple[Expectation, ...] = ()
