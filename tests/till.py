"""A till: definitions of a shop with a grade that remembers, its sales, and quick days."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import yaml

from tagline.deployment import Deployment
from tagline.release import release
from tagline.serve.released import files_of

NAME = {"en": "A", "zh": "甲"}
COMMON = {"name": NAME, "description": "Made for a test.", "owner": "crm"}
TABLES: dict[str, Any] = {
    "customers": {
        "key": ["customer_id"],
        "customer": "customer_id",
        "required": True,
        "columns": {"customer_id": "text", "since_at": "timestamp"},
    },
    "orders": {
        "key": ["order_id"],
        "customer": "customer_id",
        "event_at": "ordered_at",
        "required": True,
        "columns": {
            "order_id": "text",
            "customer_id": "text",
            "amount": "integer",
            "ordered_at": "timestamp",
        },
    },
}
SQL = {
    "customers": "SELECT buyer AS customer_id, min(sold_at) AS since_at, "
    "TIMESTAMP '1900-01-01' AS valid_at FROM sales GROUP BY buyer",
    "orders": "SELECT number AS order_id, buyer AS customer_id, amount, sold_at AS ordered_at, "
    "sold_at AS valid_at FROM sales",
}
TAGS: dict[str, dict[str, Any]] = {
    "amount_2d": {
        "kind": "statistic",
        "type": "integer",
        "table": "orders",
        "window": "2 days",
        "value": "sum(amount)",
        "empty": 0,
    },
    "grade": {
        "kind": "rule",
        "type": "text",
        "values": ["good", "plain"],
        "cases": [
            {"when": "amount_2d >= 100", "value": "good", "because": "Bought for {amount_2d}."},
            {
                "when": "previous(grade) = 'good' and amount_2d >= 60",
                "value": "good",
                "because": "Was good, and bought for {amount_2d} still.",
            },
        ],
        "otherwise": {"value": "plain", "because": "Bought for {amount_2d} only."},
        "examples": [
            {
                "as_of": date(2020, 1, 1),
                "tags": {"amount_2d": 70, "previous(grade)": "good"},
                "value": "good",
                "because": "Was good, and bought for 70 still.",
            },
            {"as_of": date(2020, 1, 1), "tags": {"amount_2d": 70}, "value": "plain"},
        ],
    },
    "is_rising": {
        "kind": "rule",
        "type": "boolean",
        "cases": [
            {
                "when": "amount_2d > previous(amount_2d)",
                "value": True,
                "because": "More than it was.",
            }
        ],
        "otherwise": {"value": False, "because": "It did not rise."},
    },
}
FIRST = datetime(2020, 1, 2, tzinfo=UTC)
SALES = {  # amounts of each buyer by day, from 1 January on
    "a": [100, 0, 65, 0, 0, 100],
    "b": [50, 20, 0, 90, 20, 40],
    "c": [0, 0, 30, 80, 10, 55],
}


def write(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), "utf-8")


def define(root: Path, business: str, tags: dict[str, dict[str, Any]] = TAGS) -> None:
    """A project of one shop with one table of sales."""
    described = {
        name: {
            **COMMON,
            **table,
            "columns": {
                column: {"type": kind, "description": "Made for a test."}
                for column, kind in table["columns"].items()
            },
        }
        for name, table in TABLES.items()
    }
    for name, table in described.items():
        write(root / "tables" / f"{name}.yaml", {k: v for k, v in table.items() if k != "owner"})
        (root / "sql" / "sources" / "till").mkdir(parents=True, exist_ok=True)
        (root / "sql" / "sources" / "till" / f"{name}.sql").write_text(SQL[name], "utf-8")
    source = {
        "name": NAME,
        "description": "Made for a test.",
        "type": "files",
        "location": str(root / "in"),
        "feeds": {"customers": "snapshot", "orders": "snapshot"},
        "tables": {
            "sales": {
                "path": "sales.csv",
                "columns": {
                    "number": "text", "buyer": "text", "amount": "integer", "sold_at": "timestamp",
                },
            }
        },
    }  # fmt: skip
    write(root / "sources" / "till.yaml", source)
    shop = {
        "name": NAME,
        "description": "Made for a test.",
        "currency": "EUR",
        "identity": "one_to_one",
        "sources": ["till"],
        "starts_on": date(2020, 1, 1),
    }
    write(root / "businesses" / f"{business}.yaml", shop)
    theme = {"name": NAME, "description": "Made for a test.", "dimensions": {"made": NAME}}
    write(root / "tags" / "test" / "theme.yaml", theme)
    for slug, tag in tags.items():
        write(root / "tags" / "test" / "made" / f"{slug}.yaml", COMMON | tag)


def sell(root: Path, sales: dict[str, list[int]]) -> None:
    lines = ["number,buyer,amount,sold_at"]
    for buyer, amounts in sales.items():
        lines.append(f"{buyer}-0,{buyer},0,2019-12-01 00:00:00")
        for day, amount in enumerate(amounts, start=1):
            lines.append(f"{buyer}-{day},{buyer},{amount},2020-01-{day:02} 12:00:00")
    (root / "in").mkdir(exist_ok=True)
    (root / "in" / "sales.csv").write_text("\n".join(lines) + "\n", "utf-8")


def by_hand(sales: dict[str, list[int]]) -> dict[tuple[str, int], tuple[str, bool]]:
    """Grade and rise of each buyer after each day, worked out in order."""
    found = {}
    for buyer, amounts in sales.items():
        grade, before = "plain", None
        for day, amount in enumerate(amounts):
            total = amount + (amounts[day - 1] if day else 0)
            grade = "good" if total >= (60 if grade == "good" else 100) else "plain"
            found[buyer, day] = grade, before is not None and total > before
            before = total
    return found


@dataclass
class Shop:
    """The deployment, a run of which stands for a day without its validation."""

    deployment: Deployment
    root: Path
    clock: datetime = datetime(2021, 1, 1, tzinfo=UTC)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def run(self, day: int) -> int:
        """Compute and release the day that ends at FIRST plus `day`; the release."""
        from tagline.audit import audit
        from tagline.clean import clean
        from tagline.compute import compute
        from tagline.extract import extract
        from tagline.gate import gate
        from tagline.training.score import score

        self.clock += timedelta(hours=1)
        run, as_of = f"run-{next(self.numbers)}", FIRST + timedelta(days=day)
        self.deployment.registry.start_run(run, as_of, self.clock)
        for stage in (extract, clean, compute, score, audit, gate):
            stage(self.deployment, run, as_of, self.clock)
        return release(self.deployment, run, self.clock).release

    def values(self) -> dict[tuple[str, int], tuple[str, bool]]:
        """Grade and rise of each buyer by day, from the active releases."""
        return {
            (row["customer_id"], (each.as_of - FIRST).days): (row["grade"], row["is_rising"])
            for each in self.deployment.registry.releases()
            if each.status == "active"
            for row in parquet.read_table(list(files_of(each))).to_pylist()
        }

    def read(self, number: int) -> int | None:
        """The release that the run of a release read as the one before it."""
        registry = self.deployment.registry
        run = next(each.run_id for each in registry.releases() if each.id == number)
        read: int | None = registry.stage(run, "compute")["previous"]["release"]
        return read
