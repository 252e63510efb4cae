"""Small generated worlds: stored versions of every table, and what a later day adds to them.

A world is a few customers with rows in every table of a catalog, made from the tables' own
definitions and from what the tags' expressions compare columns with, so that a new table or tag
needs no change here. Rows come by loads, as in `versions.py`: versions are added, corrected,
retracted and ended by tombstones, and no stored row is ever edited.

Each operation is of the past, or of the future of an as_of: a version that becomes true at or
after it, or of an event or a customer that is not there before it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlglot import exp

from tagline.catalog import Catalog
from tagline.definitions import (
    DataType,
    ExtractionTag,
    ManualTag,
    StatisticTag,
    TableDefinition,
)
from tagline.expressions.parse import is_standard

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = 86_400_000_000  # microseconds, as all instants here
BEGINNING = (datetime(1900, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
LOADS = tuple(days * DAY for days in (-200, -40, -7, 0, 1, 30))  # after as_of
ENDED = "ended"  # in the place of a version's values: the key is gone from then on

_MOST = {"customers": 2}  # keys in a world, so that a customer has several rows elsewhere

Key = tuple[str, ...]
Values = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """What a load does to one version of a key; `values` None takes it back."""

    load: int
    key: Key
    valid_at: int
    values: Values | str | None
    is_future: bool


@dataclass(frozen=True)
class Shape:
    """What the rows of one table are made of: for each column the values to choose from."""

    name: str
    table: TableDefinition
    columns: tuple[str, ...]  # without those of the key
    pools: tuple[Sequence[Any], ...]  # empty for a reference, which the world fills
    references: tuple[str | None, ...]
    key_references: tuple[str | None, ...]
    most: int  # keys in a world


def microseconds(at: datetime) -> int:
    """An instant as microseconds since 1970."""
    return (at - EPOCH) // timedelta(microseconds=1)


def shapes(catalog: Catalog, as_of: datetime) -> tuple[Shape, ...]:
    """The shapes of all stored tables, referenced ones before those that refer to them."""
    compared, moment = _compared(catalog), microseconds(as_of)
    found: dict[str, Shape] = {}
    left = [name for name in catalog.tables if name not in catalog.derived]
    left.sort(key=lambda name: name != "customers")
    while left:
        ready = [name for name in left if not _refers(catalog, name) & set(left) - {name}] or left
        for name in ready:
            table = catalog.tables[name]
            columns = tuple(column for column in table.columns if column not in table.key)
            found[name] = Shape(
                name,
                table,
                columns,
                tuple(
                    ()
                    if _reference(table, column)
                    else _pool(table, name, column, compared, moment)
                    for column in columns
                ),
                tuple(_reference(table, column) for column in columns),
                tuple(_reference(table, column) for column in table.key),
                _MOST.get(name, 8 if table.event_at else 3),
            )
            left.remove(name)
    return tuple(found.values())


def _reference(table: TableDefinition, column: str) -> str | None:
    if column == table.customer and column != "customer_id":
        return "customers"
    return table.columns[column].references


def _refers(catalog: Catalog, name: str) -> set[str]:
    table = catalog.tables[name]
    return {found for column in table.columns if (found := _reference(table, column))}


def _pool(
    table: TableDefinition,
    name: str,
    column: str,
    compared: Mapping[tuple[str, str], set[Any]],
    as_of: int,
) -> Sequence[Any]:
    """Values of a column: those that some expression tells apart, and a few others."""
    kind = table.columns[column].type
    found = sorted(compared.get((name, column), ()), key=repr)
    rule = [each.with_ for each in table.expectations if each.column == column]
    values: list[Any]
    if kind is DataType.TEXT:
        allowed = [value for given in rule for value in given.get("value_set", ())]
        texts = dict.fromkeys([*found, *allowed] or ["a", "b", "c"])
        values = [value for value in texts if isinstance(value, str)] + ["other"]
        values += [value for value in found if isinstance(value, str)] * 3
    elif kind in (DataType.NUMBER, DataType.INTEGER):
        numbers = [value for value in found if isinstance(value, int | float)]
        values = [0, 1, 2, 3, 10, 40.25, 75.5, 120.75]
        values += [value + step for value in numbers for step in (-1, 0, 0.25, value)]
        values = [abs(value) for value in values]
        values = [int(value) if kind is DataType.INTEGER else float(value) for value in values]
    elif kind is DataType.BOOLEAN:
        values = [True, False]
    elif kind is DataType.DATE:
        values = [_date(as_of + days * DAY) for days in (-400, -90, -31, -1, 0, 1, 45)]
    elif kind is DataType.TIMESTAMP:
        values = [as_of + days * DAY for days in (-500, -90, -30, -2, 2, 45)]
    else:
        values = [["a"], ["a", "b"], [], *([value] for value in found if isinstance(value, str))]
    return values + [None] * (len(values) // 8 + 1) if table.columns[column].nullable else values


def _date(at: int) -> date:
    return (EPOCH + timedelta(microseconds=at)).date()


def _compared(catalog: Catalog) -> dict[tuple[str, str], set[Any]]:
    """What columns are compared with, in tags and derived tables, by table and column."""
    found: dict[tuple[str, str], set[Any]] = {}

    def collect(tree: exp.Expr, table: str | None) -> None:
        for node in tree.find_all(exp.Predicate, exp.Case):
            given: set[Any] = {
                each.this if each.is_string else float(each.this)
                for each in node.find_all(exp.Literal)
            }
            for call in filter(is_standard, node.find_all(exp.Anonymous)):
                dated = catalog.standards[call.expressions[0].this].values
                given |= {value.value for value in dated}
            for column in node.find_all(exp.Column):
                for name in _tables_of(catalog, table, column):
                    found.setdefault((name, column.name), set()).update(given)

    for tag in catalog.tags.values():
        meaning = tag.meaning
        for part in (meaning.value, meaning.where, meaning.by, meaning.pick):
            if part is not None:
                collect(part.tree, tag.table)
        if isinstance(tag.definition, ManualTag):
            table, answers = tag.definition.table, tag.definition.values or ("true", "false")
            found.setdefault((table, "label_set"), set()).add(tag.definition.label_set)
            found.setdefault((table, "value"), set()).update(answers)
        if isinstance(tag.definition, ExtractionTag) and meaning.value is not None:
            for name in meaning.value.names:
                known = tag.definition.values or ()
                found.setdefault((tag.definition.table, name), set()).update(known)
    for file in (*catalog.derived.values(), *catalog.labels.values()):
        collect(file.tree, None)
    return found


def _tables_of(catalog: Catalog, table: str | None, column: exp.Column) -> list[str]:
    if table is None:
        return [name for name in catalog.tables if column.name in catalog.tables[name].columns]
    if not column.table:
        return [table]
    near = catalog.tables[table].columns.get(f"{column.table}_id")
    return [near.references] if near is not None and near.references else []


def windows(catalog: Catalog) -> dict[str, set[int]]:
    """The lengths of all windows over each table, in microseconds."""
    found: dict[str, set[int]] = {}
    for tag in catalog.tags.values():
        if isinstance(tag.definition, StatisticTag) and tag.definition.window is not None:
            length = tag.definition.window // timedelta(microseconds=1)
            found.setdefault(tag.definition.table, set()).add(length)
    return found


class Worlds:
    """Makes worlds of one catalog around one as_of."""

    def __init__(self, catalog: Catalog, as_of: datetime) -> None:
        self.catalog = catalog
        self.as_of = microseconds(as_of)
        self.shapes = shapes(catalog, as_of)
        self._ages = {
            shape.name: self._ages_of(windows(catalog).get(shape.name, set()))
            for shape in self.shapes
        }

    @staticmethod
    def _ages_of(lengths: set[int]) -> list[int]:
        """How long before as_of something happened: often just at the end of a window."""
        some = random.Random(1)
        ages = [1, DAY // 24, DAY, 10 * DAY, *(some.randrange(1, 400 * DAY) for _ in range(60))]
        for length in sorted(lengths):
            ages += [length - 1, length, length + 1, length - DAY // 24, length + DAY // 24] * 2
        return ages

    def make(self, number: int, seed: str) -> dict[str, list[Operation]]:
        """The operations on each table in one world; its keys begin with its number."""
        chance = random.Random(seed)
        size = chance.choice((0.2, 0.4, 0.7, 1.0))
        keys: dict[str, list[Key]] = {}
        return {
            shape.name: _Table(self, shape, number, chance, keys).make(size)
            for shape in self.shapes
        }


class _Table:
    """Makes the operations on one table of one world."""

    def __init__(
        self,
        worlds: Worlds,
        shape: Shape,
        number: int,
        chance: random.Random,
        keys: dict[str, list[Key]],
    ) -> None:
        self.shape, self.chance, self.keys = shape, chance, keys
        self.as_of, self.prefix = worlds.as_of, f"{number}."
        self.ages = worlds._ages[shape.name]
        table = shape.table
        self.since = "since_at" if "since_at" in table.columns else table.event_at
        self.operations: list[Operation] = []

    def choose(self, pool: Sequence[Any]) -> Any:
        return pool[int(self.chance.random() * len(pool))]

    def past(self) -> int:
        return self.as_of - int(self.choose(self.ages))

    def future(self) -> int:
        return self.as_of + int(self.choose((0, 0, 0, 1, DAY // 24, DAY, 20 * DAY)))

    def far(self, table: str) -> str | None:
        """The key of a row of another table; now and then of none."""
        known = self.keys.get(table, [])
        if not known or self.chance.random() < 0.05:
            return f"{self.prefix}unknown"
        return str(self.choose(known)[0])

    def key(self, number: int, mark: str) -> Key:
        table, parts = self.shape.table, []
        for name, reference in zip(table.key, self.shape.key_references, strict=True):
            own = reference is None or reference == self.shape.name
            if own and name == "customer_key":  # keys of a source that are customers' ids
                parts.append(f"{self.prefix}{number}")
            elif own:
                parts.append(f"{self.prefix}{mark}{number}")
            else:
                parts.append(self.far(reference or "") or "")
        return tuple(parts)

    def values(self, since: int | None) -> Values:
        shape = self.shape
        found: list[Any] = []
        for column, pool, reference in zip(
            shape.columns, shape.pools, shape.references, strict=True
        ):
            if column == self.since:
                found.append(since)
            elif reference is not None:
                found.append(self.far(reference))
            else:
                found.append(self.choose(pool))
        return tuple(found)

    def add(self, load: int, key: Key, valid_at: int, values: Any, is_future: bool) -> None:
        self.operations.append(Operation(load, key, valid_at, values, is_future))

    def make(self, size: float) -> list[Operation]:
        known: list[Key] = []
        for number in range(1 + int(self.chance.random() * self.shape.most * size)):
            key = self.key(number, "")
            if key not in known:
                known.append(key)
                self._past_versions(key)
                self._future_versions(key)
        self.keys[self.shape.name] = known
        for number in range(int(self.chance.random() * 3)):
            key = self.key(number, "f")
            if key not in known:
                self._later_comer(key)
        return self.operations

    def _past_versions(self, key: Key) -> None:
        chance = self.chance.random
        since = self.past() if self.since else None
        load, valid_at = int(chance() * 3), since if since and chance() < 0.8 else BEGINNING
        if not self.shape.table.event_at and chance() < 0.4:
            valid_at = self.past()
        while True:
            self.add(load, key, valid_at, self.values(since), False)
            if chance() < 0.15:  # corrected, or taken back
                later = int(chance() * len(LOADS))
                self.add(
                    later, key, valid_at, self.values(since) if chance() < 0.6 else None, False
                )
            if chance() > 0.3:
                break
            load, valid_at = int(chance() * len(LOADS)), self.past()
            since = self.past() if self.since and chance() < 0.2 else since
        if chance() < 0.05:
            self.add(2, key, self.as_of + LOADS[2], ENDED, False)

    def _future_versions(self, key: Key) -> None:
        """Versions of a known key that become true at or after as_of: added, changed, removed."""
        chance = self.chance.random
        while chance() < 0.45:
            valid_at, load = self.future(), int(chance() * len(LOADS))
            since = self.past() if chance() < 0.7 else self.future()
            gone = chance() < 0.2
            self.add(load, key, valid_at, ENDED if gone else self.values(since), True)
            if chance() < 0.4:
                later = int(chance() * len(LOADS))
                self.add(later, key, valid_at, self.values(since) if chance() < 0.5 else None, True)

    def _later_comer(self, key: Key) -> None:
        """A key that is unknown before as_of, or whose event or customer is not there yet."""
        chance = self.chance.random
        for _ in range(1 + (chance() < 0.3)):
            load = int(chance() * len(LOADS))
            if self.since and chance() < 0.6:
                valid_at = BEGINNING if chance() < 0.5 else self.past()
                values = self.values(self.future())
            else:
                valid_at, values = self.future(), self.values(self.past())
            self.add(load, key, valid_at, values, True)
            if chance() < 0.3:
                self.add(int(chance() * len(LOADS)), key, valid_at, None, True)
