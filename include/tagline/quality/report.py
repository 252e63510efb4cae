"""What a check found: one result per expectation, one entry per table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

Severity = Literal["row", "warning", "critical"]


@dataclass(frozen=True)
class ExpectationResult:
    """One expectation over all rows that were checked, whatever number of chunks they came in.

    `checked` counts the rows that have a value, `unexpected` those of them that break the rule;
    `actual` is the figure of a table-level expectation. `error` says why it could not be judged,
    which is a failure.
    """

    expect: str
    subject: str
    severity: Severity
    success: bool
    checked: int = 0
    unexpected: int = 0
    actual: str | None = None
    sample: tuple[str, ...] = ()
    limits: str = ""
    error: str | None = None

    @property
    def stops(self) -> bool:
        """Whether the run stops: a row rule that fails on cleaned rows is an error of ours."""
        return not self.success and self.severity != "warning"

    @property
    def sentence(self) -> str:
        """What was expected and what was found, for a person."""
        rule = self.expect + (f" ({self.limits})" if self.limits else "")
        if self.error is not None:
            return f"{self.subject}: {rule} could not be judged: {self.error}"
        if self.actual is not None:
            return f"{self.subject}: {rule}; found {self.actual}"
        share = f"{self.unexpected / self.checked:.2%}" if self.checked else "0%"
        found = f"{self.unexpected:,} of {self.checked:,} values ({share}) break it"
        shown = f", such as {', '.join(self.sample)}" if self.sample else ""
        return f"{self.subject}: {rule}; {found}{shown}"

    def as_json(self) -> dict[str, Any]:
        """The result as a JSON object."""
        return {
            "expect": self.expect,
            "subject": self.subject,
            "severity": self.severity,
            "success": self.success,
            "checked": self.checked,
            "unexpected": self.unexpected,
            "actual": self.actual,
            "sample": list(self.sample),
            "limits": self.limits,
            "error": self.error,
        }


@dataclass(frozen=True)
class TableCheck:
    """All expectations of one table over the rows that the run added to it."""

    table: str
    rows: int
    results: tuple[ExpectationResult, ...]
    seconds: float

    @property
    def critical(self) -> tuple[ExpectationResult, ...]:
        """Failures that stop the run."""
        return tuple(result for result in self.results if result.stops)

    @property
    def warnings(self) -> tuple[ExpectationResult, ...]:
        """Failures that are only reported."""
        return tuple(r for r in self.results if not r.success and not r.stops)

    def as_json(self) -> dict[str, Any]:
        """Counts, and the failed expectations in full."""
        return {
            "rows": self.rows,
            "expectations": len(self.results),
            "critical": [{**r.as_json(), "sentence": r.sentence} for r in self.critical],
            "warnings": [{**r.as_json(), "sentence": r.sentence} for r in self.warnings],
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True)
class CheckReport:
    """What Great Expectations found in the rows that a run added; `docs` is the site's page."""

    run_id: str
    as_of: datetime
    tables: Mapping[str, TableCheck]
    docs: str | None
    seconds: float

    @property
    def critical(self) -> tuple[str, ...]:
        """A sentence per failure that stops the run, each beginning with its table."""
        return tuple(
            f"{check.table}.{result.sentence}"
            for check in self.tables.values()
            for result in check.critical
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """A sentence per failure that is only reported."""
        return tuple(
            f"{check.table}.{result.sentence}"
            for check in self.tables.values()
            for result in check.warnings
        )

    def as_json(self) -> dict[str, Any]:
        """The report as a JSON object, as it is kept with the run."""
        return {
            "run_id": self.run_id,
            "as_of": self.as_of.isoformat(),
            "rows": sum(check.rows for check in self.tables.values()),
            "tables": {table: check.as_json() for table, check in self.tables.items()},
            "critical": list(self.critical),
            "warnings": list(self.warnings),
            "docs": self.docs,
            "seconds": round(self.seconds, 3),
        }
