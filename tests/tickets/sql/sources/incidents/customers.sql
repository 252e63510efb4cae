-- Whoever asked is a customer since the first time; of some changes it was not written down who.
SELECT
  caller_id AS customer_id,
  min(opened_at) AS since_at
FROM changes
WHERE caller_id IS NOT NULL
GROUP BY caller_id
