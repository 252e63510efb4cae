-- A change is a version of its incident. Times have no seconds, so of several changes in a minute
-- the last one counts. Every row of the export, the first too, has the time at which the incident
-- was closed at last: it is told once it is closed.
SELECT
  number AS ticket_id,
  caller_id AS customer_key,
  CASE
    WHEN incident_state IN ('New', 'Active') OR starts_with(incident_state, 'Awaiting ') THEN 'open'
    ELSE lower(incident_state)
  END AS status,
  opened_at,
  if(incident_state = 'Closed', closed_at, NULL) AS closed_at,
  made_sla AS is_sla_kept,
  sys_updated_at AS valid_at
FROM changes
QUALIFY
  row_number() OVER (PARTITION BY number, sys_updated_at ORDER BY sys_mod_count DESC) = 1
