"""The table of people's judgements of customers, from which manual tags are made."""

from __future__ import annotations

from collections.abc import Mapping

from tagline.definitions.table import TableDefinition
from tagline.definitions.types import DataType

COLUMNS: Mapping[str, DataType] = {
    "label_set": DataType.TEXT,  # what was asked
    "value": DataType.TEXT,  # the answer; null takes an earlier one back
    "judged_by": DataType.TEXT,
    "judged_at": DataType.TIMESTAMP,
}


def lacking_labels(table: TableDefinition | None) -> list[str]:
    """What a table of judgements lacks for manual tags, in sentences; None is no table at all."""
    if table is None:
        return ["a manual tag is made from table labels: add tables/labels.yaml"]
    found = {name: column.type for name, column in table.columns.items()}
    said = [
        f"a manual tag needs column labels.{name} ({kind.value})"
        for name, kind in COLUMNS.items()
        if found.get(name) is not kind
    ]
    if table.customer is None or table.event_at != "judged_at":
        said.append("a manual tag needs labels with 'customer', and 'event_at: judged_at'")
    return said
