"""What compiling gives: a query, what it reads and what it returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tagline.definitions import DataType


@dataclass(frozen=True)
class Compiled:
    """A query with what it reads and returns.

    `tables` are the stored tables with the columns read of each; `superseded` those whose
    superseded versions it reads; `columns` what it returns, in order; `previous` the columns
    that it reads of the release before, by subject; `by_customer` the stored tables of which a
    customer's row needs no rows but that customer's own; `since` the column and the instant
    before which no event of a table is looked at; `scans` the statistics made in each scan;
    `derived` the tables that are made in the query itself; `materialised` the derived tables that
    it reads as relations, with the columns read of each.
    """

    sql: str
    tables: Mapping[str, tuple[str, ...]]
    superseded: frozenset[str]
    columns: Mapping[str, DataType]
    previous: Mapping[str, Mapping[str, DataType]] = field(default_factory=dict)
    by_customer: frozenset[str] = frozenset()
    since: Mapping[str, tuple[str, datetime]] = field(default_factory=dict)
    scans: Mapping[str, int] = field(default_factory=dict)
    derived: tuple[str, ...] = ()
    materialised: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
