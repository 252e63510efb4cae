"""Whose values differ between a release and a plan: counts, moves, examples, all customers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tagline.definitions import DataType
from tagline.engines import Engine, Relation, identifier, literal

EXAMPLES = 10
MOVES = 30
KINDS = ("gains", "loses", "changes")
_NUMBERS = {DataType.INTEGER, DataType.NUMBER}


@dataclass(frozen=True)
class Compared:
    """A tag's two columns: in the release and in the plan, None where one has none."""

    slug: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Effect:
    """Customers by what becomes of their value: null → value, value → null, another value.

    `before` and `after` count the customers that have a value.
    """

    gains: int
    loses: int
    changes: int
    before: int
    after: int

    @property
    def differ(self) -> int:
        """All whose value is not the same."""
        return self.gains + self.loses + self.changes


@dataclass(frozen=True)
class Sides:
    """The release and the plan, to be joined by customer."""

    engine: Engine
    released: Relation
    planned: Relation

    def population(self) -> int:
        """The customers of the plan."""
        sql = "SELECT count(*) AS n FROM planned"
        only = {"planned": Relation(self.planned.files, {"customer_id": DataType.TEXT})}
        return int(self.engine.fetch(sql, only).to_pylist()[0]["n"])

    def effects(self, tags: Sequence[Compared]) -> dict[str, Effect]:
        """The effect on each tag, in one pass."""
        if not tags:
            return {}
        asked = []
        for number, tag in enumerate(tags):
            old, new, differs = self._values(tag)
            for name, condition in (
                ("gains", f"{old} IS NULL AND {new} IS NOT NULL"),
                ("loses", f"{old} IS NOT NULL AND {new} IS NULL"),
                ("changes", f"{old} IS NOT NULL AND {new} IS NOT NULL AND {differs}"),
                ("before", f"{old} IS NOT NULL"),
                ("after", f"{new} IS NOT NULL"),
            ):
                asked.append(f"count(CASE WHEN {condition} THEN 1 END) AS {name}_{number}")
        (row,) = self._fetch(f"SELECT {', '.join(asked)} FROM {JOINED}", tags)
        return {
            tag.slug: Effect(
                *(row[f"{name}_{number}"] for name in (*KINDS, "before", "after")),
            )
            for number, tag in enumerate(tags)
        }

    def moves(self, tag: Compared) -> list[dict[str, Any]]:
        """How many customers go from which value to which, the most frequent first."""
        old, new, differs = self._values(tag)
        return self._fetch(
            f"SELECT {old} AS before, {new} AS after, count(*) AS customers FROM {JOINED} "
            f"WHERE {differs} GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT {MOVES}",
            [tag],
        )

    def examples(self, tag: Compared) -> list[dict[str, Any]]:
        """Some customers whose value differs, of each kind of difference where there are any."""
        return self._fetch(
            "SELECT customer_id, effect, before, after FROM (SELECT *, row_number() OVER ("
            f"PARTITION BY effect ORDER BY customer_id) AS nth FROM ({self._differing(tag)})) "
            f"ORDER BY nth, effect LIMIT {EXAMPLES}",
            [tag],
        )

    def ids(self, tag: Compared) -> list[str]:
        """All customers whose value differs, in order of their ids."""
        sql = f"SELECT customer_id FROM ({self._differing(tag)}) ORDER BY 1"
        return [row["customer_id"] for row in self._fetch(sql, [tag])]

    def export(self, tags: Sequence[Compared], path: str) -> int:
        """Write every difference as a Parquet row; how many there are.

        Columns: tag, customer_id, effect (gains, loses, changes), and the two values as texts.
        """
        parts = [
            f"SELECT {literal(tag.slug)} AS tag, customer_id, effect, CAST(before AS VARCHAR) "
            f"AS before, CAST(after AS VARCHAR) AS after FROM ({self._differing(tag)})"
            for tag in tags
        ] or [
            "SELECT '' AS tag, customer_id, '' AS effect, '' AS before, '' AS after "
            "FROM planned WHERE false"
        ]
        sql = f"SELECT * FROM ({' UNION ALL '.join(parts)}) ORDER BY tag, customer_id"
        return self.engine.write(sql, self._relations(tags), path)

    def rows(self, customers: Sequence[str]) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
        """Whole rows of some customers, released and planned; empty where one has none."""
        named = ", ".join(map(literal, customers)) or "NULL"
        found: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
            customer: ({}, {}) for customer in customers
        }
        for number, side in enumerate((self.released, self.planned)):
            sql = f"SELECT * FROM side WHERE customer_id IN ({named})"
            for row in self.engine.fetch(sql, {"side": side}).to_pylist():
                found[row["customer_id"]][number].update(row)
        return found

    def _values(self, tag: Compared) -> tuple[str, str, str]:
        """SQL of the value before, the value after, and whether they differ."""
        old, new = f"b.{identifier(tag.before or '')}", f"a.{identifier(tag.after or '')}"
        if tag.before is None or tag.after is None:
            kind = self._kind(tag).sql
            old = old if tag.before is not None else f"CAST(NULL AS {kind})"
            new = new if tag.after is not None else f"CAST(NULL AS {kind})"
        elif self.released.columns[tag.before] is not self.planned.columns[tag.after] and not (
            {self.released.columns[tag.before], self.planned.columns[tag.after]} <= _NUMBERS
        ):
            old, new = f"CAST({old} AS VARCHAR)", f"CAST({new} AS VARCHAR)"
        return old, new, f"{old} IS DISTINCT FROM {new}"

    def _kind(self, tag: Compared) -> DataType:
        if tag.after is not None:
            return self.planned.columns[tag.after]
        return self.released.columns[tag.before] if tag.before is not None else DataType.TEXT

    def _differing(self, tag: Compared) -> str:
        old, new, differs = self._values(tag)
        return (
            f"SELECT coalesce(a.customer_id, b.customer_id) AS customer_id, {old} AS before, "
            f"{new} AS after, CASE WHEN {old} IS NULL THEN 'gains' WHEN {new} IS NULL "
            f"THEN 'loses' ELSE 'changes' END AS effect FROM {JOINED} WHERE {differs}"
        )

    def _fetch(self, sql: str, tags: Sequence[Compared]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.engine.fetch(sql, self._relations(tags)).to_pylist()
        return rows

    def _relations(self, tags: Sequence[Compared]) -> dict[str, Relation]:
        before = {tag.before for tag in tags if tag.before is not None}
        after = {tag.after for tag in tags if tag.after is not None}
        return {
            "released": _narrowed(self.released, before),
            "planned": _narrowed(self.planned, after),
        }


JOINED = "planned AS a FULL JOIN released AS b ON a.customer_id = b.customer_id"


def _narrowed(relation: Relation, names: set[str]) -> Relation:
    columns: Mapping[str, DataType] = {
        name: kind
        for name, kind in relation.columns.items()
        if name in names or name == "customer_id"
    }
    return Relation(relation.files, columns)
