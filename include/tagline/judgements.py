"""The table of people's judgements of customers, from which manual tags are made."""

from __future__ import annotations

from collections.abc import Mapping

from tagline.definitions.table import TableDefinition
from tagline.definitions.types import DataType

ABOUT = "about_at"  # the instant that a judgement speaks of
COLUMNS: Mapping[str, DataType] = {
    "label_set": DataType.TEXT,  # what was asked
    "value": DataType.TEXT,  # the answer; null takes an earlier one back
    "judged_by": DataType.TEXT,
    "judged_at": DataType.TIMESTAMP,
}


def lacking_labels(
    table: TableDefinition | None, needed_by: str = "a manual tag", *, asked: bool = False
) -> list[str]:
    """What a table of judgements lacks, in sentences; None is no table at all.

    With `asked`, judgements must say which instant they speak of.
    """
    if table is None:
        return [f"{needed_by} is made from table labels: add tables/labels.yaml"]
    found = {name: column.type for name, column in table.columns.items()}
    wanted = {**COLUMNS, ABOUT: DataType.TIMESTAMP} if asked else COLUMNS
    said = [
        f"{needed_by} needs column labels.{name} ({kind.value})"
        for name, kind in wanted.items()
        if found.get(name) is not kind
    ]
    if table.customer is None or table.event_at != "judged_at":
        said.append(f"{needed_by} needs labels with 'customer', and 'event_at: judged_at'")
    return said
