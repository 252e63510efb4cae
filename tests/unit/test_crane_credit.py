"""The credit score falls with every further overdue day, whatever else a customer's books hold."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tagline.catalog import Catalog, load_catalog
from tagline.compile import compile_tags
from tagline.compute import column_types
from tagline.definitions import DataType
from tagline.engines import Engine, Relation, open_engine
from tagline.settings import PROJECT, Settings

DAY = date(2026, 3, 1)
BEGINNING = datetime(1900, 1, 1, tzinfo=UTC)
SLUGS = ("credit_score", "overdue_days_max", "overdue_amount", "overdue_burden")
ARROW = {
    DataType.TEXT: pyarrow.string(),
    DataType.NUMBER: pyarrow.float64(),
    DataType.INTEGER: pyarrow.int64(),
    DataType.BOOLEAN: pyarrow.bool_(),
    DataType.TIMESTAMP: pyarrow.timestamp("us", tz="UTC"),
}
BOOKS = 40  # in one query

Row = dict[str, Any]
Tables = dict[str, list[Row]]


class Ledger:
    """Credit tags of customers whose books are given, by the compiler and the engine."""

    def __init__(self, folder: Path) -> None:
        self.catalog: Catalog = load_catalog(PROJECT / "include", "crane_works")
        self.engine: Engine = open_engine(Settings(threads=1))
        self.folder = folder
        self.as_of = self.catalog.midnight(DAY)
        self.compiled = compile_tags(self.catalog, self.as_of, SLUGS, changed=frozenset())

    def before(self, days: float) -> datetime:
        """The midnight of the business so many days before as_of."""
        return self.as_of - timedelta(days=days)

    def values(self, customers: Sequence[Tables]) -> list[Row]:
        """The tags of each customer, in order."""
        rows: Tables = {name: [] for name in self.compiled.tables}
        for number, books in enumerate(customers):
            key = f"{number:06}"
            rows["customers"].append({"customer_id": key, "since_at": BEGINNING})
            rows["identity"].append({"customer_key": f"crm:{key}", "customer_id": key})
            for table, own in books.items():
                for place, row in enumerate(own):
                    mine = {self.catalog.tables[table].key[0]: f"{key}/{place}"}
                    rows[table].append(mine | {"customer_key": f"crm:{key}"} | row)
        relations = {
            name: self._relation(name, column_types(self.catalog, name, columns), rows[name])
            for name, columns in self.compiled.tables.items()
        }
        found: list[Row] = self.engine.fetch(self.compiled.sql, relations).to_pylist()
        return sorted(found, key=lambda row: str(row["customer_id"]))

    def _relation(self, name: str, types: dict[str, DataType], rows: list[Row]) -> Relation:
        path = self.folder / f"{name}.parquet"
        kept = {"valid_at": BEGINNING, "loaded_at": BEGINNING}
        table = pyarrow.table(
            {
                column: pyarrow.array([(kept | row).get(column) for row in rows], ARROW[kind])
                for column, kind in types.items()
            }
        )
        pyarrow.parquet.write_table(table, path)
        return Relation((str(path),), types)

    def books(self, drawn: Row, overdue: int) -> Tables:
        """What a customer's books hold, with one open instalment overdue for so many days."""
        late = {"due_at": self.before(overdue), "amount": drawn["amount"], "is_open": True}
        late["open_amount"] = drawn["amount"]
        return {
            "receivables": [late, *map(self.receivable, drawn["receivables"])],
            "payments": [
                {"paid_at": self.before(days), "status": status, "days_late": by}
                for days, status, by in drawn["payments"]
            ],
            "payment_promises": [
                {"promised_at": self.before(days), "status": status}
                for days, status in drawn["promises"]
            ],
            "machine_returns": [
                {"returned_at": self.before(days), "reason": reason}
                for days, reason in drawn["returns"]
            ],
        }

    def receivable(self, drawn: tuple[int, float, int | None]) -> Row:
        """An instalment due so many days ago, of an amount, paid so many days late or not yet."""
        due, amount, late = drawn
        is_open = late is None or late > due
        row = {"due_at": self.before(due), "amount": amount, "is_open": is_open}
        row["open_amount"] = amount if is_open else 0.0
        row["settled_at"] = None if late is None or is_open else self.before(due - late + 1)
        return row


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    return Ledger(tmp_path_factory.mktemp("ledger"))


AMOUNTS = st.integers(1_000, 2_000_000).map(float)
HISTORY = st.fixed_dictionaries(
    {
        "amount": AMOUNTS,
        "receivables": st.lists(
            st.tuples(st.integers(-900, 900), AMOUNTS, st.none() | st.integers(-5, 200)), max_size=8
        ),
        "payments": st.lists(
            st.tuples(
                st.integers(1, 900), st.sampled_from(["booked", "reversed"]), st.integers(-9, 300)
            ),
            max_size=4,
        ),
        "promises": st.lists(
            st.tuples(st.integers(1, 900), st.sampled_from(["open", "kept", "broken"])), max_size=3
        ),
        "returns": st.lists(
            st.tuples(st.integers(1, 900), st.none() | st.just("项目取消")), max_size=2
        ),
    }
)
CASES = settings(
    max_examples=4,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@CASES
@given(st.lists(HISTORY, min_size=BOOKS, max_size=BOOKS), st.integers(0, 500))
def test_every_further_overdue_day_lowers_the_score(
    ledger: Ledger, drawn: list[Row], overdue: int
) -> None:
    days = range(overdue, overdue + 6)  # an instalment that is due today, at the least
    found = ledger.values([ledger.books(each, day) for each in drawn for day in days])
    scores = [row["credit_score"] for row in found]
    for start in range(0, len(scores), len(days)):
        run = scores[start : start + len(days)]
        assert all(0 <= score <= 100 for score in run)
        assert all(later < earlier for earlier, later in pairwise(run)), (
            drawn[start // len(days)],
            run,
        )


@CASES
@given(st.lists(HISTORY, min_size=BOOKS, max_size=BOOKS), AMOUNTS, st.integers(1, 400))
def test_a_further_instalment_that_falls_overdue_never_helps(
    ledger: Ledger, drawn: list[Row], amount: float, overdue: int
) -> None:
    pairs = []
    for each in drawn:
        for due in (-30, overdue):  # not due yet, and overdue
            more = {**each, "receivables": [*each["receivables"], (due, amount, None)]}
            pairs.append(ledger.books(more, 10))
    found = ledger.values(pairs)
    for before, after in zip(found[::2], found[1::2], strict=True):
        assert after["credit_score"] < before["credit_score"]
        assert after["overdue_amount"] == pytest.approx(before["overdue_amount"] + amount)


def test_who_pays_in_time_and_owes_nothing_overdue_has_the_best_score(ledger: Ledger) -> None:
    paid: Row = {"amount": 5e4, "payments": [(20, "booked", -1)], "promises": [], "returns": []}
    paid["receivables"] = [(40, 5e4, 0), (70, 5e4, -3)]
    books = ledger.books(paid, -20)
    assert [row["credit_score"] for row in ledger.values([books, {}])] == [100, 78]
