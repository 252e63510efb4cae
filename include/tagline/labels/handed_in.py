"""A CSV file of answers, checked row by row against its label set and what was answered before."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tagline.definitions.label_set import WITHDRAW
from tagline.errors import did_you_mean
from tagline.labels.annotators import other_spelling
from tagline.labels.judged import JudgementsRefused
from tagline.labels.kept import Answer

if TYPE_CHECKING:
    from tagline.catalog import Catalog

_SHOWN = 20  # faults of one file


@dataclass(frozen=True)
class Answered:
    """What a file answers; `new` are the rows to be delivered, the others were handed in before.

    `overtaken` are those of the others whose person has since answered otherwise.
    """

    rows: int
    new: tuple[Mapping[str, str], ...]
    overtaken: int
    unanswered: int


@dataclass(frozen=True)
class Sheet:
    """What a file of answers is checked against.

    `customers` are the known customers by their keys, `kept` the answers handed in before, the
    oldest first. Rows without `judged_by` are by `judged_by`; those without `judged_at` were
    judged at `given_at`, or at `at`, which is now, where they speak of or follow a later instant.
    """

    catalog: Catalog
    label_set: str
    customers: Mapping[str, str]
    kept: Sequence[Answer]
    at: datetime
    given_at: datetime
    judged_by: str | None = None

    def read(self, path: Path) -> Answered:
        """The answers of a file; JudgementsRefused names the lines that have a fault."""
        reading = _Reading(self)
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.DictReader(file)
                self._require_columns(path, reader.fieldnames or ())
                for row in reader:
                    cells = {name: (text or "").strip() for name, text in row.items() if name}
                    reading.take(reader.line_num, cells)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise JudgementsRefused(f"{path} cannot be read as CSV in UTF-8: {error}") from error
        if faults := reading.faults:
            more = f"\nand {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
            raise JudgementsRefused(
                f"{path.name} is not taken in:\n" + "\n".join(faults[:_SHOWN]) + more
            )
        return Answered(reading.rows, tuple(reading.new), reading.overtaken, reading.unanswered)

    def _require_columns(self, path: Path, found: Collection[str]) -> None:
        for name in ("customer_key", "value"):
            if name not in found:
                close = did_you_mean(name, found)
                raise JudgementsRefused(f"{path.name} has no column {name!r}.{close}")

    def answer(self, cells: Mapping[str, str], annotators: Collection[str]) -> Answer:
        """The answer of a row; ValueError says what is wrong with it."""
        definition = self.catalog.label_set(self.label_set)
        if cells.get("label_set") not in (None, "", self.label_set):
            raise ValueError(f"is of label set {cells['label_set']!r}, not {self.label_set!r}")
        key, value = cells.get("customer_key", ""), cells["value"]
        if key not in self.customers:
            raise ValueError(f"no customer has the key {key!r}")
        if value not in (*definition.values, WITHDRAW):
            close = did_you_mean(value, definition.values)
            raise ValueError(f"{value!r} is no value of {self.label_set}.{close}")
        judged_by = cells.get("judged_by") or (self.judged_by or "").strip()
        if not judged_by:
            raise ValueError("says not who judged: fill in judged_by, or give --by")
        if other_spelling(judged_by, annotators) is not None:
            close = did_you_mean(judged_by, (str(other_spelling(judged_by, annotators)),))
            raise ValueError(f"annotator {judged_by!r} is known in another spelling.{close}")
        about_at = self._instant(cells.get("about_at", ""), "about_at")
        judged_at = self._instant(cells.get("judged_at", ""), "judged_at")
        if judged_at is None:
            later = about_at is not None and about_at > self.given_at
            judged_at = self.at if later else self.given_at
        if judged_at > self.at:
            raise ValueError(f"judged_at {judged_at.isoformat()} lies in the future")
        if definition.speaks_of == "asked":
            if about_at is None:
                raise ValueError("about_at is empty: which instant does the answer speak of?")
            if about_at > judged_at:
                raise ValueError(f"about_at {about_at.isoformat()} is after it was judged")
        said = "" if value == WITHDRAW else value
        return Answer(key, said, judged_by, judged_at, about_at)

    def subject(self, answer: Answer) -> tuple[object, ...]:
        """Of whom, by whom and of which instant: of these the newest answer counts."""
        asked = self.catalog.label_set(self.label_set).speaks_of == "asked"
        customer = self.customers.get(answer.customer_key, answer.customer_key)
        return customer, answer.judged_by, answer.about_at if asked else None

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


class _Reading:
    """One pass over the rows of a file: what they come to, and the faults found so far."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        self.rows = self.overtaken = self.unanswered = 0
        self.new: list[Mapping[str, str]] = []
        self.faults: list[str] = []
        definition = sheet.catalog.label_set(sheet.label_set)
        self._annotators = {*definition.adjudicators, *(one.judged_by for one in sheet.kept)}
        self._said = {one.said for one in sheet.kept}
        self._newest = {sheet.subject(one): one for one in sheet.kept}
        self._at_instant = {  # value, and where it was read
            (sheet.subject(one), one.judged_at): (one.value, "an answer handed in before")
            for one in sheet.kept
        }

    def take(self, line: int, cells: Mapping[str, str]) -> None:
        """Take in one row, which ends on this line of the file."""
        if not cells.get("value"):
            self.unanswered += 1
            return
        try:
            self._take(line, self.sheet.answer(cells, self._annotators), cells)
        except ValueError as error:
            self.faults.append(f"line {line}: {error}")
        self.rows += 1

    def _take(self, line: int, answer: Answer, cells: Mapping[str, str]) -> None:
        self._annotators.add(answer.judged_by)
        subject, dated = self.sheet.subject(answer), bool(cells.get("judged_at"))
        newest = self._newest.get(subject)
        if newest is not None and not dated:
            if answer.said in self._said:
                self.overtaken += newest.value != answer.value
                return
            if newest.judged_at >= answer.judged_at:  # or the later answer would not be the newest
                answer = replace(answer, judged_at=self.sheet.at)
        value, place = self._at_instant.setdefault(
            (subject, answer.judged_at), (answer.value, f"line {line}")
        )
        if value != answer.value:
            raise ValueError(
                f"{answer.judged_by!r} answers {cells['customer_key']!r} otherwise in {place}, at "
                "the same instant: keep one, or give judged_at with a time of day"
            )
        if place == f"line {line}":
            self.new.append(self._row(answer, dated))

    def _row(self, answer: Answer, dated: bool) -> dict[str, str]:
        label_set = self.sheet.label_set
        instant = answer.judged_at if dated else ""
        return {
            "label_id": _identifier(label_set, *answer.said, instant),
            "customer_key": answer.customer_key,
            "label_set": label_set,
            "value": answer.value,
            "judged_by": answer.judged_by,
            "judged_at": answer.judged_at.isoformat(),
            "about_at": answer.about_at.isoformat() if answer.about_at else "",
        }


def _identifier(*parts: object) -> str:
    """The same answer has the same id, so that a file may be handed in twice."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:24]
