-- Each repair of a machine with the days since its repair before, whoever held it then. Repairs of
-- the same instant follow each other by ticket_id, so that the result is always the same.
SELECT
  ticket_id,
  machine_id,
  opened_at,
  lag(opened_at) OVER machine_repairs AS previous_opened_at,
  CAST(
    round((epoch(opened_at) - epoch(lag(opened_at) OVER machine_repairs)) / 86400, 6) AS DOUBLE
  ) AS gap_days
FROM service_tickets
WHERE kind = 'repair' AND machine_id IS NOT NULL AND status <> 'cancelled'
WINDOW machine_repairs AS (PARTITION BY machine_id ORDER BY opened_at, ticket_id)
