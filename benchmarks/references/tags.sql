-- The twenty tags from relation `statistics`, the result of statistics.sql, and the customers.
WITH cutpoints AS (
  SELECT quantile_disc(order_amount_365d, [0.25, 0.5, 0.75]) AS amounts FROM statistics
),

ranked AS (
  SELECT
    statistics.*,
    date_diff('day', since_at::DATE, DATE '2021-12-31') AS tenure_days,
    1 + (order_amount_365d > amounts[1])::BIGINT + (order_amount_365d > amounts[2])::BIGINT
      + (order_amount_365d > amounts[3])::BIGINT AS monetary_rank
  FROM statistics
  JOIN customers ON customers.customer_id = statistics.customer_id
  CROSS JOIN cutpoints
)

SELECT
  *,
  CASE
    WHEN recency_days <= 30 THEN 'active'
    WHEN recency_days <= 90 THEN 'cooling'
    WHEN recency_days > 90 THEN 'dormant'
  END AS activity_status,
  CASE
    WHEN monetary_rank = 4 AND recency_days <= 90 THEN true
    WHEN recency_days IS NOT NULL THEN false
  END AS is_valuable
FROM ranked
