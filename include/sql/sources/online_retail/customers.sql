-- Whoever has a line, also one who only sent back what was bought before the first file begins.
SELECT
  CAST(customer AS VARCHAR) AS customer_id,
  min(invoiced_at) AS since_at,
  min(invoiced_at) AS valid_at
FROM lines
WHERE customer IS NOT NULL
GROUP BY customer
