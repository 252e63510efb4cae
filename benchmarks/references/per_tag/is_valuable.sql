-- depends_on: {{ ref('monetary_rank') }} {{ ref('recency_days') }}
SELECT
  monetary_rank.customer_id,
  CASE
    WHEN monetary_rank = 4 AND recency_days <= 90 THEN true
    WHEN recency_days IS NOT NULL THEN false
  END AS is_valuable
FROM monetary_rank
LEFT JOIN recency_days ON recency_days.customer_id = monetary_rank.customer_id
