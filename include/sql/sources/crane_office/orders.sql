-- A contract is an order. The version that was read first holds from the contract's creation, a
-- later one from when it was changed; a deleted contract is cancelled from then on. The rate of
-- exchange is that of the month of signing, or of the newest month before it.
WITH known AS (
  SELECT
    contract_no, account_no, opportunity_no, signed_on, amount, currency, instalment_count,
    created_at, updated_at, is_deleted
  FROM contracts
  UNION
  SELECT
    contract_no, account_no, opportunity_no, signed_on, amount, currency, instalment_count,
    created_at, updated_at, is_deleted
  FROM contract_changes
),

rates AS (
  SELECT
    currency,
    month,
    cny,
    lead(month) OVER (PARTITION BY currency ORDER BY month) AS next_month,
    row_number() OVER (PARTITION BY currency ORDER BY month) AS number
  FROM exchange_rates
),

numbered AS (
  SELECT *, row_number() OVER (PARTITION BY contract_no ORDER BY updated_at) AS version
  FROM known
),

versions AS (
  SELECT *, 'placed' AS status, created_at AS valid_at
  FROM numbered
  WHERE version = 1 AND (NOT is_deleted OR updated_at > created_at)
  UNION ALL
  SELECT *, if(is_deleted, 'cancelled', 'placed') AS status, updated_at AS valid_at
  FROM numbered
  WHERE version > 1 OR is_deleted
)

SELECT
  v.contract_no AS order_id,
  'crm:' || v.account_no AS customer_key,
  timezone('Asia/Shanghai', CAST(v.signed_on AS TIMESTAMP)) AS ordered_at,
  v.status,
  round(v.amount * rates.cny, 2) AS amount,
  1 AS line_count,
  v.amount AS booked_amount,
  v.currency AS booked_currency,
  rates.cny AS exchange_rate,
  v.instalment_count,
  v.opportunity_no AS opportunity_id,
  v.valid_at
FROM versions AS v
LEFT JOIN rates
  ON rates.currency = v.currency
  AND (rates.number = 1 OR rates.month <= v.signed_on)
  AND (rates.next_month IS NULL OR rates.next_month > v.signed_on)
