"""The size, the time and the dirt of a simulated company."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
BLOCK_CUSTOMERS = 1_000  # drawn together; what is in memory at once
EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Dirt:
    """Shares of what goes wrong in the systems; each is of the rows that it may befall."""

    duplicate_accounts: float = 0.04
    merged_duplicates: float = 0.6
    wrong_merges: float = 0.006
    namesakes: float = 0.01
    tax_number_missing: float = 0.08
    tax_number_typo: float = 0.01
    amount_in_ten_thousands: float = 0.004
    amount_typo: float = 0.02  # corrected within two weeks
    misbooked_payments: float = 0.005  # reversed, and booked again
    rescheduled_instalments: float = 0.01
    deleted_opportunities: float = 0.02
    serial_missing: float = 0.1
    serial_typo: float = 0.02
    closed_before_opened: float = 0.003
    cancelled_work_orders: float = 0.01  # vanish from the table
    unrecorded_resales: float = 0.2  # of the resales
    swapped_devices: float = 0.03
    late_readings: float = 0.03
    lost_readings: float = 0.01
    duplicate_readings: float = 0.004
    impossible_hours: float = 0.001
    negative_hours: float = 0.0005
    wrong_clock: float = 0.0002
    minutes_for_hours: float = 0.002  # of the machine months
    stuck_load: float = 0.004  # of the machine months
    fuel_unit_missing: float = 0.01  # of the readings in gallons


@dataclass(frozen=True)
class Parameters:
    """What is simulated. `start` is local midnight in Shanghai, as are all days."""

    seed: int = 7
    customers: int = 2_000
    machines: int = 5_000
    start: date = date(2023, 1, 1)
    years: int = 3
    dirt: Dirt = field(default_factory=Dirt)

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated, naming the parameter."""
        if self.customers < 20:
            raise ValueError(f"customers is {self.customers}; use at least 20")
        if self.machines < self.customers:
            raise ValueError(f"machines is {self.machines}; use at least one for each customer")
        if not 1 <= self.years <= 20:
            raise ValueError(f"years is {self.years}; use 1 to 20")
        if self.start.day != 1:
            raise ValueError(f"start is {self.start}; use the first of a month")

    @cached_property
    def month_starts(self) -> Array:
        """Day numbers of the first of each month and, at last, of the end."""
        months = np.datetime64(self.start, "M") + np.arange(self.years * 12 + 1)
        return months.astype("datetime64[D]").astype(np.float64)

    @property
    def first_day(self) -> float:
        """The day number of `start`; days are counted from 1970-01-01, local time."""
        return float(self.month_starts[0])

    @property
    def end_day(self) -> float:
        """The day number of the end, itself outside."""
        return float(self.month_starts[-1])

    @property
    def months(self) -> int:
        """Months from start to end."""
        return self.years * 12

    @property
    def blocks(self) -> int:
        """How many blocks of customers there are."""
        return -(-self.customers // BLOCK_CUSTOMERS)

    def customers_of(self, block: int) -> range:
        """The numbers of the block's customers."""
        start = block * BLOCK_CUSTOMERS
        return range(start, min(start + BLOCK_CUSTOMERS, self.customers))

    def machines_of(self, block: int) -> range:
        """The numbers of the block's machines, in proportion to its customers."""
        numbers = self.customers_of(block)
        first, last = (
            round(self.machines * each / self.customers) for each in (numbers.start, numbers.stop)
        )
        return range(first, last)

    def generator(self, topic: str, *numbers: int) -> np.random.Generator:
        """The chance of one topic in one block: a change in one topic shifts no other."""
        return np.random.default_rng([self.seed, zlib.crc32(topic.encode()), *numbers])


def day_number(day: date) -> float:
    """Days since 1970-01-01."""
    return float((day - EPOCH).days)


def rows_and_columns(counts: Array) -> tuple[Array, Array]:
    """Of a table of counts: the row and the column of each one that is counted."""
    row, column = np.indices(counts.shape).reshape(2, -1)
    return np.repeat(row, counts.ravel()), np.repeat(column, counts.ravel())
