"""The tables of what nobody in the company knows; written for tests only."""

from __future__ import annotations

from examples.crane_works.tables import Table

TRUE_CUSTOMERS = Table(
    "truth",
    "customers",
    {
        "customer": "text",
        "since_on": "date",
        "morale": "number",
        "growth": "number",
        "discipline": "number",
        "base_dissatisfaction": "number",
    },
)
TRUE_MONTHS = Table(
    "truth",
    "customer_months",
    {
        "customer": "text",
        "month": "date",
        "activity": "number",
        "dissatisfaction": "number",
        "intent": "number",
    },
)
TRUE_IDENTITIES = Table(
    "truth",
    "identities",
    {
        "system": "text",
        "source_key": "text",
        "customer": "text",
        "held_from": "local",
        "held_until": "local",
    },
)
TRUE_OPPORTUNITIES = Table(
    "truth",
    "opportunities",
    {
        "opportunity_no": "text",
        "customer": "text",
        "win_probability": "number",
        "wins": "boolean",
        "closes_at": "local",
    },
)
TRUE_MACHINES = Table(
    "truth",
    "machines",
    {
        "serial_no": "text",
        "frailty": "number",
        "failure_count": "integer",
        "failures_expected": "number",
        "scrapped_on": "date",
    },
)
TRUE_OWNERS = Table(
    "truth",
    "machine_owners",
    {
        "serial_no": "text",
        "customer": "text",
        "owned_from": "date",
    },
)
TRUE_FAULTS = Table(
    "truth",
    "faults",
    {
        "place": "text",
        "source_key": "text",
        "kind": "text",
        "true_value": "text",
        "happened_at": "local",
    },
)
TRUTH = (
    *(TRUE_CUSTOMERS, TRUE_MONTHS, TRUE_IDENTITIES, TRUE_OPPORTUNITIES, TRUE_MACHINES),
    *(TRUE_OWNERS, TRUE_FAULTS),
)
