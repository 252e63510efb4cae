"""Panels of customers made up from known probabilities, and a model file over them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from tagline.definitions.models import BinaryModel
from tagline.definitions.types import DataType
from tagline.training.panels import Panel

FEATURES = {
    "recency_days": DataType.INTEGER,
    "order_amount": DataType.NUMBER,
    "has_card": DataType.BOOLEAN,
    "region": DataType.TEXT,
}
HOLDOUT = datetime(2017, 11, 1, tzinfo=UTC)


def definition(**gate: Any) -> BinaryModel:
    """A model file with these limits of its gate."""
    limits = {"min_roc_auc": 0.7, "max_calibration_error": 0.05, **gate}
    return BinaryModel.model_validate(
        {
            "name": {"en": "Lapse", "zh": "流失"},
            "description": "Made up.",
            "owner": "crm",
            "task": "binary",
            "population": "recency_days <= 60",
            "label": "lapsed",
            "horizon": "60 days",
            "features": list(FEATURES),
            "rule": {"tag": "recency_days", "high_means": "positive"},
            "candidates": ["logistic_regression"],
            "panels": {"count": 4, "every": "60 days"},
            "gate": limits,
        }
    )


def panel(seed: int, rows: int = 2000) -> Panel:
    """Customers whose lapse depends on recency a little, and on amount, card and region more."""
    random = np.random.default_rng(seed)
    recency = random.integers(0, 60, rows).astype(float)
    amount = random.lognormal(3, 1.2, rows)
    card = random.random(rows) < 0.5
    region = random.choice(["north", "south", "west"], rows)
    odds = -1 + 0.02 * recency - 0.9 * (np.log(amount) - 3) - 1.2 * card + 1.0 * (region == "south")
    label = (random.random(rows) < 1 / (1 + np.exp(-odds))).astype(float)
    amount[random.random(rows) < 0.1] = np.nan
    frame = pd.DataFrame(
        {
            "recency_days": recency,
            "order_amount": amount,
            "has_card": pd.Series(np.where(card, "true", "false"), dtype=object),
            "region": pd.Series(
                [
                    None if missing else name
                    for name, missing in zip(region, recency < 2, strict=True)
                ],
                dtype=object,
            ),
        }
    )
    customers = np.array([f"c{number:05d}" for number in range(rows)], dtype=object)
    return Panel(HOLDOUT, customers, frame, label)


def with_labels(one: Panel, label: Any) -> Panel:
    """The same customers, to whom other things happened."""
    return replace(one, label=np.asarray(label, dtype=float))
