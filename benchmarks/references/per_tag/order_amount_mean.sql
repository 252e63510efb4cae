SELECT
  customer_key AS customer_id,
  avg(amount) AS order_amount_mean
FROM orders
WHERE status = 'placed'
  AND ordered_at < TIMESTAMPTZ '2021-12-31 00:00:00+00'
GROUP BY customer_key
