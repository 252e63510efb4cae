-- Each machine's last maintenance and what its meter has counted since. The meter goes on through
-- days whose reading was lost, so nothing needs to be filled in; a maintenance is in the morning, so
-- what was read before it is of the day before or older.
WITH maintained AS (
  SELECT machine_id, max(opened_at) AS maintained_at
  FROM service_tickets
  WHERE kind = 'maintenance' AND machine_id IS NOT NULL
  GROUP BY machine_id
),

meters AS (
  SELECT
    d.machine_id,
    max(d.hour_meter) AS latest,
    coalesce(
      max(CASE WHEN d.ended_at < t.maintained_at THEN d.hour_meter END), min(d.hour_meter)
    ) AS at_maintenance
  FROM machine_days AS d
  LEFT JOIN maintained AS t ON t.machine_id = d.machine_id
  WHERE d.hour_meter IS NOT NULL
  GROUP BY d.machine_id
)

SELECT
  m.machine_id,
  t.maintained_at,
  CAST(round(r.latest - r.at_maintenance, 1) AS DOUBLE) AS hours_since,
  CAST(round(m.maintenance_hours - (r.latest - r.at_maintenance), 1) AS DOUBLE) AS hours_left
FROM machines AS m
LEFT JOIN maintained AS t ON t.machine_id = m.machine_id
LEFT JOIN meters AS r ON r.machine_id = m.machine_id
