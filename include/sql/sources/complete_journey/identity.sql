-- One source, one key: a household is a customer. UNION removes repeated households.
SELECT
  CAST(household_id AS VARCHAR) AS customer_key,
  CAST(household_id AS VARCHAR) AS customer_id
FROM (
  SELECT household_id FROM transactions
  UNION
  SELECT household_id FROM demographics
  UNION
  SELECT household_id FROM campaigns
  UNION
  SELECT household_id FROM coupon_redemptions
) AS households
