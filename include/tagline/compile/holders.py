"""Who held a thing and when: the versions of a referenced table, each with its end."""

from __future__ import annotations

from tagline.compile.instant import instant
from tagline.compile.rows import Rows
from tagline.references import Holder


def read_holder(rows: Rows, holder: Holder, ctes: dict[str, str]) -> str:
    """Add the query of a holder's versions to `ctes`; its name.

    One row per version: the referenced key, `valid_at`, `until_at` (exclusive, never null) and
    the customer_id who held it in between. Versions as of later than the moment are not seen,
    nor are retracted ones: they end where they begin.
    """
    moment, catalog = rows.moment, rows.moment.catalog
    table = catalog.tables[holder.table]
    key, column, as_of = table.key[0], holder.column, instant(moment.as_of)
    rows.keep(holder.table, (key, column))
    known = f"\n    AND r.loaded_at <= {instant(moment.known_at)}" if moment.known_at else ""
    customer, joins = f'CAST(r."{column}" AS VARCHAR)', ""
    if column != "customer_id" and catalog.definition.identity != "one_to_one":
        identity = rows.read("identity", ("customer_key", "customer_id"))
        customer = "i.customer_id"
        joins = f'\n  LEFT JOIN {identity} AS i ON i.customer_key = r."{column}"'
    until = as_of
    if rows.reads_superseded(holder.table):
        recorded = f" WHERE recorded_at <= {instant(moment.known_at)}" if moment.known_at else ""
        until = f"COALESCE(s.until_at, {as_of})"
        joins += (
            f'\n  LEFT JOIN (SELECT "{key}", valid_at, loaded_at, MIN(until_at) AS until_at\n'
            f'    FROM {holder.table}__superseded{recorded} GROUP BY "{key}", valid_at, loaded_at'
            f') AS s\n    ON s."{key}" = r."{key}" AND s.valid_at = r.valid_at '
            "AND s.loaded_at = r.loaded_at"
        )
    ctes[holder.name] = (
        f'SELECT r."{key}", r.valid_at, {until} AS until_at, {customer} AS customer_id\n'
        f"  FROM {holder.table} AS r{joins}\n  WHERE r.valid_at < {as_of}{known}"
    )
    return holder.name
