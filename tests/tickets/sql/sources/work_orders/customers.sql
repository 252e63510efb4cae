-- The mine itself is the only customer.
SELECT
  'mine' AS customer_id,
  min(started_on) AS since_at
FROM work_orders
