-- The days of gaps up to two weeks that were open when a reading came and still are, and the days
-- whose reading has no possible hours. What the hour meter went on in a gap, less the day's own hours
-- and those of readings that came late, is put on the days that are left in equal parts; where the
-- meter does not tell, a usual day stands in. Only the days that end a gap are looked at further.
WITH gaps AS (
  SELECT
    machine_id,
    day,
    ended_at,
    work_hours,
    meter_hours,
    usual_hours,
    unnest(range(1, gap_days + 1)) AS back
  FROM machine_days
  WHERE gap_days BETWEEN 1 AND 14
),

looked_up AS (
  SELECT
    g.machine_id,
    g.day AS found_on,
    CAST(g.day - CAST(g.back AS INTEGER) AS DATE) AS day,
    g.ended_at - g.back * INTERVAL 1 DAY AS ended_at,
    g.meter_hours - g.work_hours AS metered,
    g.usual_hours,
    late.machine_id IS NULL AS is_missing,
    coalesce(late.work_hours, late.usual_hours, 0) AS late_hours
  FROM gaps AS g
  LEFT JOIN machine_days AS late
    ON late.machine_id = g.machine_id AND late.day = CAST(g.day - CAST(g.back AS INTEGER) AS DATE)
),

shared AS (
  SELECT
    *,
    count(*) FILTER (WHERE is_missing) OVER gap AS missing_days,
    metered - coalesce(sum(late_hours) FILTER (WHERE NOT is_missing) OVER gap, 0) AS left_hours
  FROM looked_up
  WINDOW gap AS (PARTITION BY machine_id, found_on)
),

filled AS (
  SELECT
    machine_id,
    day,
    ended_at,
    if(left_hours IS NULL, usual_hours, greatest(0, least(24, left_hours / missing_days)))
      AS work_hours,
    if(left_hours IS NULL, 'usual_day', 'hour_meter') AS method,
    missing_days AS gap_days,
    found_on
  FROM shared
  WHERE is_missing

  UNION ALL

  SELECT machine_id, day, ended_at, usual_hours, 'usual_day', 1, day
  FROM machine_days
  WHERE work_hours IS NULL
)

SELECT
  machine_id,
  day,
  ended_at,
  round(work_hours, 3) AS work_hours,
  method,
  gap_days
FROM filled
WHERE work_hours IS NOT NULL
-- readings in a wrong order may open two gaps over the same days
QUALIFY row_number() OVER (PARTITION BY machine_id, day ORDER BY found_on) = 1
