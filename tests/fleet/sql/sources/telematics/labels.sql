SELECT
  id AS label_id,
  customer AS customer_key,
  question AS label_set,
  answer AS value,
  judge AS judged_by,
  judged AS judged_at
FROM judgements
