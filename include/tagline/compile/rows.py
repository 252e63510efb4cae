"""The reader: rows of canonical tables as they held as of an instant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from sqlglot import exp

from tagline.compile.apart import keeps_customers_apart
from tagline.compile.instant import Moment, instant, sql
from tagline.definitions import TableDefinition
from tagline.subjects import CUSTOMER, subject_of_table


@dataclass
class Rows:
    """Collects the tables that a query reads, and gives each one's reader.

    `changed` names the tables that have superseded versions (None: all but immutable ones);
    `ready` the derived tables whose rows lie ready in a relation of their name; `whole` will name
    those of which a row may be needed for another customer than its own.
    """

    moment: Moment
    changed: frozenset[str] | None = None
    ready: frozenset[str] = frozenset()
    columns: dict[str, set[str]] = field(default_factory=dict)  # table → columns read
    since: dict[str, datetime | None] = field(default_factory=dict)  # table → oldest event read
    scans: dict[str, int] = field(default_factory=dict)  # query → the statistics that it makes
    derived: set[str] = field(default_factory=set)
    whole: set[str] = field(default_factory=set)
    kept: dict[str, set[str]] = field(default_factory=dict)  # read without a reader of their own

    def keep(self, table: str, columns: Iterable[str]) -> None:
        """Register that a query reads stored versions of a table itself."""
        self.whole.add(table)
        self.kept.setdefault(table, set()).update(columns)

    def read(
        self,
        table: str,
        columns: Iterable[str],
        since: datetime | None = None,
        *,
        by_customer: bool = False,
    ) -> str:
        """Register that columns of a table are read; the name of its rows in the query.

        `since` says that no event before it is looked at. With `by_customer`, what is made of a
        row counts for the row's own customer only.
        """
        catalog = self.moment.catalog
        known = self.since.get(table, since)
        self.since[table] = min(known, since) if known and since else None
        self.columns.setdefault(table, set()).update(columns)
        by_customer = by_customer and catalog.tables[table].customer is not None
        if not by_customer:
            self.whole.add(table)
        made = table in catalog.derived and table not in self.ready
        if made and (table not in self.derived or not by_customer):
            self.derived.add(table)
            self.read_sources(table, by_customer=by_customer)
        elif self._reads_identity(table):
            self.read("identity", ("customer_key", "customer_id"))
        return f"{table}_rows"

    def read_sources(self, derived: str, *, by_customer: bool = False) -> None:
        """Register that all columns of the tables are read that a derived table is made from."""
        catalog = self.moment.catalog
        apart = by_customer and keeps_customers_apart(catalog, derived)
        for source in catalog.derived[derived].tables:
            self.read(source, catalog.tables[source].columns, by_customer=apart)

    def _reads_identity(self, name: str) -> bool:
        """Whether the reader of a stored table looks at who is which customer."""
        table = self.moment.catalog.tables[name]
        return name != "identity" and (self._mapped(table) or self._numbered(name))

    def _numbered(self, name: str) -> bool:
        """Whether a customer is one only while some key has its number: others were merged."""
        resolved = self.moment.catalog.definition.identity == "resolved"
        return resolved and subject_of_table(name) is CUSTOMER

    def _mapped(self, table: TableDefinition) -> bool:
        one_to_one = self.moment.catalog.definition.identity == "one_to_one"
        return table.customer is not None and table.customer != "customer_id" and not one_to_one

    def ctes(self) -> dict[str, str]:
        """The readers of all registered tables by name, inputs before what is made of them."""
        found: dict[str, str] = {}
        for table in sorted(self.columns, key=lambda name: (name != "identity", self._depth(name))):
            derived = table in self.moment.catalog.derived
            found[f"{table}_rows"] = self._derived(table) if derived else self._stored(table)
        return found

    def _depth(self, table: str) -> tuple[int, str]:
        sql_file = self.moment.catalog.derived.get(table)
        if sql_file is None:
            return 0, table
        return 1 + max((self._depth(inner)[0] for inner in sql_file.tables), default=0), table

    def stored(self) -> dict[str, tuple[str, ...]]:
        """Stored tables with every column that the query reads of them, bookkeeping included."""
        catalog = self.moment.catalog
        found = {}
        for name in dict.fromkeys((*self.columns, *self.kept)):
            if name in catalog.derived:
                continue
            table = catalog.tables[name]
            columns = self.columns.get(name, set()) | self.kept.get(name, set())
            wanted = columns | {*table.key, *filter(None, (table.event_at, table.customer))}
            if self._since(name):
                wanted.add("since_at")
            found[name] = (*(c for c in table.columns if c in wanted), "valid_at", "loaded_at")
        return found

    def read_ready(self) -> dict[str, tuple[str, ...]]:
        """Derived tables that lie ready, with every column that the query reads of them."""
        found = {}
        for name in sorted(self.ready & set(self.columns)):
            table = self.moment.catalog.tables[name]
            wanted = self.columns[name] | {*filter(None, (table.event_at, table.customer))}
            found[name] = tuple(column for column in table.columns if column in wanted)
        return found

    def before_as_of(self, table: str) -> tuple[str, ...]:
        """The columns by which the reader of a stored table takes only rows before as_of."""
        event_at = self.moment.catalog.tables[table].event_at
        since_at = "since_at" if self._since(table) else None
        return ("valid_at", *filter(None, (event_at, since_at)))

    def pruned(self) -> dict[str, tuple[str, datetime]]:
        """Stored tables of which no event before an instant is looked at: column and instant."""
        found = {}
        for table, since in self.since.items():
            event_at = self.moment.catalog.tables[table].event_at
            if since and event_at and table not in (*self.kept, *self.moment.catalog.derived):
                found[table] = (event_at, since)
        return found

    def reads_superseded(self, table: str) -> bool:
        """Whether the reader of a table looks at its superseded versions."""
        if self.changed is not None:
            return table in self.changed
        return not self.moment.catalog.tables[table].immutable

    def _since(self, table: str) -> bool:
        """Whether the rows of a table are a population that begins at since_at."""
        subject = subject_of_table(table)
        return subject is CUSTOMER or (
            subject is not None and "since_at" in self.moment.catalog.tables[table].columns
        )

    def _select(self, table: TableDefinition, columns: Iterable[str]) -> str:
        wanted = [name for name in table.columns if name in set(columns)]
        mine = table.customer is not None
        shown = [f"r.{_quoted(name)}" for name in wanted if not (mine and name == "customer_id")]
        if mine:
            key = f"CAST(r.{_quoted(table.customer or '')} AS VARCHAR)"
            shown.insert(0, f"{'i.customer_id' if self._mapped(table) else key} AS customer_id")
        return ", ".join(shown)

    def _identity(self, table: TableDefinition) -> str:
        if not self._mapped(table):
            return ""
        return (
            "\n  LEFT JOIN identity_rows AS i ON i.customer_key = "
            f"r.{_quoted(table.customer or '')}"
        )

    def _stored(self, name: str) -> str:
        table = self.moment.catalog.tables[name]
        as_of, known_at = instant(self.moment.as_of), self.moment.known_at
        conditions = [f"r.{_shown(column)} < {as_of}" for column in self.before_as_of(name)]
        if known_at is not None:
            conditions.append(f"r.loaded_at <= {instant(known_at)}")
        if self.reads_superseded(name):
            names = (*table.key, "valid_at", "loaded_at")
            same = " AND ".join(f"s.{_quoted(key)} = r.{_quoted(key)}" for key in names)
            known = f" AND s.recorded_at <= {instant(known_at)}" if known_at else ""
            conditions.append(
                f"NOT EXISTS (SELECT 1 FROM {name}__superseded AS s\n"
                f"    WHERE {same} AND s.until_at < {as_of}{known})"
            )
        if self._numbered(name):
            own = f"r.{_quoted(table.key[0])}"
            conditions.append(
                f"EXISTS (SELECT 1 FROM identity_rows AS i WHERE i.customer_id = {own})"
            )
        where = "\n    AND ".join(conditions)
        shown = self._select(table, self.columns[name])
        return f"SELECT {shown}\n  FROM {name} AS r{self._identity(table)}\n  WHERE {where}"

    def _derived(self, name: str) -> str:
        table = self.moment.catalog.tables[name]
        made = name if name in self.ready else f"({self.made(name)})"
        shown = self._select(table, self.columns[name])
        text = f"SELECT {shown}\n  FROM {made} AS r{self._identity(table)}"
        if table.event_at is not None:
            text += f"\n  WHERE r.{_quoted(table.event_at)} < {instant(self.moment.as_of)}"
        return text

    def made(self, derived: str) -> str:
        """The query of a derived table, over the readers of what it is made from."""
        return sql(self.moment.catalog.derived[derived].bound(lambda inner: f"{inner}_rows"))


def _shown(column: str) -> str:
    return column if column in ("valid_at", "since_at") else _quoted(column)


def _quoted(name: str) -> str:
    return exp.to_identifier(name, quoted=True).sql(dialect="duckdb")
