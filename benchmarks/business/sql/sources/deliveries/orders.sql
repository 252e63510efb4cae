SELECT
  CAST(number AS VARCHAR) AS order_id,
  CAST(customer AS VARCHAR) AS customer_key,
  ordered_at,
  status,
  channel,
  amount,
  discount AS discount_amount,
  lines AS line_count
FROM orders
