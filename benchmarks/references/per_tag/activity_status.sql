-- depends_on: {{ ref('recency_days') }}
SELECT
  customer_id,
  CASE
    WHEN recency_days <= 30 THEN 'active'
    WHEN recency_days <= 90 THEN 'cooling'
    WHEN recency_days > 90 THEN 'dormant'
  END AS activity_status
FROM recency_days
