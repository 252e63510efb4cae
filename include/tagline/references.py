"""Whose an event is: `via: machine.owner` names a reference and the column that says who holds."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

from tagline.definitions.table import Column, TableDefinition
from tagline.definitions.types import DataType
from tagline.errors import ExpressionError, did_you_mean


@dataclass(frozen=True)
class Holder:
    """The customer of an event is in `column` of the row of `table` that `reference` names.

    The version of that row counts which held when the event happened.
    """

    reference: str  # a column of the events' table, such as machine_id
    table: str  # machines
    column: str  # owner

    @property
    def name(self) -> str:
        """A name for its rows in a query."""
        return f"{self.table}_by_{self.column}"


def holder_of(
    text: str, table: str, tables: Mapping[str, TableDefinition], derived: Container[str] = ()
) -> Holder:
    """The holder that a `via` of a statistic over `table` names.

    Raises ExpressionError where it names no text column of a stored table that is referenced.
    """
    definition = tables[table]
    if definition.event_at is None:
        raise ExpressionError(
            f"table {table} has no event_at, so nothing happens that someone could hold; remove it"
        )
    known = {
        f"{column.removesuffix('_id')}.{far}": Holder(column, shape.references or "", far)
        for column, shape in definition.columns.items()
        for far, other in _stored_columns(shape.references, tables, derived).items()
        if other.type is DataType.TEXT
    }
    if text not in known:
        advice = did_you_mean(text, known) or (
            f" It is written as reference.column, and {table} references no stored table with a "
            "text column."
            if not known
            else f" It is one of {', '.join(known)}."
        )
        raise ExpressionError(f"unknown holder {text!r}.{advice}")
    return known[text]


def _stored_columns(
    table: str | None, tables: Mapping[str, TableDefinition], derived: Container[str]
) -> dict[str, Column]:
    """The columns, but for the key, of a table whose versions are stored; none of any other."""
    if table is None or table not in tables or table in derived:
        return {}
    shape = tables[table]
    return {name: column for name, column in shape.columns.items() if name not in shape.key}


def holder_since(via: str) -> str:
    """The name by which an example's row says from when its holder holds.

    >>> holder_since("machine.owner")
    'machine.valid_at'
    """
    return f"{via.rpartition('.')[0]}.valid_at"
