"""The evidence of a deployment: what is loaded of it, as spans for the rules."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from tagline.definitions import IdentityRules
from tagline.engines import Relation
from tagline.errors import WrongUsage
from tagline.identity.checks import EVIDENCE
from tagline.identity.components import components
from tagline.identity.evidence import (
    SPAN_COLUMNS,
    crowded_sql,
    keys_sql,
    live_sql,
    spans_sql,
    unknown_sql,
)
from tagline.identity.standing import microseconds
from tagline.versions import entry_columns, row_columns

if TYPE_CHECKING:
    import pyarrow

    from tagline.deployment import Deployment


def rules_of(deployment: Deployment) -> IdentityRules:
    """The rules of a business whose identity is resolved; raises WrongUsage for another."""
    catalog = deployment.catalog
    if catalog.identity is None:
        raise WrongUsage(
            f"identity of {catalog.business} is {catalog.definition.identity}, by no rules. "
            f"Say `identity: resolved` in businesses/{catalog.business}.yaml and add "
            f"identity/{catalog.business}.yaml; see docs/identity.md."
        )
    return catalog.identity


def stored(deployment: Deployment, table: str) -> dict[str, Relation]:
    """The relations that `live_sql` reads, of a stored table."""
    definition, lake = deployment.catalog.tables[table], deployment.lake
    return {
        "stored": lake.relation(f"clean.{table}", row_columns(definition)),
        "entries": lake.relation(f"clean.{table}__superseded", entry_columns(definition)),
    }


@dataclass(frozen=True)
class Evidence:
    """All evidence that is loaded, read anew by each call."""

    deployment: Deployment

    @property
    def rules(self) -> IdentityRules:
        """The rules of the business."""
        return rules_of(self.deployment)

    def spans(self) -> pyarrow.Table:
        """The spans, a column per field, in order of the column `component`."""
        found = self._fetch(f", {spans_sql(self.rules)}").select(SPAN_COLUMNS)
        return found.append_column("component", [components(found)]).sort_by("component")

    def crowded(self, as_of: datetime) -> pyarrow.Table:
        """The values that too many keys had held before an instant: rule, shown, keys, moment."""
        return self._fetch(f", {crowded_sql(self.rules, microseconds(as_of))}")

    def keys(self, as_of: datetime) -> int:
        """How many keys had evidence before an instant that the rules read."""
        found = self._fetch(keys_sql(self.rules, microseconds(as_of)))
        return int(found["keys"][0].as_py())

    def ignored(self) -> dict[str, int]:
        """The rows of each kind that the rules do not know."""
        found = self._fetch(unknown_sql(self.rules)).to_pylist()
        return {row["kind"]: row["rows"] for row in found}

    def _fetch(self, rest: str) -> pyarrow.Table:
        table = self.deployment.catalog.tables[EVIDENCE]
        sql = f"WITH {live_sql(table.key)} {rest}"
        return self.deployment.engine.fetch(sql, stored(self.deployment, EVIDENCE))
