"""Who is who in a crane world: the table identity, as the business's rules resolve its evidence."""

from __future__ import annotations

import duckdb
import pyarrow
import pyarrow.parquet as parquet
from tests.crane_world import CraneWorld
from tests.evidence import EVIDENCE, Resolved

_BEGINNING = "TIMESTAMPTZ '1900-01-01 00:00:00+00'"
_CHANGES = pyarrow.schema(
    [
        *((name, pyarrow.string()) for name in ("customer_key", "customer_id", "rule")),
        ("valid_at", pyarrow.timestamp("us", tz="UTC")),
    ]
)


def resolve_identity(world: CraneWorld) -> None:
    """Write the versions of identity into the world's tables, as the stage resolve would."""
    rules = world.catalog.identity
    assert rules is not None, "the business resolves its identity"
    tables = world.folder / "tables"
    columns = ", ".join(EVIDENCE.names[:-1])
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        evidence = connection.sql(
            f"SELECT {columns}, NULL::TIMESTAMPTZ AS ended_at "
            f"FROM '{tables}/identity_evidence.parquet'"
        ).to_arrow_table()
        rows = [
            {
                "customer_key": change.key,
                "customer_id": change.link.customer_id if change.link else None,
                "rule": change.link.rule if change.link else None,
                "valid_at": change.start,
            }
            for change in Resolved(evidence, rules).changes
        ]
        made = pyarrow.table(
            [[row[name] for row in rows] for name in _CHANGES.names], schema=_CHANGES
        )
        connection.register("changes", made)
        versions = (
            f"SELECT *, NULL::VARCHAR AS evidence, NULL::VARCHAR AS linked_key, "
            f"{_BEGINNING} AS loaded_at FROM changes"
        )
        ended = (
            "SELECT customer_key, valid_at, loaded_at, "
            "lead(valid_at) OVER (PARTITION BY customer_key ORDER BY valid_at) AS until_at, "
            f"{_BEGINNING} AS recorded_at FROM ({versions}) QUALIFY until_at IS NOT NULL"
        )
        for name, sql in (("identity", versions), ("identity__superseded", ended)):
            parquet.write_table(connection.sql(sql).to_arrow_table(), tables / f"{name}.parquet")
