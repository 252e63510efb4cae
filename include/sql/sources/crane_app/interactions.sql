-- What a user did in the app; a view and a question are about a model, a post names a building site.
SELECT
  'app-' || event_id AS interaction_id,
  'app:' || user_id AS customer_key,
  happened_at,
  kind,
  'app' AS channel,
  CASE WHEN kind IN ('machine_view', 'expert_question') THEN subject END AS product_id,
  CASE WHEN kind NOT IN ('machine_view', 'expert_question') THEN subject END AS topic,
  amount_cny AS amount
FROM events
