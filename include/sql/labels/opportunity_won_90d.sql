-- Whether an opportunity that was closed within the horizon was won; of one that is still open, was
-- closed before or was deleted, it cannot be said.
SELECT
  opportunity_id,
  CASE
    WHEN is_deleted OR closed_at < as_of THEN NULL
    WHEN stage = 'won' THEN true
    WHEN stage = 'lost' THEN false
  END AS label
FROM opportunities
