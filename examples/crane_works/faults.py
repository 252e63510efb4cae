"""What was spoilt on the way into the systems, with the true value: for tests only."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from examples.crane_works.parameters import Array
from examples.crane_works.tables import Table
from examples.crane_works.truth import TRUE_FAULTS


def spoilt(
    table: Table, kind: str, which: Array, key: Any, true_value: Any, happened: Array
) -> pa.Table:
    """The faults of one kind, where `which`; the key and the true value are texts of all rows."""
    at = np.flatnonzero(which)
    place = pa.array(at)
    truth = true_value
    if isinstance(truth, pa.Array):
        truth = truth.take(place)
    elif truth is not None:
        truth = pa.array(np.round(np.asarray(truth, np.float64)[at], 3)).cast(pa.string())
    return TRUE_FAULTS.rows(
        np.zeros(len(at)),
        {
            "place": table.path,
            "source_key": key.take(place),
            "kind": kind,
            "true_value": truth,
            "happened_at": np.asarray(happened)[at],
        },
    )
