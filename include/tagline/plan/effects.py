"""Whose values differ between a release and a plan: counts, moves, examples, all customers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tagline.definitions import DataType
from tagline.engines import Engine, Relation, identifier, literal
from tagline.subjects import Subject

EXAMPLES = 10
MOVES = 30
EXPORTED = ("tag", "subject", "id", "effect", "before", "after")
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
    """The release and the plan of one subject, to be joined by its key."""

    engine: Engine
    subject: Subject
    released: Relation
    planned: Relation

    @property
    def _joined(self) -> str:
        key, prefix = self.subject.key, self.subject.prefix
        return f"{prefix}planned AS a FULL JOIN {prefix}released AS b ON a.{key} = b.{key}"

    def population(self) -> int:
        """The customers of the plan."""
        sql = "SELECT count(*) AS n FROM planned"
        only = {"planned": Relation(self.planned.files, {self.subject.key: DataType.TEXT})}
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
        (row,) = self._fetch(f"SELECT {', '.join(asked)} FROM {self._joined}", tags)
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
            f"SELECT {old} AS before, {new} AS after, count(*) AS customers FROM {self._joined} "
            f"WHERE {differs} GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT {MOVES}",
            [tag],
        )

    def examples(self, tag: Compared) -> list[dict[str, Any]]:
        """Some customers whose value differs, of each kind of difference where there are any."""
        key = self.subject.key
        return self._fetch(
            f"SELECT {key}, effect, before, after FROM (SELECT *, row_number() OVER ("
            f"PARTITION BY effect ORDER BY {key}) AS nth FROM ({self._differing(tag)})) "
            f"ORDER BY nth, effect LIMIT {EXAMPLES}",
            [tag],
        )

    def ids(self, tag: Compared) -> list[str]:
        """All customers whose value differs, in order of their ids."""
        sql = f"SELECT {self.subject.key} AS id FROM ({self._differing(tag)}) ORDER BY 1"
        return [row["id"] for row in self._fetch(sql, [tag])]

    def listed(self, tags: Sequence[Compared]) -> tuple[list[str], dict[str, Relation]]:
        """SQL of the rows of an export for each tag, with the relations that it reads."""
        parts = [
            f"SELECT {literal(tag.slug)} AS tag, {literal(self.subject.name)} AS subject, "
            f"{self.subject.key} AS id, effect, CAST(before AS VARCHAR) AS before, "
            f"CAST(after AS VARCHAR) AS after FROM ({self._differing(tag)})"
            for tag in tags
        ]
        return parts, self._relations(tags)

    def rows(self, ids: Sequence[str]) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
        """Whole rows of some customers, released and planned; empty where one has none."""
        key, named = self.subject.key, ", ".join(map(literal, ids)) or "NULL"
        found: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {each: ({}, {}) for each in ids}
        for number, side in enumerate((self.released, self.planned)):
            sql = f"SELECT * FROM side WHERE {key} IN ({named})"
            for row in self.engine.fetch(sql, {"side": side}).to_pylist():
                found[row[key]][number].update(row)
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
        key = self.subject.key
        return (
            f"SELECT coalesce(a.{key}, b.{key}) AS {key}, {old} AS before, "
            f"{new} AS after, CASE WHEN {old} IS NULL THEN 'gains' WHEN {new} IS NULL "
            f"THEN 'loses' ELSE 'changes' END AS effect FROM {self._joined} WHERE {differs}"
        )

    def _fetch(self, sql: str, tags: Sequence[Compared]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.engine.fetch(sql, self._relations(tags)).to_pylist()
        return rows

    def _relations(self, tags: Sequence[Compared]) -> dict[str, Relation]:
        before = {tag.before for tag in tags if tag.before is not None}
        after = {tag.after for tag in tags if tag.after is not None}
        return {
            f"{self.subject.prefix}released": self._narrowed(self.released, before),
            f"{self.subject.prefix}planned": self._narrowed(self.planned, after),
        }

    def _narrowed(self, relation: Relation, names: set[str]) -> Relation:
        columns: Mapping[str, DataType] = {
            name: kind
            for name, kind in relation.columns.items()
            if name in names or name == self.subject.key
        }
        return Relation(relation.files, columns)


def export(engine: Engine, sides: Sequence[tuple[Sides, Sequence[Compared]]], path: str) -> int:
    """Write every difference as a Parquet row; how many there are.

    Columns: tag, subject, id (such as the customer's), effect (gains, loses, changes), and the
    values before and after as texts.
    """
    parts: list[str] = []
    relations: dict[str, Relation] = {}
    for side, tags in sides:
        more, read = side.listed(tags)
        parts += more
        relations |= read
    nothing = ", ".join(f"'' AS {name}" for name in EXPORTED)
    union = " UNION ALL ".join(parts or [f"SELECT {nothing} WHERE false"])
    return engine.write(f"SELECT * FROM ({union}) ORDER BY tag, id", relations, path)
