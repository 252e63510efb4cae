"""A small business whose keys are resolved: its definitions, with files that a test writes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml
from tests.evidence import RULES, day
from tests.till import COMMON, NAME, write

from tagline.settings import PROJECT

TEXT = {"type": "text", "nullable": False, "description": "Made for a test."}
INSTANT = TEXT | {"type": "timestamp"}
TABLES: dict[str, Any] = {
    "customers": {"key": ["customer_id"], "customer": "customer_id", "required": True,
                  "columns": {"customer_id": TEXT, "since_at": INSTANT}},
    "orders": {"key": ["order_id"], "customer": "customer_key", "event_at": "ordered_at",
               "columns": {"order_id": TEXT, "customer_key": TEXT, "ordered_at": INSTANT,
                           "amount": TEXT | {"type": "integer"}}},
}  # fmt: skip
FEEDS = {
    "customers": "SELECT number AS customer_id, since AS since_at, since AS valid_at FROM accounts",
    "orders": "SELECT order_id, customer_key, ordered_at, amount, ordered_at AS valid_at "
    "FROM sales",
    "identity_evidence": "SELECT customer_key, system, kind, value, is_held, valid_at "
    "FROM evidence",
}
FILES: dict[str, dict[str, str]] = {
    "accounts": {"number": "text", "since": "timestamp"},
    "sales": {"order_id": "text", "customer_key": "text", "ordered_at": "timestamp",
              "amount": "integer"},
    "evidence": {"customer_key": "text", "system": "text", "kind": "text", "value": "text",
                 "is_held": "boolean", "valid_at": "timestamp"},
}  # fmt: skip


def define(root: Path, business: str, folder: Path) -> None:
    head = {"name": NAME, "description": "Made for a test."}
    for name, table in TABLES.items():
        write(root / "tables" / f"{name}.yaml", head | table)
    for name in ("identity", "identity_evidence"):
        shutil.copy(PROJECT / f"include/tables/{name}.yaml", root / f"tables/{name}.yaml")
    for name, sql in FEEDS.items():
        path = root / f"sql/sources/office/{name}.sql"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(sql, "utf-8")
    source = {"type": "files", "location": str(folder), "feeds": dict.fromkeys(FEEDS, "snapshot")}
    tables = {name: {"path": f"{name}.csv", "columns": columns} for name, columns in FILES.items()}
    write(root / "sources/office.yaml", head | source | {"tables": tables})
    served = {"currency": "EUR", "identity": "resolved", "sources": ["office"]}
    write(root / f"businesses/{business}.yaml", head | served | {"starts_on": day(0).date()})
    write(root / f"identity/{business}.yaml", RULES)
    write(root / "tags/test/theme.yaml", head | {"dimensions": {"made": NAME}})
    tag = {"kind": "statistic", "type": "integer", "table": "orders", "value": "sum(amount)"}
    write(root / "tags/test/made/amount.yaml", COMMON | tag | {"empty": 0})


def mapped(root: Path, business: str) -> None:
    """Make the evidence of accounts and telephones the map itself, by no rules."""
    (root / f"identity/{business}.yaml").unlink()
    path = root / f"businesses/{business}.yaml"
    write(path, yaml.safe_load(path.read_text("utf-8")) | {"identity": "mapped"})
    sql = (
        "SELECT customer_key, CASE WHEN kind = 'account' THEN value ELSE 'K3' END AS customer_id, "
        "valid_at FROM evidence WHERE kind = 'account' OR customer_key = 'phone:+2'"
    )
    (root / "sql/sources/office/identity.sql").write_text(sql, "utf-8")
    path = root / "sources/office.yaml"
    source = yaml.safe_load(path.read_text("utf-8"))
    source["feeds"]["identity"] = "snapshot"
    write(path, source)
