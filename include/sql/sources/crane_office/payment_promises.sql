-- A promise is kept when what was paid by its day covers the amount, from the booking of the last
-- part on; else it is broken three days after its day, when the payments of that day are booked.
-- A payment counts unless it was reversed by then. Both are versions; one that lies ahead is seen by
-- nobody, and is taken back by the payment that comes in time.
WITH rates AS (
  SELECT
    currency,
    month,
    cny,
    lead(month) OVER (PARTITION BY currency ORDER BY month) AS next_month,
    row_number() OVER (PARTITION BY currency ORDER BY month) AS number
  FROM exchange_rates
),

rated AS (
  SELECT c.contract_no, c.account_no, rates.cny
  FROM contracts AS c
  LEFT JOIN rates
    ON rates.currency = c.currency
    AND (rates.number = 1 OR rates.month <= c.signed_on)
    AND (rates.next_month IS NULL OR rates.next_month > c.signed_on)
),

judged AS (
  SELECT
    *,
    timezone('Asia/Shanghai', CAST(promised_for AS TIMESTAMP) + INTERVAL 1 DAY) AS ends_at,
    timezone('Asia/Shanghai', CAST(promised_for AS TIMESTAMP) + INTERVAL 4 DAY) AS judged_at
  FROM payment_promises
),

covered AS (
  SELECT
    j.promise_id,
    max(p.created_at) AS booked_at
  FROM judged AS j
  INNER JOIN payments AS p
    ON p.contract_no = j.contract_no
    AND p.instalment_no = j.instalment_no
    AND p.paid_on <= j.promised_for
    AND p.created_at < j.judged_at
    AND (NOT p.is_deleted OR p.updated_at >= j.judged_at)
  GROUP BY j.promise_id, j.amount
  HAVING sum(CAST(p.amount AS DECIMAL(18, 2))) >= j.amount - 0.05
),

versions AS (
  SELECT j.*, 'open' AS status, j.promised_at AS valid_at
  FROM judged AS j
  UNION ALL
  SELECT
    j.*,
    if(c.booked_at IS NULL, 'broken', 'kept') AS status,
    CASE
      WHEN c.booked_at IS NULL THEN j.judged_at
      ELSE greatest(c.booked_at, j.promised_at + INTERVAL 1 SECOND)
    END AS valid_at
  FROM judged AS j
  LEFT JOIN covered AS c ON c.promise_id = j.promise_id
)

SELECT
  v.promise_id,
  v.contract_no || '/' || v.instalment_no AS receivable_id,
  'crm:' || rated.account_no AS customer_key,
  v.promised_at,
  v.ends_at AS promised_for,
  round(v.amount * rated.cny, 2) AS amount,
  v.status,
  v.valid_at
FROM versions AS v
INNER JOIN rated ON rated.contract_no = v.contract_no
