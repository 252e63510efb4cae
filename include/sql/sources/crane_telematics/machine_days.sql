-- A reading per machine and day, in the order in which readings come in. What the device sent stays
-- beside what is made of it, and a reading is judged only by what came before it:
-- * the machine's seven readings before, as far as they speak of the 28 days before: the day and
--   the hour meter from which this one goes on, the load that was shown last, the same reading;
-- * a usual day, which is the median of its working days in the month before.
-- A reading that comes again is left out. Units: minutes are told from hours by the hour meter, or
-- where the day before is not known by the idle time, which then is too long as well; a fuel unit
-- that is missing is the device's.
WITH litres_per (unit, litres) AS (
  VALUES ('L', 1.0), ('gal', 3.785411784)
),

placed AS (
  SELECT
    r.*,
    d.serial_no AS machine_id,
    coalesce(r.fuel_unit, d.fuel_unit) AS unit,
    CAST(r.measured_at AT TIME ZONE 'Asia/Shanghai' AS DATE) AS day,
    CAST(r.received_at AT TIME ZONE 'Asia/Shanghai' AS DATE) AS received_on,
    (epoch(r.received_at) - epoch(r.measured_at)) / 3600 AS delay_hours,
    hash(
      r.device_id, r.measured_at, r.work_hours, r.idle_hours, r.hour_meter, r.load_pct, r.fuel,
      r.fault_codes
    ) AS content
  FROM readings AS r
  LEFT JOIN devices AS d ON d.device_id = r.device_id
),

followed AS (
  SELECT
    *,
    -- a clock that is wrong by years would be the newest or the oldest for ever
    max(if(delay_hours BETWEEN -24 AND 672, day, NULL)) OVER before AS day_before,
    -- the meter of that very day, also where it shows none: the gap is counted from there
    arg_max_null(hour_meter, if(delay_hours BETWEEN -24 AND 672, day, NULL)) OVER before
      AS meter_before,
    arg_max(load_pct, if(load_pct > 0, received_at, NULL)) OVER before AS load_before,
    max(if(load_pct > 0, received_at, NULL)) OVER before AS load_before_at,
    list(content) OVER before AS contents_before
  FROM placed
  WINDOW before AS (
    PARTITION BY machine_id
    ORDER BY received_at, reading_id
    ROWS BETWEEN 7 PRECEDING AND 1 PRECEDING
  )
),

usual AS (
  SELECT
    machine_id,
    date_trunc('month', received_on) + INTERVAL 1 MONTH AS month,
    median(work_hours) AS usual_hours,
    mad(work_hours) AS usual_deviation,
    count(*) AS usual_days
  FROM placed
  WHERE work_hours > 0 AND work_hours <= 24
  GROUP BY ALL
),

metered AS (
  SELECT
    *,
    if(day > day_before AND day_before >= received_on - 28, day - day_before - 1, NULL)
      AS gap_days,
    coalesce(load_pct > 0 AND load_pct = load_before, false)
    AND load_before_at >= received_at - INTERVAL 28 DAY AS is_load_stuck,
    coalesce(list_contains(contents_before, content), false)
    AND measured_at >= received_at - INTERVAL 28 DAY AS is_repeated
  FROM followed
),

compared AS (
  SELECT
    *,
    if(
      hour_meter - meter_before BETWEEN 0 AND 24 * (gap_days + 1) + 0.2,
      round(hour_meter - meter_before, 1),
      NULL
    ) AS meter_hours
  FROM metered
  WHERE NOT is_repeated
),

judged AS (
  SELECT
    *,
    CASE
      WHEN work_hours < 0 THEN 'negative'
      WHEN gap_days = 0 AND meter_hours IS NOT NULL AND work_hours IS NOT NULL THEN
        CASE  -- the meter shows tenths of an hour
          WHEN abs(work_hours - meter_hours) <= 0.15 THEN NULL
          WHEN abs(work_hours / 60 - meter_hours) <= 0.15 THEN 'minutes'
          WHEN work_hours > 24 THEN 'impossible'
          ELSE 'disagrees_with_meter'
        END
      WHEN work_hours > 24 AND work_hours <= 1440 AND idle_hours >= 0.1 * work_hours
        THEN 'minutes'
      WHEN work_hours > 24 THEN 'impossible'
    END AS hours_issue
  FROM compared
),

measured AS (
  SELECT
    *,
    CASE
      WHEN hours_issue = 'minutes' THEN round(work_hours / 60, 3)
      WHEN hours_issue IN ('negative', 'impossible') THEN if(gap_days = 0, meter_hours, NULL)
      ELSE work_hours
    END AS hours
  FROM judged
)

SELECT
  m.machine_id,
  m.day,
  (CAST(m.day + 1 AS TIMESTAMP) - INTERVAL 1 SECOND) AT TIME ZONE 'Asia/Shanghai' AS ended_at,
  m.hours AS work_hours,
  m.work_hours AS work_hours_sent,
  m.hours_issue,
  CASE
    WHEN m.hours IS NULL THEN NULL
    WHEN m.hours_issue = 'minutes' THEN 'minutes'
    WHEN m.hours_issue IN ('negative', 'impossible') THEN 'hour_meter'
    ELSE 'as_sent'
  END AS hours_from,
  if(m.hours_issue = 'minutes', round(m.idle_hours / 60, 3), m.idle_hours) AS idle_hours,
  m.idle_hours AS idle_hours_sent,
  m.hour_meter,
  m.meter_hours,
  if(m.is_load_stuck, NULL, m.load_pct / 100) AS load_share,
  m.load_pct AS load_percent_sent,
  m.is_load_stuck,
  round(m.fuel * l.litres, 3) AS fuel_litres,
  m.fuel AS fuel_sent,
  m.fuel_unit AS fuel_unit_sent,
  m.fuel_unit IS NULL AND l.litres IS NOT NULL AS is_fuel_unit_inferred,
  m.region_code AS region,
  if(m.fault_codes IS NULL, [], string_split(m.fault_codes, ',')) AS fault_codes,
  if(m.fault_codes IS NULL, 0, len(string_split(m.fault_codes, ','))) AS fault_count,
  u.usual_hours,
  coalesce(
    m.hours > 0 AND u.usual_days >= 10
    -- the hours of a day are skewed, and those of a month may hardly differ
    AND abs(m.hours - u.usual_hours) > 5 * greatest(1.4826 * u.usual_deviation, 0.5),
    false
  ) AS is_hours_outlier,
  m.gap_days,
  m.delay_hours,
  CAST(m.reading_id AS VARCHAR) AS reading_id,
  CAST(m.device_id AS VARCHAR) AS device_id,
  m.received_at AS valid_at
FROM measured AS m
LEFT JOIN litres_per AS l ON l.unit = m.unit
LEFT JOIN usual AS u
  ON u.machine_id = m.machine_id AND u.month = date_trunc('month', m.received_on)
