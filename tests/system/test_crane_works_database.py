"""The crane maker's systems in a real PostgreSQL: the same rows as in files, deletions included."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest
from examples.crane_works.__main__ import main
from examples.crane_works.parameters import Dirt, Parameters, day_number
from examples.crane_works.parquet_files import without_truth
from examples.crane_works.postgres import write_database
from examples.crane_works.systems import SYSTEMS
from examples.crane_works.world import Part, simulate
from sqlalchemy import NullPool, create_engine, make_url, text

pytestmark = pytest.mark.slow
SIZE = ("--customers", "120", "--machines", "240", "--years", "1")


@pytest.fixture(scope="module")
def crane_url(postgres_url: str) -> Iterator[str]:
    """An empty database."""
    admin = create_engine(postgres_url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with admin.connect() as connection:
        connection.execute(text("create database crane_systems template template0"))
    yield make_url(postgres_url).set(database="crane_systems").render_as_string(False)
    with admin.connect() as connection:
        connection.execute(text("drop database crane_systems with (force)"))


def asked(url: str, query: str) -> list[Any]:
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def test_a_database_holds_the_rows_of_the_files(
    crane_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--database", crane_url, *SIZE]) == 0
    assert main(["--parquet", str(tmp_path), *SIZE]) == 0
    for table in SYSTEMS:
        folder = tmp_path / table.system / table.name
        rows = sum(parquet.read_metadata(file).num_rows for file in folder.iterdir())
        assert asked(crane_url, f"select count(*) from {table.path}") == [(rows,)], table.path
    [first] = (
        parquet.read_table(tmp_path / "telematics" / "readings" / "2023-05.parquet")
        .slice(100, 1)
        .to_pylist()
    )
    columns = ", ".join(first)
    found = asked(
        crane_url,
        f"select {columns} from telematics.readings where reading_id = {first['reading_id']}",
    )
    assert found == [tuple(first.values())]

    assert main(["--database", crane_url, *SIZE]) == 1
    assert "has the schemas app, crm, mes" in capsys.readouterr().err


def test_rows_change_and_vanish_from_one_day_to_the_next(crane_url: str) -> None:
    clumsy = Dirt(cancelled_work_orders=1.0)  # every order is opened twice, for a day
    parameters = Parameters(customers=120, machines=240, years=1, dirt=clumsy)
    orders: list[dict[str, str]] = []
    for until in (date(2023, 6, 4), date(2023, 6, 6)):
        write_database(crane_url, systems_at(parameters, until), replace=True)
        rows = asked(crane_url, "select order_no, status from service_desk.work_orders")
        orders.append(dict(rows))
    before, after = orders
    vanished = before.keys() - after.keys()
    assert vanished
    assert {order[-1] for order in vanished} == {"B"}
    stayed = before.keys() & after.keys()
    assert {(before[order], after[order]) for order in stayed} > {("closed", "closed")}
    assert after.keys() - before.keys()


def systems_at(parameters: Parameters, until: date) -> Iterator[Part]:
    return without_truth(simulate(parameters, day_number(until)), None)
