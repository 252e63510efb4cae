"""The tables of the company's systems, each with its system's habits, and rows in them.

A row is added with the instant at which it stood in its system; a later row of the same key
replaces it from then on, and one that is `gone` removes it. `state` is what a reader of the system
sees at an instant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from examples.crane_works.parameters import Array

UTC_OFFSET = 8 / 24  # Shanghai has had no summer time since 1991
SECONDS = 86_400
AT, GONE = "_at", "_gone"

# What a column holds -> how it is stored. Times are given as local day numbers with fractions.
STORED: dict[str, tuple[pa.DataType, str]] = {
    "text": (pa.string(), "text"),
    "integer": (pa.int64(), "bigint"),
    "number": (pa.float64(), "double precision"),
    "money": (pa.float64(), "double precision"),
    "boolean": (pa.bool_(), "boolean"),
    "local": (pa.timestamp("us"), "timestamp"),  # local time without a zone
    "instant": (pa.timestamp("us", "UTC"), "timestamptz"),
    "epoch": (pa.int64(), "bigint"),  # seconds
    "date": (pa.date32(), "date"),
    "compact_date": (pa.string(), "text"),  # 20240131
    "slashed_date": (pa.string(), "text"),  # 2024/01/31
}


@dataclass(frozen=True)
class Table:
    """A table of a system. Without a key, rows are only ever added."""

    system: str
    name: str
    columns: Mapping[str, str]
    key: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """system.table"""
        return f"{self.system}.{self.name}"

    @property
    def schema(self) -> pa.Schema:
        """The columns as they are stored."""
        return pa.schema([(name, STORED[kind][0]) for name, kind in self.columns.items()])

    def rows(self, at: Array, columns: Mapping[str, Any], gone: Any = False) -> pa.Table:
        """Rows that stand in the system from `at`; a column may be one value for all of them.

        Raises ValueError where the columns are not those of the table.
        """
        if set(columns) != set(self.columns):
            odd = sorted(set(columns) ^ set(self.columns))
            raise ValueError(f"{self.path}: columns missing or unknown: {', '.join(odd)}")
        arrays = [stored(columns[name], kind, len(at)) for name, kind in self.columns.items()]
        arrays += [pa.array(at, pa.float64()), pa.array(np.broadcast_to(gone, len(at)), pa.bool_())]
        return pa.table(arrays, names=[*self.columns, AT, GONE])


def stored(values: Any, kind: str, count: int) -> pa.Array:
    """The values as a column of this kind; NaN is null."""
    if kind == "text":
        if isinstance(values, str) or values is None:
            return pa.repeat(pa.scalar(values, pa.string()), count)
        return values if isinstance(values, pa.Array) else pa.array(values, pa.string())
    if kind == "boolean":
        return pa.array(np.broadcast_to(values, count), pa.bool_())
    numbers = np.broadcast_to(np.asarray(values, np.float64), count)
    missing = np.isnan(numbers)
    numbers = np.where(missing, 0, numbers)
    if kind in ("number", "money"):
        return pa.array(np.round(numbers, 2 if kind == "money" else 3), mask=missing)
    if kind == "integer":
        return pa.array(np.rint(numbers).astype(np.int64), mask=missing)
    if kind in ("date", "compact_date", "slashed_date"):
        days = pa.array(np.floor(numbers).astype(np.int32), pa.date32(), mask=missing)
        shape = {"compact_date": "%Y%m%d", "slashed_date": "%Y/%m/%d"}
        return days if kind == "date" else pc.strftime(days, shape[kind])
    seconds = np.floor((numbers - (0 if kind == "local" else UTC_OFFSET)) * SECONDS + 1e-4)
    if kind == "epoch":
        return pa.array(seconds.astype(np.int64), mask=missing)
    return pa.array((seconds * 1e6).astype(np.int64), STORED[kind][0], mask=missing)


def state(table: Table, rows: pa.Table, until: float) -> pa.Table:
    """What stands in the table at the local day number `until`, without what came later."""
    rows = rows.filter(pc.less(rows[AT], until))
    if table.key:
        order = pc.sort_indices(rows[AT].combine_chunks())  # stable
        rows = rows.take(order).append_column("_row", pa.array(np.arange(rows.num_rows)))
        last = rows.group_by(list(table.key), use_threads=False).aggregate([("_row", "max")])
        rows = rows.take(pa.array(np.sort(last["_row_max"].to_numpy())))
    return rows.filter(pc.invert(rows[GONE])).select(list(table.columns))


def numbered(prefix: str, numbers: Array, width: int) -> pa.Array:
    """Identifiers such as K-0000012."""
    digits = pa.array(np.asarray(numbers, np.int64)).cast(pa.string())
    return joined(prefix, pc.utf8_lpad(digits, width, "0"))


def joined(*parts: Any) -> pa.Array:
    """Texts put together row by row; a part may be one text for all of them."""
    return pc.binary_join_element_wise(*parts, "")


def chosen(words: Any, index: Array) -> pa.Array:
    """The words at these places."""
    return pa.array(words, pa.string()).take(pa.array(np.asarray(index, np.int64)))


def where(condition: Array, then: Any, otherwise: Any) -> pa.Array:
    """Texts of two columns (or texts), row by row; None is null."""
    sides = [
        pa.scalar(each, pa.string()) if isinstance(each, str) or each is None else each
        for each in (then, otherwise)
    ]
    return pc.if_else(pa.array(np.asarray(condition, bool)), *sides)
