WITH identity_rows AS NOT MATERIALIZED (
  SELECT r."customer_key", r."customer_id"
  FROM identity AS r
  WHERE r.valid_at < TIMESTAMPTZ '2026-03-01 00:00:00+00:00'
    AND NOT EXISTS (SELECT 1 FROM identity__superseded AS s
    WHERE s."customer_key" = r."customer_key" AND s."valid_at" = r."valid_at" AND s."loaded_at" = r."loaded_at" AND s.until_at < TIMESTAMPTZ '2026-03-01 00:00:00+00:00')
),
opportunities_rows AS NOT MATERIALIZED (
  SELECT i.customer_id AS customer_id, r."opportunity_id", r."since_at", r."stage"
  FROM opportunities AS r
  LEFT JOIN identity_rows AS i ON i.customer_key = r."customer_key"
  WHERE r.valid_at < TIMESTAMPTZ '2026-03-01 00:00:00+00:00'
    AND r.since_at < TIMESTAMPTZ '2026-03-01 00:00:00+00:00'
    AND NOT EXISTS (SELECT 1 FROM opportunities__superseded AS s
    WHERE s."opportunity_id" = r."opportunity_id" AND s."valid_at" = r."valid_at" AND s."loaded_at" = r."loaded_at" AND s.until_at < TIMESTAMPTZ '2026-03-01 00:00:00+00:00')
),
opportunity_opportunities_extractions AS NOT MATERIALIZED (
  SELECT
    r.opportunity_id,
    DATE_DIFF('DAY', CAST("r"."since_at" AT TIME ZONE 'Asia/Shanghai' AS DATE), CAST(CAST('2026-03-01 08:00:00' AS TIMESTAMP) AS DATE)) AS "opportunity_age_days",
    "r"."stage" AS "opportunity_stage"
  FROM opportunities_rows AS r
),
opportunity_wide_0 AS MATERIALIZED (
  SELECT
    p.opportunity_id,
    CAST(opportunity_opportunities_extractions."opportunity_age_days" AS BIGINT) AS "opportunity_age_days",
    CAST(opportunity_opportunities_extractions."opportunity_stage" AS TEXT) AS "opportunity_stage"
  FROM opportunities_rows AS p
  LEFT JOIN opportunity_opportunities_extractions ON opportunity_opportunities_extractions.opportunity_id = p.opportunity_id
),
opportunity_wide_1 AS MATERIALIZED (
  SELECT
    w.*,
    CAST(CASE WHEN "w"."opportunity_age_days" > 30 AND "w"."opportunity_stage" = 'open' THEN 0 ELSE 1 END AS BIGINT) AS "is_stale__case",
    CAST(CASE "is_stale__case" WHEN 0 THEN TRUE ELSE FALSE END AS BOOLEAN) AS "is_stale"
  FROM opportunity_wide_0 AS w
)
SELECT
  opportunity_id,
  TIMESTAMPTZ '2026-03-01 00:00:00+00:00' AS as_of,
  "opportunity_age_days",
  "opportunity_stage",
  "is_stale",
  "is_stale__case"
FROM opportunity_wide_1
ORDER BY opportunity_id
