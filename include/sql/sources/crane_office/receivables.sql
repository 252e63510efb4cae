-- An instalment as it stood at each change: when it was agreed or its day was moved, when a payment
-- was booked, when a booking was reversed, and when its contract was deleted: from then on nothing of
-- it is open. Money is at the rate of the contract's month, so that
-- what is open does not change with the rates. Halves of an instalment are rounded: what lies within
-- five hundredths is paid. It is settled by the payments up to the booking that first covered it, of
-- those that count at the time of the version: what is booked on a settled one moves no day.
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

agreed AS (
  SELECT contract_no, instalment_no, due_on, amount, updated_at FROM instalments
  UNION
  SELECT contract_no, instalment_no, due_on, amount, updated_at FROM instalment_changes
),

cancellations AS (
  SELECT contract_no, updated_at, is_deleted
  FROM (
    SELECT contract_no, updated_at, is_deleted FROM contracts
    UNION
    SELECT contract_no, updated_at, is_deleted FROM contract_changes
  ) AS known
  QUALIFY is_deleted OR lag(is_deleted) OVER (PARTITION BY contract_no ORDER BY updated_at)
),

changes AS (
  SELECT
    contract_no, instalment_no, updated_at AS changed_at, due_on, amount, 0 AS paid, NULL AS is_cancelled
  FROM agreed
  UNION ALL
  SELECT contract_no, instalment_no, created_at, NULL, NULL, amount, NULL
  FROM payments
  UNION ALL
  SELECT contract_no, instalment_no, updated_at, NULL, NULL, -amount, NULL
  FROM payments
  WHERE is_deleted
  UNION ALL
  SELECT DISTINCT a.contract_no, a.instalment_no, c.updated_at, NULL, NULL, 0, c.is_deleted
  FROM agreed AS a
  INNER JOIN cancellations AS c ON c.contract_no = a.contract_no
),

points AS (
  SELECT
    contract_no,
    instalment_no,
    changed_at,
    max(due_on) AS due_on,
    max(amount) AS amount,
    sum(CAST(paid AS DECIMAL(18, 2))) AS paid,
    bool_or(is_cancelled) AS is_cancelled
  FROM changes
  GROUP BY contract_no, instalment_no, changed_at
),

states AS (
  SELECT
    contract_no,
    instalment_no,
    changed_at,
    last_value(due_on IGNORE NULLS) OVER so_far AS due_on,
    last_value(amount IGNORE NULLS) OVER so_far AS amount,
    CAST(sum(paid) OVER so_far AS DOUBLE) AS paid,
    coalesce(last_value(is_cancelled IGNORE NULLS) OVER so_far, false) AS is_cancelled
  FROM points
  WINDOW so_far AS (
    PARTITION BY contract_no, instalment_no ORDER BY changed_at
    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
  )
),

counted AS (
  SELECT
    s.contract_no,
    s.instalment_no,
    s.changed_at,
    s.amount,
    CAST(sum(CAST(p.amount AS DECIMAL(18, 2))) OVER so_far AS DOUBLE) AS paid,
    max(p.paid_on) OVER so_far AS paid_on
  FROM states AS s
  INNER JOIN payments AS p
    ON p.contract_no = s.contract_no
    AND p.instalment_no = s.instalment_no
    AND p.created_at <= s.changed_at
    AND (NOT p.is_deleted OR p.updated_at > s.changed_at)
  WINDOW so_far AS (
    PARTITION BY s.contract_no, s.instalment_no, s.changed_at ORDER BY p.created_at, p.payment_no
    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
  )
),

settled AS (
  SELECT contract_no, instalment_no, changed_at, min(paid_on) AS paid_on
  FROM counted
  WHERE amount - paid <= 0.05
  GROUP BY contract_no, instalment_no, changed_at
)

SELECT
  s.contract_no || '/' || s.instalment_no AS receivable_id,
  s.contract_no AS order_id,
  'crm:' || rated.account_no AS customer_key,
  s.instalment_no AS number,
  timezone('Asia/Shanghai', CAST(s.due_on AS TIMESTAMP) + INTERVAL 1 DAY) AS due_at,
  round(s.amount * rated.cny, 2) AS amount,
  s.amount AS booked_amount,
  round(s.paid * rated.cny, 2) AS paid_amount,
  if(
    s.amount - s.paid > 0.05 AND NOT s.is_cancelled, round((s.amount - s.paid) * rated.cny, 2), 0
  ) AS open_amount,
  s.amount - s.paid > 0.05 AND NOT s.is_cancelled AS is_open,
  CASE
    WHEN s.amount - s.paid <= 0.05 THEN timezone('Asia/Shanghai', CAST(settled.paid_on AS TIMESTAMP))
  END AS settled_at,
  s.changed_at AS valid_at
FROM states AS s
INNER JOIN rated ON rated.contract_no = s.contract_no
LEFT JOIN settled
  ON settled.contract_no = s.contract_no
  AND settled.instalment_no = s.instalment_no
  AND settled.changed_at = s.changed_at
WHERE s.due_on IS NOT NULL
