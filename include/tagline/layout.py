"""The layout of clean tables: rows of a customer lie in the files of the customer's bucket.

The bucket of a customer key is the number that the first four hexadecimal digits of the md5 of
its UTF-8 text write, modulo the number of buckets. Rows are laid out by DuckDB, when they are
cleaned; Spark reads the column. All rows of a table without a customer column lie in bucket 0.
"""

from __future__ import annotations

from collections.abc import Mapping

from tagline.definitions import TableDefinition
from tagline.engines import identifier

BUCKET = "customer_bucket"
LAID_OUT_IN = "tagline.customer-buckets"  # a table's property: the number of its buckets
_DIGITS = 4


def bucket_sql(key: str, buckets: int) -> str:
    """SQL of the bucket of a customer key, 0 without a key.

    >>> bucket_sql("k", 1)
    'CAST(0 AS BIGINT)'
    """
    if buckets == 1:
        return "CAST(0 AS BIGINT)"
    value = "0"
    for place in range(1, _DIGITS + 1):
        digit = f"strpos('123456789abcdef', substr(md5(CAST({key} AS VARCHAR)), {place}, 1))"
        value = f"({value} * 16 + {digit})"
    return f"coalesce(CAST({value} % {buckets} AS BIGINT), 0)"


def row_bucket_sql(table: TableDefinition, buckets: int) -> str:
    """SQL of the bucket of a row of a stored table."""
    if table.customer is None:
        return bucket_sql("", 1)
    return bucket_sql(identifier(table.customer), buckets)


def layout_properties(buckets: int) -> Mapping[str, str]:
    """The properties of a table that lies in so many buckets."""
    return {LAID_OUT_IN: str(buckets)}
