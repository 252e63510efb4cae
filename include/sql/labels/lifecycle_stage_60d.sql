-- The stage of life that a customer was at, told from the orders on both sides of as_of, as the
-- guidelines of labels/lifecycle_stage.yaml tell people: lost without an order in the horizon of
-- 60 days; new within 90 days of the first order; else by the amount of the 60 days around as_of
-- against that of the 60 days before those.
WITH spent AS (
  SELECT
    customers.customer_id,
    min(customers.since_at) AS since_at,
    count(CASE WHEN orders.ordered_at >= as_of THEN 1 END) AS orders_after,
    coalesce(sum(CASE
      WHEN orders.ordered_at >= as_of - INTERVAL 30 DAY
        AND orders.ordered_at < as_of + INTERVAL 30 DAY THEN orders.amount
    END), 0) AS amount_around,
    coalesce(sum(CASE
      WHEN orders.ordered_at >= as_of - INTERVAL 90 DAY
        AND orders.ordered_at < as_of - INTERVAL 30 DAY THEN orders.amount
    END), 0) AS amount_before
  FROM customers
  LEFT JOIN orders
    ON orders.customer_id = customers.customer_id
    AND orders.status = 'placed'
    AND orders.ordered_at >= as_of - INTERVAL 90 DAY
    AND orders.ordered_at < horizon_end
  WHERE customers.since_at < as_of
  GROUP BY customers.customer_id
)
SELECT
  customer_id,
  CASE
    WHEN orders_after = 0 THEN 'lost'
    WHEN since_at >= as_of - INTERVAL 90 DAY THEN 'new'
    WHEN amount_around * 3 >= amount_before * 4 THEN 'growing'
    WHEN amount_around * 4 <= amount_before * 3 THEN 'declining'
    ELSE 'mature'
  END AS label
FROM spent
