-- How often a customer placed an order in each store in the 365 days before as_of.
SELECT
  customer_id,
  store_id AS item,
  CAST(count(*) AS DOUBLE) AS weight
FROM orders
WHERE
  status = 'placed'
  AND ordered_at >= as_of - INTERVAL 365 DAY
  AND store_id IS NOT NULL
GROUP BY customer_id, store_id
