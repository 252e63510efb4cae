SELECT
  customer_key AS customer_id,
  sum(discount_amount) / nullif(sum(amount + discount_amount), 0) AS discount_share_365d
FROM orders
WHERE status = 'placed'
  AND ordered_at >= TIMESTAMPTZ '2020-12-31 00:00:00+00'
  AND ordered_at < TIMESTAMPTZ '2021-12-31 00:00:00+00'
GROUP BY customer_key
