-- A payment is known from its booking on, a day or two after the money came. A wrong booking is
-- deleted: reversed from then on, and booked again as another payment. One that was booked on a
-- contract that does not exist names no customer: it goes to quarantine. The day on which it was due is
-- that of the newest agreement of then.
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

versions AS (
  SELECT *, 'booked' AS status, created_at AS valid_at
  FROM payments
  WHERE NOT is_deleted OR updated_at > created_at
  UNION ALL
  SELECT *, 'reversed' AS status, updated_at AS valid_at
  FROM payments
  WHERE is_deleted
),

agreed AS (
  SELECT contract_no, instalment_no, due_on, updated_at FROM instalments
  UNION
  SELECT contract_no, instalment_no, due_on, updated_at FROM instalment_changes
),

agreements AS (
  SELECT
    contract_no,
    instalment_no,
    due_on,
    updated_at,
    row_number() OVER history AS number,
    lead(updated_at) OVER history AS next_updated_at
  FROM agreed
  WINDOW history AS (PARTITION BY contract_no, instalment_no ORDER BY updated_at)
)

SELECT
  v.payment_no AS payment_id,
  v.contract_no || '/' || v.instalment_no AS receivable_id,
  v.contract_no AS order_id,
  'crm:' || rated.account_no AS customer_key,
  timezone('Asia/Shanghai', CAST(v.paid_on AS TIMESTAMP)) AS paid_at,
  v.created_at AS booked_at,
  v.status,
  round(v.amount * rated.cny, 2) AS amount,
  v.amount AS booked_amount,
  timezone('Asia/Shanghai', CAST(i.due_on AS TIMESTAMP) + INTERVAL 1 DAY) AS due_at,
  date_diff('day', i.due_on, v.paid_on) AS days_late,
  v.valid_at
FROM versions AS v
LEFT JOIN rated ON rated.contract_no = v.contract_no
LEFT JOIN agreements AS i
  ON i.contract_no = v.contract_no
  AND i.instalment_no = v.instalment_no
  AND (i.number = 1 OR i.updated_at <= v.valid_at)
  AND (i.next_updated_at IS NULL OR i.next_updated_at > v.valid_at)
