-- All sixteen statistics of the orders as of 2021-12-31, as an analyst would write them by hand:
-- one scan of what was placed, one of the last 365 days by channel.
WITH placed AS (
  SELECT
    customer_key AS customer_id,
    max(ordered_at) AS last_ordered_at,
    count(*) FILTER (WHERE ordered_at >= TIMESTAMPTZ '2021-12-01 00:00:00+00') AS count_30d,
    count(*) FILTER (WHERE ordered_at >= TIMESTAMPTZ '2021-10-02 00:00:00+00') AS count_90d,
    count(*) FILTER (WHERE ordered_at >= TIMESTAMPTZ '2020-12-31 00:00:00+00') AS count_365d,
    count(*) AS count_total,
    count(DISTINCT ordered_at::DATE)
      FILTER (WHERE ordered_at >= TIMESTAMPTZ '2021-10-02 00:00:00+00') AS days_90d,
    sum(amount) FILTER (WHERE ordered_at >= TIMESTAMPTZ '2021-12-01 00:00:00+00') AS amount_30d,
    sum(amount) FILTER (WHERE ordered_at >= TIMESTAMPTZ '2021-10-02 00:00:00+00') AS amount_90d,
    round(  -- to cents: customers with equal amounts must get the same rank
      sum(amount) FILTER (WHERE ordered_at >= TIMESTAMPTZ '2020-12-31 00:00:00+00'), 2
    ) AS amount_365d,
    sum(amount) AS amount_total,
    avg(amount) AS amount_mean,
    max(amount) AS amount_max,
    sum(discount_amount)
      FILTER (WHERE ordered_at >= TIMESTAMPTZ '2020-12-31 00:00:00+00') AS discount_365d
  FROM orders
  WHERE status = 'placed' AND ordered_at < TIMESTAMPTZ '2021-12-31 00:00:00+00'
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
  WHERE ordered_at >= TIMESTAMPTZ '2020-12-31 00:00:00+00'
    AND ordered_at < TIMESTAMPTZ '2021-12-31 00:00:00+00'
  GROUP BY customer_key, channel
),

channels AS (
  SELECT
    customer_id,
    first(channel ORDER BY placed DESC, channel) FILTER (WHERE placed > 0) AS main_channel,
    sum(returned) / sum(orders) AS return_share
  FROM by_channel
  GROUP BY customer_id
)

SELECT
  customers.customer_id,
  date_diff('day', last_ordered_at::DATE, DATE '2021-12-31') AS recency_days,
  last_ordered_at::DATE AS last_order_date,
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
WHERE customers.since_at < TIMESTAMPTZ '2021-12-31 00:00:00+00'
