SELECT
  customer_key AS customer_id,
  count(*) FILTER (WHERE status = 'returned') / count(*) AS return_share_365d
FROM orders
WHERE ordered_at >= TIMESTAMPTZ '2020-12-31 00:00:00+00'
  AND ordered_at < TIMESTAMPTZ '2021-12-31 00:00:00+00'
GROUP BY customer_key
