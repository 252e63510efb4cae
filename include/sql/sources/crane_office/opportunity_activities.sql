SELECT
  activity_id,
  opportunity_no AS opportunity_id,
  kind,
  happened_at
FROM activities
