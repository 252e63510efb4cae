"""Which derived tables can be made bucket by bucket: those that join and group by the customer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tagline.compile.apart import keeps_customers_apart
from tagline.sqlfiles import parse_sql

CUSTOMERS = {
    "orders": "customer_key",
    "order_lines": "customer_key",
    "customers": "customer_id",
    "products": None,
    "made": "customer_key",
}
APART = (
    "SELECT customer_key, row_number() OVER w AS n FROM orders "
    "WINDOW w AS (PARTITION BY customer_key ORDER BY ordered_at)",
    "SELECT customer_key, sum(amount) AS s FROM orders GROUP BY customer_key",
    "SELECT customer_key, sum(amount) AS s FROM orders GROUP BY ALL",
    "SELECT customer_key, sum(a) FILTER (b) OVER (PARTITION BY customer_key) FROM orders",
    "WITH o AS (SELECT customer_key, max(a) AS a FROM orders GROUP BY customer_key) "
    "SELECT customer_key, a FROM o JOIN order_lines AS l USING (customer_key)",
    "SELECT o.customer_key, p.brand FROM orders AS o JOIN products AS p ON p.id = o.id",
    "SELECT customer_key FROM orders UNION ALL SELECT customer_key FROM order_lines",
    "SELECT o.customer_key FROM orders AS o LEFT JOIN order_lines AS l "
    "ON l.order_id = o.order_id AND l.customer_key = o.customer_key",
    "SELECT DISTINCT customer_key FROM (SELECT * FROM orders) AS o",
    "SELECT o.customer_key, p.m FROM orders AS o CROSS JOIN (SELECT max(x) AS m FROM products) p",
)
TOGETHER = (
    "SELECT customer_key, row_number() OVER w AS n FROM orders WINDOW w AS (ORDER BY ordered_at)",
    "SELECT customer_key, sum(amount) OVER () AS s FROM orders",
    "SELECT product_id AS customer_key, sum(amount) AS s FROM order_lines GROUP BY product_id",
    "SELECT max(customer_key) AS customer_key FROM orders",
    "SELECT customer_key, count(*) FILTER (b) AS n FROM orders GROUP BY order_id",
    "SELECT o.customer_key FROM orders AS o JOIN order_lines AS l ON l.order_id = o.order_id",
    "SELECT o.customer_key FROM orders AS o, order_lines AS l",
    "SELECT customer_key FROM orders WHERE amount > (SELECT avg(amount) FROM orders)",
    "SELECT customer_key FROM orders WHERE order_id IN (SELECT order_id FROM order_lines)",
    "SELECT customer_key FROM orders LIMIT 5",
    "SELECT customer_key FROM orders UNION ALL SELECT customer_key FROM order_lines LIMIT 5",
    "SELECT customer_key FROM ((SELECT customer_key FROM orders) LIMIT 5) AS o",
    "SELECT customer_key, m FROM orders CROSS JOIN (SELECT avg(amount) AS m FROM orders) AS a",
    "WITH a AS (SELECT avg(amount) AS m FROM orders) SELECT customer_key FROM orders CROSS JOIN a",
    "WITH RECURSIVE a AS (SELECT customer_key, 1 AS n FROM orders UNION ALL "
    "SELECT customer_key, count(*) OVER () FROM a) SELECT customer_key, n FROM a",
    "SELECT DISTINCT ON (store_id) customer_key FROM orders",
    "SELECT customer_id AS customer_key FROM customers",
    "SELECT product_id AS customer_key FROM products",
)


def catalog(sql: str) -> Any:
    tables = {name: SimpleNamespace(customer=key) for name, key in CUSTOMERS.items()}
    return SimpleNamespace(tables=tables, derived={"made": parse_sql("made.sql", sql)})


@pytest.mark.parametrize("sql", APART)
def test_steps_by_the_customers_key_keep_customers_apart(sql: str) -> None:
    assert keeps_customers_apart(catalog(sql), "made")


@pytest.mark.parametrize("sql", TOGETHER)
def test_any_other_step_needs_all_customers(sql: str) -> None:
    assert not keeps_customers_apart(catalog(sql), "made")
