-- What the customer of each open opportunity did, by whatever key and in whatever system: features
-- of the opportunity that no salesperson types in. `points` are days late of a payment, and the
-- score of a survey. Only what is open has rows, so that they do not grow with the years.
WITH open_ones AS (
  SELECT opportunity_id, customer_id, product_id
  FROM opportunities
  WHERE is_open AND NOT is_deleted AND customer_id IS NOT NULL
),

done AS (
  SELECT
    customer_id,
    'interaction ' || interaction_id AS event_id,
    kind,
    happened_at,
    product_id,
    CAST(NULL AS DOUBLE) AS points
  FROM interactions
  WHERE kind IN ('machine_view', 'login', 'expert_question', 'replied')
  UNION ALL
  SELECT
    customer_id,
    'ticket ' || ticket_id AS event_id,
    kind,
    opened_at AS happened_at,
    CAST(NULL AS VARCHAR) AS product_id,
    CAST(NULL AS DOUBLE) AS points
  FROM service_tickets
  WHERE kind = 'inquiry'
  UNION ALL
  SELECT
    customer_id,
    'payment ' || payment_id AS event_id,
    'payment' AS kind,
    paid_at AS happened_at,
    CAST(NULL AS VARCHAR) AS product_id,
    CAST(days_late AS DOUBLE) AS points
  FROM payments
  WHERE status = 'booked' AND days_late IS NOT NULL
  UNION ALL
  SELECT
    customer_id,
    'survey ' || survey_id AS event_id,
    'survey' AS kind,
    answered_at AS happened_at,
    CAST(NULL AS VARCHAR) AS product_id,
    score AS points
  FROM surveys
  UNION ALL
  SELECT
    customer_id,
    'opportunity ' || opportunity_id AS event_id,
    stage AS kind,
    closed_at AS happened_at,
    product_id,
    CAST(NULL AS DOUBLE) AS points
  FROM opportunities
  WHERE NOT is_open AND NOT is_deleted AND closed_at IS NOT NULL
  UNION ALL
  SELECT
    customer_id,
    'machine ' || machine_id AS event_id,
    'machine' AS kind,
    since_at AS happened_at,
    product_id,
    CAST(NULL AS DOUBLE) AS points
  FROM machines
  WHERE NOT is_returned
)

SELECT
  o.opportunity_id,
  d.event_id,
  d.kind,
  d.happened_at,
  coalesce(d.product_id = o.product_id, false) AS is_same_model,
  d.points
FROM open_ones AS o
INNER JOIN done AS d ON d.customer_id = o.customer_id
