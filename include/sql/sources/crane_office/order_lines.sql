-- A contract sells machines of one model: that of its opportunity, or, where it is older than the
-- opportunities, of the machines that were delivered for it. The amount is the present one; the
-- versions of a corrected contract are in orders.
WITH rates AS (
  SELECT
    currency,
    month,
    cny,
    lead(month) OVER (PARTITION BY currency ORDER BY month) AS next_month,
    row_number() OVER (PARTITION BY currency ORDER BY month) AS number
  FROM exchange_rates
),

delivered AS (
  SELECT d.contract_no, min(m.model_code) AS model_code
  FROM deliveries AS d
  INNER JOIN machines AS m ON m.serial_no = d.serial_no
  WHERE d.contract_no IS NOT NULL
  GROUP BY d.contract_no
)

SELECT
  c.contract_no AS order_id,
  coalesce(o.model_code, delivered.model_code) AS product_id,
  '1' AS line,
  'crm:' || c.account_no AS customer_key,
  timezone('Asia/Shanghai', CAST(c.signed_on AS TIMESTAMP)) AS ordered_at,
  'placed' AS status,
  c.quantity,
  round(c.amount * rates.cny, 2) AS amount,
  c.created_at AS valid_at
FROM contracts AS c
LEFT JOIN opportunities AS o ON o.opportunity_no = c.opportunity_no
LEFT JOIN delivered ON delivered.contract_no = c.contract_no
LEFT JOIN rates
  ON rates.currency = c.currency
  AND (rates.number = 1 OR rates.month <= c.signed_on)
  AND (rates.next_month IS NULL OR rates.next_month > c.signed_on)
WHERE coalesce(o.model_code, delivered.model_code) IS NOT NULL
