-- A judgement is handed in once; the same file handed in again holds the same label_id.
SELECT
  label_id,
  customer_key,
  label_set,
  value,
  judged_by,
  judged_at,
  about_at
FROM judgements
