"""The benchmark shop's deliveries: a file of orders per day and a list of customers, from a seed.

Orders are numbered through; every value of an order is a hash of its number and the seed, so the
same sizes and seed give the same rows, whatever part of them is written. Few customers order
often: a customer's share of the orders falls with the square root of its number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb

EVENTS_PER_CUSTOMER = 25
FIRST_DAY = date(2020, 1, 1)
SEED = 20_260_101
_BATCH = 4_000_000  # orders that one statement makes, so that a day of any size fits in memory

# Each value has a whole number of its own to hash: hashes of several columns are correlated.
_ORDERS = """
SELECT
  number,
  CAST(floor({customers} * pow({customer}, 2)) AS BIGINT) AS customer,
  make_timestamp({start} + CAST(floor({moment} * 86400) AS BIGINT) * 1000000) AS ordered_at,
  CASE WHEN {status} < 0.92 THEN 'placed' WHEN {status} < 0.97 THEN 'returned'
    ELSE 'cancelled' END AS status,
  CASE WHEN {channel} < 0.40 THEN 'app' WHEN {channel} < 0.70 THEN 'web'
    WHEN {channel} < 0.90 THEN 'store' WHEN {channel} < 0.97 THEN 'market'
    ELSE 'phone' END AS channel,
  round(5 + 300 * pow({amount}, 4), 2) AS amount,
  CASE WHEN {discount} < 0.6 THEN 0 ELSE round(40 * ({discount} - 0.6), 2) END AS discount,
  1 + CAST(floor(12 * pow({lines}, 3)) AS BIGINT) AS lines
FROM (SELECT range AS number FROM range({first}, {end}))
"""
_VALUES = ("customer", "moment", "status", "channel", "amount", "discount", "lines")

_CUSTOMERS = """
SELECT range AS customer, TIMESTAMP '{start} 00:00:00' - to_days(CAST(hash(range + {seed}) % 900
  AS INTEGER)) AS since
FROM range({customers})
"""


@dataclass(frozen=True)
class Sizes:
    """How much is delivered: `events` orders over `days` days, and the customers who order."""

    events: int
    days: int = 730
    seed: int = SEED

    @property
    def customers(self) -> int:
        """One customer per 25 orders."""
        return max(1, self.events // EVENTS_PER_CUSTOMER)

    @property
    def as_of(self) -> datetime:
        """The end of the last day."""
        return self.start_of(self.days)

    def start_of(self, number: int) -> datetime:
        """Midnight at the start of a day; the first day has number 0."""
        midnight = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC)
        return midnight + timedelta(days=number)

    def orders_before(self, number: int) -> int:
        """How many orders come before a day; the days differ by one order at most."""
        return self.events * number // self.days


def deliver(folder: Path, sizes: Sizes, say: Callable[[str], None] = print) -> None:
    """Write `customers.parquet` and `orders/<day>.parquet`; days that are there are left alone.

    A file appears under its name when it is whole, so that a broken-off call can be repeated.
    """
    orders = folder / "orders"
    orders.mkdir(parents=True, exist_ok=True)
    scratch = folder / "unfinished.parquet"
    with duckdb.connect() as connection:
        connection.execute("SET preserve_insertion_order = false; SET TimeZone = 'UTC'")
        _write(connection, customers_sql(sizes), folder / "customers.parquet", scratch)
        for number in range(sizes.days):
            if number % 100 == 0:
                say(f"delivering {sizes.events:,} orders: day {number} of {sizes.days}")
            path = orders / f"{sizes.start_of(number):%Y-%m-%d}.parquet"
            _write(connection, orders_sql(sizes, number), path, scratch)


def orders_sql(sizes: Sizes, number: int) -> str:
    """A SELECT of the orders of one day."""
    first, end = sizes.orders_before(number), sizes.orders_before(number + 1)
    random = {
        name: f"(hash({sizes.seed << 34} + number * {len(_VALUES)} + {place}) / {2.0**64})"
        for place, name in enumerate(_VALUES)
    }
    start = int(sizes.start_of(number).timestamp() * 1_000_000)
    selects = [
        _ORDERS.format(
            customers=sizes.customers,
            start=start,
            first=low,
            end=min(end, low + _BATCH),
            **random,
        )
        for low in range(first, end, _BATCH)
    ]
    return " UNION ALL ".join(selects)


def customers_sql(sizes: Sizes) -> str:
    """A SELECT of the customers."""
    return _CUSTOMERS.format(start=FIRST_DAY, seed=sizes.seed, customers=sizes.customers)


def _write(connection: duckdb.DuckDBPyConnection, query: str, path: Path, scratch: Path) -> None:
    if path.exists():
        return
    connection.execute(f"COPY ({query}) TO '{scratch}' (FORMAT parquet, COMPRESSION zstd)")
    scratch.rename(path)
