-- The twenty tags as of 2021-12-31 in Spark's SQL, in two scans of the orders.
WITH placed AS (
  SELECT
    customer_key AS customer_id,
    max(ordered_at) AS last_ordered_at,
    count(*) FILTER (WHERE ordered_at >= TIMESTAMP '2021-12-01 00:00:00Z') AS count_30d,
    count(*) FILTER (WHERE ordered_at >= TIMESTAMP '2021-10-02 00:00:00Z') AS count_90d,
    count(*) FILTER (WHERE ordered_at >= TIMESTAMP '2020-12-31 00:00:00Z') AS count_365d,
    count(*) AS count_total,
    count(DISTINCT CASE
      WHEN ordered_at >= TIMESTAMP '2021-10-02 00:00:00Z' THEN to_date(ordered_at)
    END) AS days_90d,
    sum(amount) FILTER (WHERE ordered_at >= TIMESTAMP '2021-12-01 00:00:00Z') AS amount_30d,
    sum(amount) FILTER (WHERE ordered_at >= TIMESTAMP '2021-10-02 00:00:00Z') AS amount_90d,
    round(  -- to cents: customers with equal amounts must get the same rank
      sum(amount) FILTER (WHERE ordered_at >= TIMESTAMP '2020-12-31 00:00:00Z'), 2
    ) AS amount_365d,
    sum(amount) AS amount_total,
    avg(amount) AS amount_mean,
    max(amount) AS amount_max,
    sum(discount_amount)
      FILTER (WHERE ordered_at >= TIMESTAMP '2020-12-31 00:00:00Z') AS discount_365d
  FROM orders
  WHERE status = 'placed' AND ordered_at < TIMESTAMP '2021-12-31 00:00:00Z'
  GROUP BY customer_key
),

by_channel AS (
  SELECT
    customer_key AS customer_id,
    channel,
    count(*) AS orders,
    count(*) FILTER (WHERE status = 'placed') AS placed,
    count(*) FILTER (WHERE status = 'returned') AS returned
  FROM orders
  WHERE ordered_at >= TIMESTAMP '2020-12-31 00:00:00Z'
    AND ordered_at < TIMESTAMP '2021-12-31 00:00:00Z'
  GROUP BY customer_key, channel
),

channels AS (
  SELECT
    customer_id,
    min(struct(-placed AS negative, channel)) FILTER (WHERE placed > 0).channel AS main_channel,
    sum(returned) / sum(orders) AS return_share
  FROM by_channel
  GROUP BY customer_id
),

statistics AS (
  SELECT
    customers.customer_id,
    datediff(DATE '2021-12-31', to_date(since_at)) AS tenure_days,
    datediff(DATE '2021-12-31', to_date(last_ordered_at)) AS recency_days,
    to_date(last_ordered_at) AS last_order_date,
    coalesce(count_30d, 0) AS order_count_30d,
    coalesce(count_90d, 0) AS order_count_90d,
    coalesce(count_365d, 0) AS order_count_365d,
    coalesce(count_total, 0) AS order_count_total,
    coalesce(days_90d, 0) AS active_days_90d,
    coalesce(amount_30d, 0) AS order_amount_30d,
    coalesce(amount_90d, 0) AS order_amount_90d,
    coalesce(amount_365d, 0) AS order_amount_365d,
    coalesce(amount_total, 0) AS order_amount_total,
    amount_mean AS order_amount_mean,
    amount_max AS order_amount_max,
    discount_365d / nullif(amount_365d + discount_365d, 0) AS discount_share_365d,
    return_share AS return_share_365d,
    main_channel
  FROM customers
  LEFT JOIN placed ON placed.customer_id = customers.customer_id
  LEFT JOIN channels ON channels.customer_id = customers.customer_id
  WHERE customers.since_at < TIMESTAMP '2021-12-31 00:00:00Z'
),

cutpoints AS (
  SELECT
    percentile_disc(0.25) WITHIN GROUP (ORDER BY order_amount_365d) AS low,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY order_amount_365d) AS middle,
    percentile_disc(0.75) WITHIN GROUP (ORDER BY order_amount_365d) AS high
  FROM statistics
),

ranked AS (
  SELECT
    statistics.*,
    1 + CAST(order_amount_365d > low AS INT) + CAST(order_amount_365d > middle AS INT)
      + CAST(order_amount_365d > high AS INT) AS monetary_rank
  FROM statistics
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
