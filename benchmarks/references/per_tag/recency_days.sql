SELECT
  customer_key AS customer_id,
  date_diff('day', max(ordered_at)::DATE, DATE '2021-12-31') AS recency_days
FROM orders
WHERE status = 'placed'
  AND ordered_at < TIMESTAMPTZ '2021-12-31 00:00:00+00'
GROUP BY customer_key
