-- A household with at least one transaction; demographics are known for a third of them.
WITH first_orders AS (
  SELECT
    household_id,
    min(transaction_timestamp) AS since_at
  FROM transactions
  GROUP BY household_id
)

SELECT
  CAST(first_orders.household_id AS VARCHAR) AS customer_id,
  first_orders.since_at,
  demographics.age AS age_band,
  demographics.income AS income_band,
  demographics.home_ownership,
  demographics.marital_status,
  demographics.household_size,
  demographics.household_comp AS household_type,
  demographics.kids_count
FROM first_orders
LEFT JOIN demographics ON demographics.household_id = first_orders.household_id
