"""Rows of the crane maker's office, written by hand: instants, and versions in order."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")


def at(month: int, day: int, hour: int = 0, second: int = 0) -> datetime:
    """An instant of 2025 by Shanghai's clock."""
    return datetime(2025, month, day, hour, 0, second, tzinfo=SHANGHAI).astimezone(UTC)


def in_order(rows: Iterable[dict[str, Any]], *columns: str) -> list[tuple[Any, ...]]:
    """The versions by valid_at, these columns of each."""
    return [
        tuple(row[column] for column in columns)
        for row in sorted(rows, key=lambda row: row["valid_at"])
    ]


MODEL = {
    "model_code": "TC25",
    "kind": "truck",
    "tonnes": 25,
    "list_price_cny": 880_000.0,
    "replacement_years": 8,
    "maintenance_hours": 250,
}
MACHINE = {
    "serial_no": "S1",
    "model_code": "TC25",
    "built_on": "20250102",
    "plant": "P1",
    "standard_cost": 600_000.0,
    "warranty_months": 24,
}
NOTE = {
    "delivery_note": "L1",
    "serial_no": "S1",
    "debtor_no": "2001",
    "contract_no": "HT-1",
    "delivered_on": "20250110",
}
OWNERS = [
    {"serial_no": "S1", "account_no": "K-1", "owned_from": date(2025, 1, 10), "how": "new"},
    {
        "serial_no": "S1",
        "account_no": "K-2",
        "owned_from": date(2025, 3, 1),
        "how": "second_hand",
    },
]
BACK = {
    "return_no": "T",
    "serial_no": "S1",
    "account_no": "K-2",
    "returned_on": date(2025, 6, 1),
}


def opportunity(**given: Any) -> dict[str, Any]:
    return {
        "opportunity_no": "OP-1",
        "account_no": "K-1",
        "model_code": "TC25",
        "quantity": 2,
        "amount_cny": 1_700_000.0,
        "discount_pct": 3.5,
        "competitor": "XC",
        "stage": "quoted",
        "win_pct": 50,
        "expected_close_on": date(2025, 5, 1),
        "sales_rep": "REP1",
        "created_at": at(1, 1),
        "updated_at": at(3, 1),
        "is_deleted": False,
        **given,
    }
