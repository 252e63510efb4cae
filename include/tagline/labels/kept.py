"""The answers that were handed in before, from the files of the receiving source."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

COLUMNS = (
    "label_id", "customer_key", "label_set", "value", "judged_by", "judged_at", "about_at"
)  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """One person's answer of one customer; an empty `value` takes the earlier one back."""

    customer_key: str
    value: str
    judged_by: str
    judged_at: datetime
    about_at: datetime | None

    @property
    def said(self) -> tuple[object, ...]:
        """What was answered, whenever: an answer that says the same was handed in before."""
        return self.customer_key, self.value, self.judged_by, self.about_at


def kept_answers(folder: Path, label_set: str) -> list[Answer]:
    """All answers of a label set in the files of a folder, the oldest first."""
    found: list[Answer] = []
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["label_set"] != label_set:
                    continue
                about_at = datetime.fromisoformat(row["about_at"]) if row["about_at"] else None
                judged_at = datetime.fromisoformat(row["judged_at"])
                found.append(
                    Answer(row["customer_key"], row["value"], row["judged_by"], judged_at, about_at)
                )
    return sorted(found, key=lambda one: one.judged_at)
