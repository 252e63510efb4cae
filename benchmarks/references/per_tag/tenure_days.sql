SELECT
  customer_id,
  date_diff('day', since_at::DATE, DATE '2021-12-31') AS tenure_days
FROM customers
WHERE since_at < TIMESTAMPTZ '2021-12-31 00:00:00+00'
