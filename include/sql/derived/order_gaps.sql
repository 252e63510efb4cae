-- Each placed order with its number in the customer's life and the days since the one before.
-- Orders of the same instant follow each other by order_id, so that the result is always the same.
SELECT
  order_id,
  customer_key,
  ordered_at,
  amount,
  row_number() OVER customer_orders AS order_number,
  lag(ordered_at) OVER customer_orders AS previous_ordered_at,
  round((epoch(ordered_at) - epoch(lag(ordered_at) OVER customer_orders)) / 86400, 6) AS gap_days
FROM orders
WHERE status = 'placed'
WINDOW customer_orders AS (PARTITION BY customer_key ORDER BY ordered_at, order_id)
