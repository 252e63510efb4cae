"""CDNOW: purchases of an online music shop's new customers of early 1997, the published reference.

The files are not part of the project: they lie in `../shared/data/cdnow` beside it, or in the
folder that TAGLINE_CDNOW_DATA names.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tagline.settings import PROJECT

FOLDER = Path(os.environ.get("TAGLINE_CDNOW_DATA", PROJECT.parent / "shared" / "data" / "cdnow"))
CALIBRATION_END = pd.Timestamp(1997, 9, 30)
HOLDOUT_WEEKS = 39

needs_cdnow = pytest.mark.skipif(
    not (FOLDER / "CDNOW_master.txt.gz").is_file(),
    reason="no CDNOW_master.txt.gz in ../shared/data/cdnow",
)


@dataclass(frozen=True)
class Shop:
    """Histories (frequency, recency, age) in weeks at the end of calibration, and what came."""

    histories: np.ndarray[Any, np.dtype[np.float64]]
    bought: np.ndarray[Any, np.dtype[np.float64]]  # purchase days in the 39 weeks that followed


def read_shop(part: str) -> Shop:
    """The shop's customers: `sample`, one in ten, or `master`, all."""
    columns = ["customer", "date", "discs", "amount"]
    if part == "sample":
        columns.insert(0, "customer of master")
    purchases = pd.read_csv(
        FOLDER / f"CDNOW_{part}.txt.gz",
        sep=r"\s+",
        header=0 if part == "master" else None,
        names=columns,
        dtype=str,
    )
    purchases["date"] = pd.to_datetime(purchases["date"], format="%Y%m%d")
    days = purchases.drop_duplicates(["customer", "date"])
    known = days[days["date"] <= CALIBRATION_END].groupby("customer")["date"]
    seen = known.agg(["min", "max", "size"])
    histories = np.column_stack(
        [
            seen["size"] - 1,
            (seen["max"] - seen["min"]).dt.days / 7,
            (CALIBRATION_END - seen["min"]).dt.days / 7,
        ]
    ).astype(float)
    later = days[days["date"] > CALIBRATION_END].groupby("customer").size()
    bought = later.reindex(seen.index).fillna(0)
    return Shop(histories, np.asarray(bought, dtype=float))
