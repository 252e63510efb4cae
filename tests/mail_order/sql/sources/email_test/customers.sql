-- The test misspells suburban.
SELECT
  customer AS customer_id,
  TIMESTAMP '2007-03-01' AS since_at,
  recency AS recency_months,
  history AS year_amount,
  mens = 1 AS has_bought_mens,
  womens = 1 AS has_bought_womens,
  CASE zip_code WHEN 'Surburban' THEN 'suburban' ELSE lower(zip_code) END AS area,
  newbie = 1 AS is_new,
  lower(channel) AS channel
FROM recipients
