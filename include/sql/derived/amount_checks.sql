-- What the books say twice. A contract is worth its instalments, an open opportunity the list price of
-- its machines less the discount; a payment is an instalment or half of it, and all such payments of an
-- instalment are not more than that. An amount may be a fiftieth off, for rounding. One that is off by
-- ten thousand or by ten was booked in another unit or with a digit too many.
WITH due AS (
  SELECT
    order_id,
    CAST(sum(CAST(booked_amount AS DECIMAL(18, 2))) AS DOUBLE) AS amount
  FROM receivables
  GROUP BY order_id
),

amounts AS (
  SELECT
    'order' AS kind,
    o.order_id AS record,
    o.customer_key,
    o.booked_amount,
    d.amount AS expected_amount,
    CAST(NULL AS VARCHAR) AS receivable_id
  FROM orders AS o
  LEFT JOIN due AS d ON d.order_id = o.order_id
  WHERE o.status = 'placed' AND o.booked_amount IS NOT NULL

  UNION ALL

  SELECT
    'opportunity',
    o.opportunity_id,
    o.customer_key,
    o.amount,
    o.quantity * p.list_price * (1 - o.discount_share),
    NULL
  FROM opportunities AS o
  JOIN products AS p ON p.product_id = o.product_id
  WHERE o.is_open AND NOT o.is_deleted AND o.amount IS NOT NULL

  UNION ALL

  SELECT
    'payment',
    p.payment_id,
    p.customer_key,
    p.booked_amount,
    r.booked_amount,
    p.receivable_id
  FROM payments AS p
  LEFT JOIN receivables AS r ON r.receivable_id = p.receivable_id
  WHERE p.status = 'booked'
),

compared AS (
  SELECT
    *,
    CASE
      WHEN expected_amount IS NULL THEN if(kind = 'payment', 'no_instalment', NULL)
      WHEN booked_amount BETWEEN expected_amount * 0.98 AND expected_amount * 1.02 THEN NULL
      WHEN booked_amount * 10000 BETWEEN expected_amount * 0.98 AND expected_amount * 1.02
        THEN 'ten_thousands'
      WHEN booked_amount / 10 BETWEEN expected_amount * 0.98 AND expected_amount * 1.02
        THEN 'ten_times'
      WHEN kind = 'payment'
        AND booked_amount * 2 BETWEEN expected_amount * 0.98 AND expected_amount * 1.02
        THEN NULL
      ELSE 'differs'
    END AS difference
  FROM amounts
),

together AS (
  SELECT
    *,
    sum(booked_amount) FILTER (WHERE difference IS NULL) OVER (PARTITION BY receivable_id)
      AS paid_amount
  FROM compared
),

judged AS (
  SELECT
    *,
    if(
      kind = 'payment' AND difference IS NULL AND paid_amount > expected_amount * 1.02,
      'paid_twice',
      difference
    ) AS issue
  FROM together
)

SELECT
  kind,
  record,
  customer_key,
  booked_amount,
  expected_amount,
  CASE
    WHEN issue IS NULL THEN booked_amount
    WHEN issue IN ('ten_thousands', 'ten_times') THEN expected_amount
  END AS checked_amount,
  issue
FROM judged
