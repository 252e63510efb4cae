-- To cents: customers with equal amounts must get the same rank.
SELECT
  customer_key AS customer_id,
  round(sum(amount), 2) AS order_amount_365d
FROM orders
WHERE status = 'placed'
  AND ordered_at >= TIMESTAMPTZ '2020-12-31 00:00:00+00'
  AND ordered_at < TIMESTAMPTZ '2021-12-31 00:00:00+00'
GROUP BY customer_key
