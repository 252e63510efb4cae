SELECT
  opportunity AS opportunity_id,
  customer AS customer_key,
  opened AS since_at,
  stage,
  amount,
  since AS valid_at
FROM stages
