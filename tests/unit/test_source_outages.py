"""Sources that hang, reset the connection or die half-way: refused, to be retried, then whole."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from sqlalchemy import create_engine, text
from tests.failing_servers import FileServer, Proxy, file_server, proxy
from tests.unit.conftest import Kiosk

from tagline.errors import SourceUnavailable

pytestmark = pytest.mark.slow
AS_OF = datetime(2019, 3, 1, tzinfo=UTC)
ROWS = 40_000
FAULTS = [("hang", "nothing has come for 1 second"), ("reset", "till"), ("cut", "till")]
PATIENT = "60 seconds"  # of the retry, on a machine that has other work


@pytest.fixture
def till(kiosk: Kiosk, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """The kiosk's sales in a database behind a proxy."""
    business = kiosk.deployment.settings.business
    database = f"{business}_profiles"  # dropped with the others
    from tagline.database import database_url

    engine = create_engine(database_url(kiosk.deployment.settings, "profiles"))
    with engine.begin() as connection:
        connection.execute(
            text(
                "create table sales as select n as number, 'b' || n as buyer, n / 2.0 as amount,"
                " timestamptz '2019-01-01 00:00Z' + n * interval '1 minute' as sold_at"
                f" from generate_series(1, {ROWS}) as n"
            )
        )
        connection.execute(text("create table articles (article text, price text)"))
        connection.execute(text("insert into articles values ('apple', '1.5')"))
    engine.dispose()
    with proxy(postgres_url) as between:
        monkeypatch.setenv("TILL_URL", between.url(postgres_url, database))
        source = kiosk.source | {"type": "sql", "url": "${TILL_URL}"}
        del source["location"]
        for name, table in source["tables"].items():
            del table["path"]
            table["table"] = name
        source["tables"]["sales"]["idle"] = "60 days"
        kiosk.define(source)
        yield between


def give_up_after(kiosk: Kiosk, timeout: str) -> None:
    """Change the timeout of the kiosk's source."""
    source = kiosk.deployment.catalog.sources["till"].model_dump(mode="json", by_alias=True)
    kiosk.define(source | {"timeout": timeout})


@pytest.mark.parametrize(("fault", "said"), FAULTS)
@pytest.mark.parametrize("after", [0, 600_000])
def test_a_failing_database_is_unavailable_and_a_retry_has_every_row(
    kiosk: Kiosk, till: Proxy, fault: Any, said: str, after: int
) -> None:
    till.fault, till.after = fault, after
    give_up_after(kiosk, "1 second" if fault == "hang" else PATIENT)
    with pytest.raises(SourceUnavailable, match=said) as refused:
        kiosk.extract(AS_OF, "till.sales")
    assert "source till" in str(refused.value)
    assert kiosk.deployment.lake.relation("raw.till__sales", {}).files == ()
    till.fault = "none"
    give_up_after(kiosk, PATIENT)
    made = kiosk.extract(AS_OF, "till.sales")["till.sales"]
    assert made.rows == ROWS
    assert len(made.loads) == 1


def test_a_failing_table_keeps_what_the_others_delivered(kiosk: Kiosk, till: Proxy) -> None:
    till.fault, till.after = "cut", 600_000
    with pytest.raises(SourceUnavailable):
        kiosk.run(AS_OF)
    till.fault = "none"
    again = kiosk.extract(AS_OF)
    assert again["till.articles"].loads == ()
    assert again["till.sales"].rows == ROWS


@pytest.fixture
def server(kiosk: Kiosk) -> Iterator[FileServer]:
    """The kiosk's files over HTTP."""
    with file_server() as shown:
        source = kiosk.source
        source["location"] = f"http://127.0.0.1:{shown.port}"
        source["tables"]["sales"]["idle"] = "60 days"
        kiosk.define(source)
        shown.files = {"sales.csv": sales(), "articles.csv": b"article,price\napple,1.5\n"}
        yield shown


def sales() -> bytes:
    rows = (f"{n},b{n},{n}.5,2019-01-{1 + n % 28:02d} 10:00:00\n" for n in range(ROWS))
    return b"number,buyer,amount,sold_at\n" + "".join(rows).encode()


@pytest.mark.parametrize(("fault", "said"), FAULTS)
def test_failing_files_are_unavailable_and_a_retry_has_every_row(
    kiosk: Kiosk, server: FileServer, fault: Any, said: str
) -> None:
    server.fault = fault
    give_up_after(kiosk, "1 second" if fault == "hang" else PATIENT)
    with pytest.raises(SourceUnavailable, match=said):
        kiosk.extract(AS_OF, "till.sales")
    assert kiosk.deployment.lake.relation("raw.till__sales", {}).files == ()
    server.fault = "none"
    give_up_after(kiosk, PATIENT)
    assert kiosk.extract(AS_OF, "till.sales")["till.sales"].rows == ROWS


def test_a_server_that_is_down_is_unavailable(kiosk: Kiosk) -> None:
    kiosk.define(kiosk.source | {"location": "http://127.0.0.1:9", "timeout": "5 seconds"})
    with pytest.raises(SourceUnavailable, match="till"):
        kiosk.extract(AS_OF, "till.sales")


@pytest.mark.parametrize("name", ["sales.csv.gz", "sales.parquet"])
def test_a_file_that_was_cut_off_is_unavailable_until_it_is_whole(kiosk: Kiosk, name: str) -> None:
    source = kiosk.source
    source["tables"]["sales"] |= {"path": name, "idle": "60 days"}
    kiosk.define(source)
    path = kiosk.folder / name
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(sales()))
    else:
        at = datetime(2019, 1, 5, tzinfo=UTC)
        rows = [{"number": n, "buyer": "b", "amount": 1.5, "sold_at": at} for n in range(ROWS)]
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(SourceUnavailable, match=rf"{name} ends before its end"):
        kiosk.extract(AS_OF, "till.sales")
    path.write_bytes(whole)
    assert kiosk.extract(AS_OF, "till.sales")["till.sales"].rows == ROWS
