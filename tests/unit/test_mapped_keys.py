"""A business whose customers have several keys in a source."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.stored_worlds import write_state
from tests.worlds import BEGINNING, DAY, Operation, Worlds

from tagline.catalog import load_catalog
from tagline.compile import compile_tags
from tagline.engines import open_engine
from tagline.settings import PROJECT, Settings

AS_OF = datetime(2017, 10, 1, tzinfo=UTC)
TAGS = ["order_count_total", "order_amount_total"]


def test_a_customer_has_the_orders_of_all_its_keys_from_the_day_they_are_mapped(
    tmp_path: Path,
) -> None:
    catalog = load_catalog(PROJECT / "include", "grocer")
    definition = catalog.definition.model_copy(update={"identity": "mapped"})
    worlds = Worlds(replace(catalog, definition=definition), AS_OF)
    shapes = {shape.name: shape for shape in worlds.shapes}

    def row(table: str, key: str, valid_at: int, **given: Any) -> Operation:
        values = tuple(given.get(name) for name in shapes[table].columns)
        return Operation(0, (key,), valid_at, values, False)

    def order(number: str, key: str, amount: float) -> Operation:
        at = worlds.as_of - DAY
        return row(
            "orders", number, at, customer_key=key, ordered_at=at, status="placed", amount=amount
        )

    made: dict[str, list[Operation]] = {name: [] for name in shapes}
    made["customers"] = [row("customers", key, BEGINNING, since_at=BEGINNING) for key in "ab"]
    made["identity"] = [
        row("identity", "card 1", BEGINNING, customer_id="a"),
        row("identity", "card 2", worlds.as_of - 1, customer_id="a"),
        row("identity", "card 3", worlds.as_of, customer_id="b"),
    ]
    made["orders"] = [order("1", "card 1", 1.5), order("2", "card 2", 2), order("3", "card 3", 4)]
    state = write_state(worlds, [made], tmp_path / "state", lambda _: True)
    query = compile_tags(worlds.catalog, AS_OF, TAGS)
    relations = state.relations(worlds.catalog, query.tables, query.superseded)
    rows = open_engine(Settings(threads=1)).fetch(query.sql, relations).to_pylist()
    assert [tuple(each[name] for name in ("customer_id", *TAGS)) for each in rows] == [
        ("a", 2, 3.5),
        ("b", 0, 0.0),
    ]
