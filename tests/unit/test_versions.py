"""Row versions against a naive model of the same deliveries."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagline.definitions import TableDefinition
from tagline.definitions.types import DataType
from tagline.engines import Relation
from tagline.engines.duckdb import DuckDBEngine
from tagline.lake import Lake
from tagline.sources import Interval
from tagline.versions import BEGINNING, Changes, Versions, delivered_columns

TABLE = TableDefinition.model_validate(
    {
        "name": {"en": "Orders", "zh": "订单"},
        "description": "Made for a test.",
        "key": ["shop", "number"],
        "columns": {
            "shop": {"type": "text", "description": "The shop."},
            "number": {"type": "integer", "description": "Its order."},
            "amount": {"type": "number", "description": "What it cost."},
        },
    }
)
READER = """
SELECT m.moment, r.shop, r.number, r.amount FROM moments AS m JOIN orders AS r
ON r.valid_at < m.as_of AND r.loaded_at <= m.known_at WHERE NOT EXISTS (
  SELECT 1 FROM superseded AS s WHERE s.shop = r.shop AND s.number = r.number
  AND s.valid_at = r.valid_at AND s.loaded_at = r.loaded_at
  AND s.until_at < m.as_of AND s.recorded_at <= m.known_at)
ORDER BY ALL
"""

Key = tuple[str, int]
Row = tuple[str, int, float | None]


def day(number: int) -> datetime:
    return datetime(2017, 1, 1, tzinfo=UTC) + timedelta(days=number)


def load_at(number: int) -> datetime:
    return datetime(2020, 1, 1, 12, tzinfo=UTC) + timedelta(days=number)


@dataclass
class ListedFiles:
    """A lake that is a list of files for each table."""

    folder: Path
    files: dict[str, list[str]] = field(default_factory=dict)
    made: int = 0

    def relation(self, table: str, columns: Mapping[str, DataType], **_pruned: Any) -> Relation:
        return Relation(tuple(self.files.get(table, [])), columns)

    def new_file(self, table: str) -> str:
        self.made += 1
        return str(self.folder / f"{table}-{self.made}.parquet")


class Shelf:
    """A stored table that takes deliveries and is read as of A, known at K."""

    def __init__(self, folder: Path, buckets: int = 1) -> None:
        self.engine = DuckDBEngine("500MB", 1, str(folder / "spilled"))
        self.lake = ListedFiles(folder)
        self.folder = folder
        self.buckets = buckets

    def deliver(
        self,
        rows: Sequence[tuple[Key, datetime | None, float | None]],
        at: datetime,
        scope: list[Interval] | None = None,
        source: str = "till",
    ) -> Changes:
        made = self.changes(rows, at, scope, source)
        self.store(made)
        return made

    def deliver_in_pieces(
        self, rows: Sequence[tuple[Key, datetime, float | None]], at: datetime, scope: Interval
    ) -> None:
        """A piece for each day of the scope; the lake has none before it has all."""
        made, start = Changes(), scope.start
        while start < scope.end:
            end = start + timedelta(days=1)
            piece = [row for row in rows if start <= row[1] < end]
            more = self.changes(piece, at, [Interval(start, end)], before=made)
            made, start = made.followed_by(more), end
        self.store(made)

    def store(self, made: Changes) -> None:
        self.lake.files.setdefault("clean.orders", []).extend(made.row_files)
        self.lake.files.setdefault("clean.orders__superseded", []).extend(made.entry_files)

    def changes(
        self,
        rows: Sequence[tuple[Key, datetime | None, float | None]],
        at: datetime,
        scope: list[Interval] | None = None,
        source: str = "till",
        before: Changes | None = None,
    ) -> Changes:
        undated = scope is None and all(valid_at is None for _, valid_at, _ in rows)
        path = str(self.folder / "delivered.parquet")
        columns: list[list[Any]] = [
            [key[0] for key, _, _ in rows],
            [key[1] for key, _, _ in rows],
            [amount for _, _, amount in rows],
            [valid_at or BEGINNING for _, valid_at, _ in rows],
        ]
        types = [
            pyarrow.string(),
            pyarrow.int64(),
            pyarrow.float64(),
            pyarrow.timestamp("us", "UTC"),
        ]
        arrays = [pyarrow.array(c, t) for c, t in zip(columns, types, strict=True)]
        pyarrow.parquet.write_table(
            pyarrow.table(arrays, names=list(delivered_columns(TABLE))), path
        )
        versions = Versions(
            engine=self.engine,
            lake=cast(Lake, self.lake),
            name="orders",
            table=TABLE,
            source=source,
            buckets=self.buckets,
            scratch=self.folder,
        )
        single = len({key for key, _, _ in rows}) == len(rows)
        return versions.changes(path, scope, at, undated=undated, single=single, before=before)

    def read(self, as_of: datetime, known_at: datetime) -> list[Row]:
        return self.read_all([(as_of, known_at)])[0]

    def read_all(self, moments: Sequence[tuple[datetime, datetime]]) -> list[list[Row]]:
        """The reader of the contract, for many (as_of, known_at) at once."""
        instants = dict.fromkeys(
            ("valid_at", "loaded_at", "until_at", "recorded_at"), DataType.TIMESTAMP
        )
        columns = {name: column.type for name, column in TABLE.columns.items()} | instants
        relations = {
            "orders": self.lake.relation("clean.orders", columns),
            "superseded": self.lake.relation("clean.orders__superseded", columns),
        }
        listed = ", ".join(
            f"({number}, TIMESTAMPTZ '{as_of}', TIMESTAMPTZ '{known_at}')"
            for number, (as_of, known_at) in enumerate(moments)
        )
        sql = f"WITH moments(moment, as_of, known_at) AS (VALUES {listed}) {READER}"
        found: list[list[Row]] = [[] for _ in moments]
        for row in self.engine.fetch(sql, relations).to_pylist():
            found[row["moment"]].append((row["shop"], row["number"], row["amount"]))
        return found


Dated = dict[tuple[Key, datetime], float | None]


class DatedModel:
    """What was known after each load: the content of every key and valid_at."""

    def __init__(self) -> None:
        self.known: list[tuple[datetime, Dated]] = [(load_at(-1), {})]

    def deliver(self, rows: Dated, at: datetime, scope: Interval | None) -> None:
        state = {
            (key, valid_at): amount
            for (key, valid_at), amount in self.known[-1][1].items()
            if scope is not None and not scope.start <= valid_at < scope.end
        }
        self.known.append((at, {**state, **rows}))

    def read(self, as_of: datetime, known_at: datetime) -> list[Row]:
        state = [state for at, state in self.known if at <= known_at][-1]
        newest: dict[Key, tuple[datetime, float | None]] = {}
        for (key, valid_at), amount in state.items():
            if valid_at < as_of and (key not in newest or valid_at > newest[key][0]):
                newest[key] = (valid_at, amount)
        return sorted(
            ((*key, amount) for key, (_, amount) in newest.items()), key=lambda row: row[:2]
        )


KEYS: st.SearchStrategy[Key] = st.tuples(st.sampled_from(["n", "s"]), st.integers(1, 2))
AMOUNTS = st.sampled_from([None, 1.0, 2.0])
WEEK = st.integers(0, 6)
DATED = st.dictionaries(st.tuples(KEYS, WEEK), AMOUNTS, max_size=8)
UNDATED = st.dictionaries(KEYS, AMOUNTS, max_size=4)

many = settings(
    max_examples=12,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def moments(loads: int) -> list[tuple[datetime, datetime]]:
    """Every (as_of, known_at) that can make a difference in the dated tests."""
    known = [load_at(number) for number in range(-1, loads)]
    return [(day(a) + timedelta(hours=h), k) for a in range(-1, 8) for h in (0, 1) for k in known]


@pytest.mark.slow
@many
@given(
    st.lists(st.tuples(DATED, WEEK, st.integers(1, 4), st.booleans()), min_size=1, max_size=5),
    st.booleans(),
)
def test_interval_deliveries_read_as_the_naive_model_says(
    loads: list[tuple[dict[tuple[Key, int], float | None], int, int, bool]], in_pieces: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shelf, model = Shelf(Path(folder)), DatedModel()
        for number, (rows, first, days, again) in enumerate(loads):
            scope = Interval(day(first), day(first + days))
            inside: Dated = {
                (key, day(valid)): amount
                for (key, valid), amount in rows.items()
                if first <= valid < first + days
            }
            model.deliver(inside, load_at(number), scope)
            delivered = [(key, valid_at, amount) for (key, valid_at), amount in inside.items()]
            if in_pieces:  # each is a microsecond later than the one before
                just_before = load_at(number) - timedelta(milliseconds=1)
                shelf.deliver_in_pieces(delivered, just_before, scope)
            else:
                shelf.deliver(delivered, load_at(number), [scope])
            if again:
                later = load_at(number) + timedelta(hours=1)
                assert shelf.deliver(delivered, later, [scope]) == Changes()
        asked = moments(len(loads))
        assert shelf.read_all(asked) == [model.read(*moment) for moment in asked]


@pytest.mark.slow
@many
@given(st.lists(DATED, min_size=1, max_size=5))
def test_dated_snapshots_read_as_the_naive_model_says(
    loads: list[dict[tuple[Key, int], float | None]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shelf, model = Shelf(Path(folder), buckets=2), DatedModel()
        for number, rows in enumerate(loads):
            dated: Dated = {(key, day(valid)): amount for (key, valid), amount in rows.items()}
            model.deliver(dated, load_at(number), None)
            delivered = [(key, valid_at, amount) for (key, valid_at), amount in dated.items()]
            shelf.deliver(delivered, load_at(number))
        asked = moments(len(loads))
        assert shelf.read_all(asked) == [model.read(*moment) for moment in asked]


@pytest.mark.slow
@many
@given(st.lists(UNDATED, min_size=1, max_size=6))
def test_undated_snapshots_read_as_the_naive_model_says(
    loads: list[dict[Key, float | None]],
) -> None:
    known: list[dict[Key, list[tuple[datetime, bool, float | None]]]] = [{}]
    with tempfile.TemporaryDirectory() as folder:
        shelf = Shelf(Path(folder))
        for number, rows in enumerate(loads):
            at = load_at(number)
            shelf.deliver([(key, None, amount) for key, amount in rows.items()], at)
            state = {key: list(steps) for key, steps in known[-1].items()}
            for key in rows.keys() | state.keys():
                here, amount = key in rows, rows.get(key)
                steps = state.setdefault(key, [])
                if not steps:
                    steps.append((BEGINNING, here, amount))
                elif steps[-1][1:] != (here, amount):
                    steps.append((at, here, amount))
            known.append(state)
        asked, expected = [], []
        for number, state in enumerate(known):
            for a in range(-1, len(loads) + 1):
                as_of = load_at(a) + timedelta(hours=1)
                asked.append((as_of, load_at(number - 1)))
                rows_then: list[Row] = []
                for key, steps in sorted(state.items()):
                    *_, (_, here, amount) = [step for step in steps if step[0] < as_of]
                    if here:
                        rows_then.append((*key, amount))
                expected.append(rows_then)
        assert shelf.read_all(asked) == expected


ONE: Key = ("n", 1)


def test_a_load_that_changes_nothing_writes_nothing(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    rows = [(ONE, day(1), 5.0), (ONE, day(3), None)]
    assert shelf.deliver(rows, load_at(0)).added == 2
    assert shelf.deliver(rows, load_at(1)) == Changes()


def test_a_late_version_ends_the_older_one_earlier(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.deliver([(ONE, day(1), 1.0), (ONE, day(5), 5.0)], load_at(0))
    shelf.deliver([(ONE, day(1), 1.0), (ONE, day(3), 3.0), (ONE, day(5), 5.0)], load_at(1))
    assert shelf.read(day(4), load_at(1)) == [(*ONE, 3.0)]
    assert shelf.read(day(4), load_at(0)) == [(*ONE, 1.0)]
    assert shelf.read(day(6), load_at(1)) == [(*ONE, 5.0)]


def test_a_retracted_superseder_lets_the_older_version_hold_again(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.deliver([(ONE, day(1), 1.0), (ONE, day(3), 3.0)], load_at(0))
    made = shelf.deliver([(ONE, day(1), 1.0)], load_at(1))
    assert (made.added, made.superseded) == (1, 2)
    assert shelf.read(day(9), load_at(1)) == [(*ONE, 1.0)]
    assert shelf.read(day(9), load_at(0)) == [(*ONE, 3.0)]


def test_a_source_leaves_the_rows_of_another_alone(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.deliver([(ONE, day(1), 1.0)], load_at(0), source="till")
    shelf.deliver([(("web", 1), day(1), 2.0)], load_at(1), source="web")
    assert shelf.read(day(2), load_at(1)) == [(*ONE, 1.0), ("web", 1, 2.0)]


def test_a_clock_that_went_backwards_does_not_unmake_a_version(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.deliver([(ONE, None, 1.0)], load_at(5))
    shelf.deliver([(ONE, None, 2.0)], load_at(2))
    assert shelf.read(load_at(9), load_at(9)) == [(*ONE, 2.0)]
    assert shelf.read(load_at(5), load_at(5)) == [(*ONE, 1.0)]
