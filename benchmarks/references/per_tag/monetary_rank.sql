-- depends_on: {{ ref('order_amount_365d') }} {{ ref('tenure_days') }}
WITH amounts AS (
  SELECT tenure_days.customer_id, coalesce(order_amount_365d, 0) AS amount
  FROM tenure_days
  LEFT JOIN order_amount_365d ON order_amount_365d.customer_id = tenure_days.customer_id
),

cutpoints AS (
  SELECT quantile_disc(amount, [0.25, 0.5, 0.75]) AS cuts FROM amounts
)

SELECT
  customer_id,
  1 + (amount > cuts[1])::BIGINT + (amount > cuts[2])::BIGINT + (amount > cuts[3])::BIGINT
    AS monetary_rank
FROM amounts
CROSS JOIN cutpoints
