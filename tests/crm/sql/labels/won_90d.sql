-- Whether an opportunity that was closed within the horizon was won; of one that is still open, or
-- was closed before, it cannot be said.
SELECT
  opportunity_id,
  CASE stage WHEN 'won' THEN true WHEN 'lost' THEN false END AS label
FROM opportunities
