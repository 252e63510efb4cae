"""What tags are about: customers, and the machines and opportunities of customers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tagline.definitions.table import TableDefinition


@dataclass(frozen=True)
class Subject:
    """A subject has a canonical table with a row for each, and a released table of its tags."""

    name: str  # customer
    table: str  # customers: its rows are the population
    key: str  # customer_id, a text

    @property
    def lake_table(self) -> str:
        """The Iceberg table of its released tags."""
        return f"tags.{self.table}"

    @property
    def prefix(self) -> str:
        """What the names of its parts of a query begin with, so that subjects can share one."""
        return "" if self is CUSTOMER else f"{self.name}_"

    def group_column(self, name: str, table: TableDefinition) -> str | None:
        """The column of a table by which its rows belong to the subject; None where none does."""
        if self is CUSTOMER:
            return table.customer
        column = table.columns.get(self.key)
        refers = column is not None and column.references == self.table
        return self.key if refers or name == self.table else None


CUSTOMER = Subject("customer", "customers", "customer_id")
SUBJECTS: Mapping[str, Subject] = {
    subject.name: subject
    for subject in (
        CUSTOMER,
        Subject("machine", "machines", "machine_id"),
        Subject("opportunity", "opportunities", "opportunity_id"),
    )
}
_BY_TABLE = {subject.table: subject for subject in SUBJECTS.values()}


def subject_of_table(table: str) -> Subject | None:
    """The subject whose canonical table it is, if any."""
    return _BY_TABLE.get(table)
