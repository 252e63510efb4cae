SELECT
  concat('visit ', customer) AS interaction_id,
  customer AS customer_key,
  'visit' AS kind,
  visited AS happened_at
FROM recipients
WHERE visited IS NOT NULL
