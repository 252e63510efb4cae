"""A CSV file of answers, checked row by row against its label set."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tagline.errors import did_you_mean
from tagline.labels.judged import JudgementsRefused

if TYPE_CHECKING:
    from tagline.catalog import Catalog

WITHDRAW = "withdraw"  # written in place of a value, takes that person's earlier answer back
COLUMNS = (
    "label_id", "customer_key", "label_set", "value", "judged_by", "judged_at", "about_at"
)  # fmt: skip
_SHOWN = 20  # faults of one file


@dataclass(frozen=True)
class Answered:
    """The rows of a file as they are delivered, and how many of its questions have no answer."""

    rows: tuple[Mapping[str, str], ...]
    unanswered: int


@dataclass(frozen=True)
class Sheet:
    """What a file of answers is checked against.

    `keys` are the customers' keys that are known; rows without `judged_by` or `judged_at` are by
    `judged_by`, judged at `at`.
    """

    catalog: Catalog
    label_set: str
    keys: Collection[str]
    at: datetime
    judged_by: str | None = None

    def read(self, path: Path) -> Answered:
        """The answers of a file; JudgementsRefused names every line that has a fault."""
        faults: list[str] = []
        rows: list[Mapping[str, str]] = []
        unanswered = 0
        try:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            with path.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.DictReader(file)
                self._require_columns(path, reader.fieldnames or ())
                for number, row in enumerate(reader, start=2):
                    cells = {name: (text or "").strip() for name, text in row.items() if name}
                    if not cells.get("value"):
                        unanswered += 1
                        continue
                    try:
                        rows.append(self._row(cells, digest))
                    except ValueError as error:
                        faults.append(f"line {number}: {error}")
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise JudgementsRefused(f"{path} cannot be read as CSV in UTF-8: {error}") from error
        if faults:
            more = f"\nand {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
            raise JudgementsRefused(
                f"{path.name} is not taken in:\n" + "\n".join(faults[:_SHOWN]) + more
            )
        return Answered(tuple(rows), unanswered)

    def _require_columns(self, path: Path, found: Collection[str]) -> None:
        for name in ("customer_key", "value"):
            if name not in found:
                close = did_you_mean(name, found)
                raise JudgementsRefused(f"{path.name} has no column {name!r}.{close}")

    def _row(self, cells: Mapping[str, str], digest: str) -> dict[str, str]:
        definition = self.catalog.label_set(self.label_set)
        if cells.get("label_set") not in (None, "", self.label_set):
            raise ValueError(f"is of label set {cells['label_set']!r}, not {self.label_set!r}")
        key, value = cells.get("customer_key", ""), cells["value"]
        if key not in self.keys:
            raise ValueError(f"no customer has the key {key!r}")
        if value not in (*definition.values, WITHDRAW):
            close = did_you_mean(value, definition.values)
            raise ValueError(f"{value!r} is no value of {self.label_set}.{close}")
        judged_by = cells.get("judged_by") or self.judged_by
        if not judged_by:
            raise ValueError("says not who judged: fill in judged_by, or give --by")
        judged_at = self._instant(cells.get("judged_at", ""), "judged_at") or self.at
        about_at = self._instant(cells.get("about_at", ""), "about_at")
        if judged_at > self.at:
            raise ValueError(f"judged_at {judged_at.isoformat()} lies in the future")
        if definition.speaks_of == "asked":
            if about_at is None:
                raise ValueError("about_at is empty: which instant does the answer speak of?")
            if about_at > judged_at:
                raise ValueError(f"about_at {about_at.isoformat()} is after it was judged")
        when = judged_at if cells.get("judged_at") else digest
        return {
            "label_id": _identifier(self.label_set, key, judged_by, value, when, about_at),
            "customer_key": key,
            "label_set": self.label_set,
            "value": "" if value == WITHDRAW else value,
            "judged_by": judged_by,
            "judged_at": judged_at.isoformat(),
            "about_at": about_at.isoformat() if about_at else "",
        }

    def _instant(self, text: str, column: str) -> datetime | None:
        """A day as its midnight in the business, or an instant; None where nothing is written."""
        if not text:
            return None
        try:
            return self.catalog.midnight(date.fromisoformat(text))
        except ValueError:
            pass
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(
                f"{column} {text!r} is neither a day such as 2017-12-01 nor an instant such as "
                "2017-12-01T06:00:00+00:00"
            ) from None
        return (found if found.tzinfo else found.replace(tzinfo=self.catalog.zone)).astimezone(UTC)


def _identifier(*parts: object) -> str:
    """The same answer has the same id, so that a file may be handed in twice."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:24]
