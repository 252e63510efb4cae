-- How much a customer spends in the horizon among all customers: high is the first fifth, middle
-- the three tenths after it, low the other half, with those who spend nothing.
WITH spent AS (
  SELECT
    customers.customer_id,
    coalesce(sum(orders.amount), 0) AS amount
  FROM customers
  LEFT JOIN orders
    ON orders.customer_id = customers.customer_id
    AND orders.status = 'placed'
    AND orders.ordered_at >= as_of
    AND orders.ordered_at < horizon_end
  WHERE customers.since_at < as_of
  GROUP BY customers.customer_id
), placed AS (
  SELECT
    customer_id,
    amount,
    (rank() OVER (ORDER BY amount DESC) - 1) / greatest(count(*) OVER () - 1, 1) AS share
  FROM spent
)
SELECT
  customer_id,
  CASE
    WHEN amount > 0 AND share < 0.2 THEN 'high'
    WHEN amount > 0 AND share < 0.5 THEN 'middle'
    ELSE 'low'
  END AS label
FROM placed
