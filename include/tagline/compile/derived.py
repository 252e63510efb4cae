"""The rows of a derived table by themselves, to be kept and read by many queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlglot import exp

from tagline.catalog import Catalog
from tagline.compile.instant import Moment
from tagline.compile.plan import _with
from tagline.compile.rows import Rows


@dataclass(frozen=True)
class DerivedRows:
    """The query of a derived table's rows as of an instant, with its declared columns.

    `tables` are the stored tables with the columns read of each, `superseded` those whose
    superseded versions it reads; of a stored table it takes rows whose columns `before_as_of`
    all lie before as_of, and of a superseded version looks at `until_at` alike. Unless `nested`,
    it depends on as_of in no other way: where all of these lie before two instants, its rows are
    the same for both. A nested one reads another derived table, whose events are bounded, too.
    """

    sql: str
    tables: Mapping[str, tuple[str, ...]]
    superseded: frozenset[str]
    before_as_of: Mapping[str, tuple[str, ...]]
    nested: bool


def compile_derived(
    catalog: Catalog,
    table: str,
    as_of: datetime,
    known_at: datetime | None = None,
    changed: frozenset[str] | None = None,
) -> DerivedRows:
    """What the readers of a materialised derived table read; arguments as of `compile_tags`."""
    rows = Rows(Moment(catalog, as_of, known_at), changed)
    rows.read_sources(table)
    shown = ", ".join(
        exp.column(column, table="r", quoted=True).sql(dialect="duckdb")
        for column in catalog.tables[table].columns
    )
    stored = rows.stored()
    return DerivedRows(
        _with(rows.ctes(), f"SELECT {shown}\nFROM ({rows.made(table)}) AS r"),
        stored,
        frozenset(name for name in stored if rows.reads_superseded(name)),
        {name: rows.before_as_of(name) for name in stored},
        nested=bool(rows.derived),
    )
