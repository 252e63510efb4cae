SELECT
  customer_key AS customer_id,
  sum(amount) AS order_amount_total
FROM orders
WHERE status = 'placed'
  AND ordered_at < TIMESTAMPTZ '2021-12-31 00:00:00+00'
GROUP BY customer_key
