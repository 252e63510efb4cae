SELECT
  concat(machine, ' ', reported) AS machine_day_id,
  machine AS machine_id,
  reported AS ended_at,
  hours,
  faults AS fault_count,
  site
FROM reports
