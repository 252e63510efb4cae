SELECT
  customer_key AS customer_id,
  max(ordered_at)::DATE AS last_order_date
FROM orders
WHERE status = 'placed'
  AND ordered_at < TIMESTAMPTZ '2021-12-31 00:00:00+00'
GROUP BY customer_key
