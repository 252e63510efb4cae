-- depends_on: {{ ref('active_days_90d') }}
-- depends_on: {{ ref('activity_status') }}
-- depends_on: {{ ref('discount_share_365d') }}
-- depends_on: {{ ref('is_valuable') }}
-- depends_on: {{ ref('last_order_date') }}
-- depends_on: {{ ref('main_channel') }}
-- depends_on: {{ ref('monetary_rank') }}
-- depends_on: {{ ref('order_amount_30d') }}
-- depends_on: {{ ref('order_amount_365d') }}
-- depends_on: {{ ref('order_amount_90d') }}
-- depends_on: {{ ref('order_amount_max') }}
-- depends_on: {{ ref('order_amount_mean') }}
-- depends_on: {{ ref('order_amount_total') }}
-- depends_on: {{ ref('order_count_30d') }}
-- depends_on: {{ ref('order_count_365d') }}
-- depends_on: {{ ref('order_count_90d') }}
-- depends_on: {{ ref('order_count_total') }}
-- depends_on: {{ ref('recency_days') }}
-- depends_on: {{ ref('return_share_365d') }}
-- depends_on: {{ ref('tenure_days') }}
SELECT
  tenure_days.customer_id,
  tenure_days,
  coalesce(active_days_90d, 0) AS active_days_90d,
  activity_status,
  discount_share_365d,
  is_valuable,
  last_order_date,
  main_channel,
  monetary_rank,
  coalesce(order_amount_30d, 0) AS order_amount_30d,
  coalesce(order_amount_365d, 0) AS order_amount_365d,
  coalesce(order_amount_90d, 0) AS order_amount_90d,
  order_amount_max,
  order_amount_mean,
  coalesce(order_amount_total, 0) AS order_amount_total,
  coalesce(order_count_30d, 0) AS order_count_30d,
  coalesce(order_count_365d, 0) AS order_count_365d,
  coalesce(order_count_90d, 0) AS order_count_90d,
  coalesce(order_count_total, 0) AS order_count_total,
  recency_days,
  return_share_365d
FROM tenure_days
LEFT JOIN active_days_90d ON active_days_90d.customer_id = tenure_days.customer_id
LEFT JOIN activity_status ON activity_status.customer_id = tenure_days.customer_id
LEFT JOIN discount_share_365d ON discount_share_365d.customer_id = tenure_days.customer_id
LEFT JOIN is_valuable ON is_valuable.customer_id = tenure_days.customer_id
LEFT JOIN last_order_date ON last_order_date.customer_id = tenure_days.customer_id
LEFT JOIN main_channel ON main_channel.customer_id = tenure_days.customer_id
LEFT JOIN monetary_rank ON monetary_rank.customer_id = tenure_days.customer_id
LEFT JOIN order_amount_30d ON order_amount_30d.customer_id = tenure_days.customer_id
LEFT JOIN order_amount_365d ON order_amount_365d.customer_id = tenure_days.customer_id
LEFT JOIN order_amount_90d ON order_amount_90d.customer_id = tenure_days.customer_id
LEFT JOIN order_amount_max ON order_amount_max.customer_id = tenure_days.customer_id
LEFT JOIN order_amount_mean ON order_amount_mean.customer_id = tenure_days.customer_id
LEFT JOIN order_amount_total ON order_amount_total.customer_id = tenure_days.customer_id
LEFT JOIN order_count_30d ON order_count_30d.customer_id = tenure_days.customer_id
LEFT JOIN order_count_365d ON order_count_365d.customer_id = tenure_days.customer_id
LEFT JOIN order_count_90d ON order_count_90d.customer_id = tenure_days.customer_id
LEFT JOIN order_count_total ON order_count_total.customer_id = tenure_days.customer_id
LEFT JOIN recency_days ON recency_days.customer_id = tenure_days.customer_id
LEFT JOIN return_share_365d ON return_share_365d.customer_id = tenure_days.customer_id
