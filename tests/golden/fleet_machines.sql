WITH identity_rows AS NOT MATERIALIZED (
  SELECT r."customer_key", r."customer_id"
  FROM identity AS r
  WHERE r.valid_at < TIMESTAMPTZ '2026-03-01 00:00:00+00:00'
    AND NOT EXISTS (SELECT 1 FROM identity__superseded AS s
    WHERE s."customer_key" = r."customer_key" AND s."valid_at" = r."valid_at" AND s."loaded_at" = r."loaded_at" AND s.until_at < TIMESTAMPTZ '2026-03-01 00:00:00+00:00')
),
machine_days_rows AS NOT MATERIALIZED (
  SELECT r."machine_id", r."ended_at", r."hours", r."fault_count", r."site"
  FROM machine_days AS r
  WHERE r.valid_at < TIMESTAMPTZ '2026-03-01 00:00:00+00:00'
    AND r."ended_at" < TIMESTAMPTZ '2026-03-01 00:00:00+00:00'
),
machines_rows AS NOT MATERIALIZED (
  SELECT i.customer_id AS customer_id, r."machine_id", r."model"
  FROM machines AS r
  LEFT JOIN identity_rows AS i ON i.customer_key = r."owner"
  WHERE r.valid_at < TIMESTAMPTZ '2026-03-01 00:00:00+00:00'
    AND r.since_at < TIMESTAMPTZ '2026-03-01 00:00:00+00:00'
    AND NOT EXISTS (SELECT 1 FROM machines__superseded AS s
    WHERE s."machine_id" = r."machine_id" AND s."valid_at" = r."valid_at" AND s."loaded_at" = r."loaded_at" AND s.until_at < TIMESTAMPTZ '2026-03-01 00:00:00+00:00')
),
machine_machine_days_statistics AS NOT MATERIALIZED (
  SELECT
    r.subject_key AS machine_id,
    SUM("r"."fault_count") AS "machine_fault_count",
    CAST(SUM(CASE WHEN r.condition_1 THEN CAST("r"."hours" AS DECIMAL(38, 6)) END) AS DOUBLE) AS "machine_hours_30d"
  FROM (
    SELECT
      r.machine_id AS subject_key,
      "r"."fault_count" AS "fault_count",
      "r"."hours" AS "hours",
      r."ended_at" >= CAST('2026-01-30 00:00:00+00:00' AS TIMESTAMPTZ) AS condition_1
    FROM machine_days_rows AS r
  ) AS r
  GROUP BY r.subject_key
),
main_site_groups AS NOT MATERIALIZED (
  SELECT r.machine_id, "r"."site" AS label, CAST(SUM(CAST("r"."hours" AS DECIMAL(38, 6))) AS DOUBLE) AS score
  FROM machine_days_rows AS r
  WHERE ("r"."site") IS NOT NULL
  GROUP BY 1, 2
),
main_site_places AS NOT MATERIALIZED (
  SELECT machine_id, label, ROW_NUMBER() OVER (
    PARTITION BY machine_id ORDER BY score DESC NULLS LAST, label) AS place
  FROM main_site_groups
),
main_site_pick AS NOT MATERIALIZED (
  SELECT machine_id, MAX(label) AS label
  FROM main_site_places
  WHERE place <= 1
  GROUP BY machine_id
),
machine_machines_extractions AS NOT MATERIALIZED (
  SELECT
    r.machine_id,
    "r"."model" AS "machine_model"
  FROM machines_rows AS r
),
machine_wide_0 AS MATERIALIZED (
  SELECT
    p.machine_id,
    CAST(COALESCE(machine_machine_days_statistics."machine_fault_count", 0) AS BIGINT) AS "machine_fault_count",
    CAST(COALESCE(machine_machine_days_statistics."machine_hours_30d", 0) AS DOUBLE) AS "machine_hours_30d",
    CAST(main_site_pick.label AS TEXT) AS "main_site",
    CAST(machine_machines_extractions."machine_model" AS TEXT) AS "machine_model"
  FROM machines_rows AS p
  LEFT JOIN machine_machine_days_statistics ON machine_machine_days_statistics.machine_id = p.machine_id
  LEFT JOIN main_site_pick ON main_site_pick.machine_id = p.machine_id
  LEFT JOIN machine_machines_extractions ON machine_machines_extractions.machine_id = p.machine_id
),
machine_cutpoints_1_machine_model AS NOT MATERIALIZED (
  SELECT "machine_model" AS within, QUANTILE_DISC("machine_hours_30d", [0.3333333333333333, 0.6666666666666666]) AS "machine_hours_rank"
  FROM machine_wide_0
  GROUP BY "machine_model"
),
machine_wide_1 AS MATERIALIZED (
  SELECT
    w.*,
    1 + CAST(w."machine_hours_30d" > machine_cutpoints_1_machine_model."machine_hours_rank"[1] AS BIGINT) + CAST(w."machine_hours_30d" > machine_cutpoints_1_machine_model."machine_hours_rank"[2] AS BIGINT) AS "machine_hours_rank",
    CAST(CASE WHEN "w"."machine_hours_30d" < 20 THEN 0 ELSE 1 END AS BIGINT) AS "is_idle__case",
    CAST(CASE "is_idle__case" WHEN 0 THEN TRUE ELSE FALSE END AS BOOLEAN) AS "is_idle"
  FROM machine_wide_0 AS w
  LEFT JOIN machine_cutpoints_1_machine_model ON machine_cutpoints_1_machine_model.within IS NOT DISTINCT FROM w."machine_model"
)
SELECT
  machine_id,
  TIMESTAMPTZ '2026-03-01 00:00:00+00:00' AS as_of,
  "machine_fault_count",
  "machine_hours_30d",
  "machine_model",
  "main_site",
  "is_idle",
  "is_idle__case",
  "machine_hours_rank"
FROM machine_wide_1
ORDER BY machine_id
