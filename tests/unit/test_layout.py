"""The layout of a clean table can change; what it holds does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tagline.cleanings import lay_out
from tagline.layout import LAID_OUT_IN

if TYPE_CHECKING:
    from tests.unit.conftest import Kiosk

pytestmark = pytest.mark.slow


def test_a_table_laid_out_anew_keeps_columns_that_are_no_longer_declared(kiosk: Kiosk) -> None:
    kiosk.sales(*(f"{n},buyer {n},{n},2017-01-01 20:00:00" for n in range(1, 7)))
    kiosk.run(datetime(2017, 1, 2, tzinfo=UTC))
    tables = kiosk.tables
    del tables["orders"]["columns"]["amount"]
    tables["orders"]["expectations"] = []
    kiosk.define(tables=tables)
    settings = kiosk.deployment.settings.model_copy(update={"customer_buckets": 2})
    deployment = replace(kiosk.deployment, settings=settings)
    lake, name = deployment.lake, "clean.orders"
    sql = "SELECT order_id, amount, customer_bucket FROM t ORDER BY ALL"
    before = deployment.engine.fetch(sql, {"t": lake.relation(name, {})}).to_pylist()
    assert lay_out(deployment, "orders")
    after = deployment.engine.fetch(sql, {"t": lake.relation(name, {})}).to_pylist()
    assert lake.property_of(name, LAID_OUT_IN, "1") == "2"
    assert {row["customer_bucket"] for row in after} == {0, 1}
    assert [{**row, "customer_bucket": 0} for row in after] == before
    assert not lay_out(deployment, "orders")
