WITH by_channel AS (
  SELECT customer_key AS customer_id, channel, count(*) AS placed
  FROM orders
  WHERE status = 'placed'
    AND ordered_at >= TIMESTAMPTZ '2020-12-31 00:00:00+00'
    AND ordered_at < TIMESTAMPTZ '2021-12-31 00:00:00+00'
  GROUP BY customer_key, channel
)

SELECT customer_id, first(channel ORDER BY placed DESC, channel) AS main_channel
FROM by_channel
GROUP BY customer_id
