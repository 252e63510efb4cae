"""Evidence of who is who, written by hand or drawn, and what the rules make of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import duckdb
import pyarrow

from tagline.definitions import IdentityRules
from tagline.identity.components import batches, components
from tagline.identity.evidence import SPAN_COLUMNS, crowded_sql, spans_sql
from tagline.identity.groups import Doubt, Link
from tagline.identity.history import doubts, history
from tagline.identity.standing import microseconds

START = datetime(2026, 1, 1, tzinfo=UTC)
RULES: dict[str, Any] = {
    "description": "Made for a test.",
    "lead": "account",
    "kinds": {
        kind: {"description": "Made for a test."}
        for kind in ("account", "tax", "merged_into", "phone", "name", "asked_about", "owns")
    },
    "contradictions": [{"kind": "tax", "slips": 1}],
    "rules": [
        {"name": "same_tax", "by": "shared", "kind": "tax", "most_keys": 4, "strength": "strong"},
        {"name": "merge", "by": "statement", "kind": "merged_into"},
        {"name": "same_phone", "by": "shared", "kind": "phone", "most_keys": 4,
         "strength": "strong"},
        {"name": "same_name", "by": "shared", "kind": "name", "most_keys": 4, "strength": "weak"},
        {"name": "owner", "by": "mention", "kind": "asked_about", "of": "owns", "at_least": 2,
         "strength": "weak"},
    ],
}  # fmt: skip
EVIDENCE = pyarrow.schema(
    [
        *((name, pyarrow.string()) for name in ("customer_key", "system", "kind", "value")),
        ("is_held", pyarrow.bool_()),
        ("valid_at", pyarrow.timestamp("us", tz="UTC")),
        ("ended_at", pyarrow.timestamp("us", tz="UTC")),
    ]
)


def rules(**changes: Any) -> IdentityRules:
    return IdentityRules.model_validate(RULES | changes)


def day(number: float) -> datetime:
    return START + timedelta(days=number)


@dataclass(frozen=True)
class Said:
    """A row of evidence; `at` counts days, the system is the key's prefix."""

    key: str
    kind: str
    value: str
    at: float = 0
    is_held: bool = True
    system: str = ""

    def row(self) -> dict[str, Any]:
        return {
            "customer_key": self.key,
            "system": self.system or self.key.split(":")[0],
            "kind": self.kind,
            "value": self.value,
            "is_held": self.is_held,
            "valid_at": day(self.at),
            "ended_at": None,
        }


def account(number: str, at: float = 0, **held: str) -> list[Said]:
    """An account with what it holds from its first day on."""
    key = f"crm:{number}"
    return [Said(key, "account", number, at)] + [
        Said(key, kind, value, at) for kind, value in held.items()
    ]


@lru_cache
def _connection() -> duckdb.DuckDBPyConnection:
    """One for all examples of a process."""
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("SET TimeZone = 'UTC'").fetchall()
    return connection


class Resolved:
    """What rules make of evidence: links as of a day, and what is doubtful."""

    def __init__(
        self, given: Iterable[Said] | pyarrow.Table, by: IdentityRules | None = None
    ) -> None:
        self.rules = by or rules()
        if not isinstance(given, pyarrow.Table):
            given = pyarrow.Table.from_pylist([said.row() for said in given], EVIDENCE)
        self.rows = given
        self.spans = self._fetch(spans_sql(self.rules)).select(SPAN_COLUMNS)
        numbers = components(self.spans)
        self.spans = self.spans.append_column("component", [numbers]).sort_by("component")
        self.changes = [
            change
            for batch in batches(self.spans, size=1 if self.spans.num_rows < 1000 else 50_000)
            for change in history(self.rules, batch)
        ]

    def _fetch(self, rest: str) -> pyarrow.Table:
        connection = _connection()
        connection.register("evidence", self.rows)
        return connection.sql(f"WITH {rest}").to_arrow_table()

    def crowded(self) -> list[tuple[str, int]]:
        found = self._fetch(crowded_sql(self.rules)).to_pylist()
        return [(row["shown"], row["keys"]) for row in found]

    def links(self, at: float | datetime) -> dict[str, Link]:
        """The links as of a day."""
        at = at if isinstance(at, datetime) else day(at)
        found: dict[str, Link] = {}
        for change in self.changes:
            if change.start < microseconds(at):
                if change.link is None:
                    del found[change.key]
                else:
                    found[change.key] = change.link
        return found

    def customers(self, at: float | datetime) -> dict[str, str]:
        """The customer of each key that has one as of a day."""
        return {key: link.customer_id for key, link in self.links(at).items()}

    def doubts(self, at: float | datetime) -> set[Doubt]:
        at = at if isinstance(at, datetime) else day(at)
        return {
            doubt
            for batch in batches(self.spans)
            for doubt in doubts(self.rules, batch, microseconds(at))
        }

    def doubtful(self, at: float) -> list[tuple[str, str, tuple[str, ...]]]:
        return sorted((each.kind, each.rule, each.keys) for each in self.doubts(at))
