-- The grocer's order statistics as an analyst would write them by hand: one query over the clean
-- orders, with the same columns and values as the compiled one.
SELECT
  customer_key AS customer_id,
  date_diff('day', max(ordered_at)::DATE, DATE '2018-01-01') AS recency_days,
  count(*) AS order_count_total,
  count(*) FILTER (WHERE ordered_at >= TIMESTAMPTZ '2017-12-02 00:00:00+00') AS order_count_30d,
  count(*) FILTER (WHERE ordered_at >= TIMESTAMPTZ '2017-10-03 00:00:00+00') AS order_count_90d,
  count(*) FILTER (WHERE ordered_at >= TIMESTAMPTZ '2017-01-01 00:00:00+00') AS order_count_365d,
  coalesce(sum(amount) FILTER (WHERE ordered_at >= TIMESTAMPTZ '2017-12-02 00:00:00+00'), 0)
    AS order_amount_30d,
  coalesce(sum(amount) FILTER (WHERE ordered_at >= TIMESTAMPTZ '2017-10-03 00:00:00+00'), 0)
    AS order_amount_90d,
  coalesce(sum(amount) FILTER (WHERE ordered_at >= TIMESTAMPTZ '2017-01-01 00:00:00+00'), 0)
    AS order_amount_365d,
  sum(amount) AS order_amount_total,
  avg(amount) AS order_amount_mean,
  max(amount) AS order_amount_max,
  avg(line_count) AS basket_lines_mean
FROM orders
WHERE status = 'placed' AND ordered_at < TIMESTAMPTZ '2018-01-01 00:00:00+00'
GROUP BY ALL
