SELECT
  CAST(customer AS VARCHAR) AS customer_id,
  since AS since_at
FROM customers
