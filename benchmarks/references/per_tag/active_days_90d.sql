SELECT
  customer_key AS customer_id,
  count(DISTINCT ordered_at::DATE) AS active_days_90d
FROM orders
WHERE status = 'placed'
  AND ordered_at >= TIMESTAMPTZ '2021-10-02 00:00:00+00'
  AND ordered_at < TIMESTAMPTZ '2021-12-31 00:00:00+00'
GROUP BY customer_key
