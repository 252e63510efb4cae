WITH identity_rows AS NOT MATERIALIZED (
  SELECT r."customer_key", r."customer_id"
  FROM identity AS r
  WHERE r.valid_at < TIMESTAMPTZ '2026-03-01 00:00:00+00:00'
    AND NOT EXISTS (SELECT 1 FROM identity__superseded AS s
    WHERE s."customer_key" = r."customer_key" AND s."valid_at" = r."valid_at" AND s."loaded_at" = r."loaded_at" AND s.until_at < TIMESTAMPTZ '2026-03-01 00:00:00+00:00')
),
customers_rows AS NOT MATERIALIZED (
  SELECT CAST(r."customer_id" AS VARCHAR) AS customer_id
  FROM customers AS r
  WHERE r.valid_at < TIMESTAMPTZ '2026-03-01 00:00:00+00:00'
    AND r.since_at < TIMESTAMPTZ '2026-03-01 00:00:00+00:00'
    AND NOT EXISTS (SELECT 1 FROM customers__superseded AS s
    WHERE s."customer_id" = r."customer_id" AND s."valid_at" = r."valid_at" AND s."loaded_at" = r."loaded_at" AND s.until_at < TIMESTAMPTZ '2026-03-01 00:00:00+00:00')
),
labels_rows AS NOT MATERIALIZED (
  SELECT i.customer_id AS customer_id, r."label_id", r."label_set", r."value", r."judged_by", r."judged_at"
  FROM labels AS r
  LEFT JOIN identity_rows AS i ON i.customer_key = r."customer_key"
  WHERE r.valid_at < TIMESTAMPTZ '2026-03-01 00:00:00+00:00'
    AND r."judged_at" < TIMESTAMPTZ '2026-03-01 00:00:00+00:00'
    AND NOT EXISTS (SELECT 1 FROM labels__superseded AS s
    WHERE s."label_id" = r."label_id" AND s."valid_at" = r."valid_at" AND s."loaded_at" = r."loaded_at" AND s.until_at < TIMESTAMPTZ '2026-03-01 00:00:00+00:00')
),
machine_days_rows AS NOT MATERIALIZED (
  SELECT r."machine_id", r."ended_at", r."hours", r."fault_count", r."site"
  FROM machine_days AS r
  WHERE r.valid_at < TIMESTAMPTZ '2026-03-01 00:00:00+00:00'
    AND r."ended_at" < TIMESTAMPTZ '2026-03-01 00:00:00+00:00'
),
machines_rows AS NOT MATERIALIZED (
  SELECT i.customer_id AS customer_id, r."machine_id", r."owner", r."model"
  FROM machines AS r
  LEFT JOIN identity_rows AS i ON i.customer_key = r."owner"
  WHERE r.valid_at < TIMESTAMPTZ '2026-03-01 00:00:00+00:00'
    AND r.since_at < TIMESTAMPTZ '2026-03-01 00:00:00+00:00'
    AND NOT EXISTS (SELECT 1 FROM machines__superseded AS s
    WHERE s."machine_id" = r."machine_id" AND s."valid_at" = r."valid_at" AND s."loaded_at" = r."loaded_at" AND s.until_at < TIMESTAMPTZ '2026-03-01 00:00:00+00:00')
),
opportunities_rows AS NOT MATERIALIZED (
  SELECT i.customer_id AS customer_id, r."opportunity_id", r."customer_key", r."since_at", r."stage", r."amount"
  FROM opportunities AS r
  LEFT JOIN identity_rows AS i ON i.customer_key = r."customer_key"
  WHERE r.valid_at < TIMESTAMPTZ '2026-03-01 00:00:00+00:00'
    AND r.since_at < TIMESTAMPTZ '2026-03-01 00:00:00+00:00'
    AND NOT EXISTS (SELECT 1 FROM opportunities__superseded AS s
    WHERE s."opportunity_id" = r."opportunity_id" AND s."valid_at" = r."valid_at" AND s."loaded_at" = r."loaded_at" AND s.until_at < TIMESTAMPTZ '2026-03-01 00:00:00+00:00')
),
machine_machine_days_statistics AS NOT MATERIALIZED (
  SELECT
    r.subject_key AS machine_id,
    CAST(SUM(CAST("r"."hours" AS DECIMAL(38, 6))) AS DOUBLE) AS "machine_hours_30d"
  FROM (
    SELECT
      r.machine_id AS subject_key,
      "r"."hours" AS "hours"
    FROM machine_days_rows AS r
    WHERE r."ended_at" >= CAST('2026-01-30 00:00:00+00:00' AS TIMESTAMPTZ)
  ) AS r
  GROUP BY r.subject_key
),
machine_wide_0 AS MATERIALIZED (
  SELECT
    p.machine_id,
    CAST(COALESCE(machine_machine_days_statistics."machine_hours_30d", 0) AS DOUBLE) AS "machine_hours_30d"
  FROM machines_rows AS p
  LEFT JOIN machine_machine_days_statistics ON machine_machine_days_statistics.machine_id = p.machine_id
),
machine_wide_1 AS MATERIALIZED (
  SELECT
    w.*,
    CAST(CASE WHEN "w"."machine_hours_30d" < 20 THEN 0 ELSE 1 END AS BIGINT) AS "is_idle__case",
    CAST(CASE "is_idle__case" WHEN 0 THEN TRUE ELSE FALSE END AS BOOLEAN) AS "is_idle"
  FROM machine_wide_0 AS w
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
),
machines_by_owner AS NOT MATERIALIZED (
  SELECT r."machine_id", r.valid_at, COALESCE(s.until_at, TIMESTAMPTZ '2026-03-01 00:00:00+00:00') AS until_at, i.customer_id AS customer_id
  FROM machines AS r
  LEFT JOIN identity_rows AS i ON i.customer_key = r."owner"
  LEFT JOIN (SELECT "machine_id", valid_at, loaded_at, MIN(until_at) AS until_at
    FROM machines__superseded GROUP BY "machine_id", valid_at, loaded_at) AS s
    ON s."machine_id" = r."machine_id" AND s.valid_at = r.valid_at AND s.loaded_at = r.loaded_at
  WHERE r.valid_at < TIMESTAMPTZ '2026-03-01 00:00:00+00:00'
),
machine_days_machines_by_owner_statistics AS NOT MATERIALIZED (
  SELECT
    r.subject_key AS customer_id,
    SUM(CASE WHEN r.condition_1 THEN "r"."fault_count" END) AS "owned_faults_30d",
    CAST(SUM(CAST("r"."hours" AS DECIMAL(38, 6))) AS DOUBLE) AS "owned_hours_total"
  FROM (
    SELECT
      machines_by_owner.customer_id AS subject_key,
      "r"."fault_count" AS "fault_count",
      "r"."hours" AS "hours",
      r."ended_at" >= CAST('2026-01-30 00:00:00+00:00' AS TIMESTAMPTZ) AND "machine"."model" <> 'M3' AS condition_1
    FROM machine_days_rows AS r
  JOIN machines_by_owner ON machines_by_owner."machine_id" = r."machine_id"
    AND machines_by_owner.valid_at <= r."ended_at" AND r."ended_at" < machines_by_owner.until_at
  LEFT JOIN machines_rows AS "machine" ON "machine"."machine_id" = r."machine_id"
  ) AS r
  GROUP BY r.subject_key
),
owned_site_groups AS NOT MATERIALIZED (
  SELECT machines_by_owner.customer_id, "r"."site" AS label, CAST(SUM(CAST("r"."hours" AS DECIMAL(38, 6))) AS DOUBLE) AS score
  FROM machine_days_rows AS r
  JOIN machines_by_owner ON machines_by_owner."machine_id" = r."machine_id"
    AND machines_by_owner.valid_at <= r."ended_at" AND r."ended_at" < machines_by_owner.until_at
  WHERE ("r"."site") IS NOT NULL
  GROUP BY 1, 2
),
owned_site_places AS NOT MATERIALIZED (
  SELECT customer_id, label, ROW_NUMBER() OVER (
    PARTITION BY customer_id ORDER BY score DESC NULLS LAST, label) AS place
  FROM owned_site_groups
),
owned_site_pick AS NOT MATERIALIZED (
  SELECT customer_id, MAX(label) AS label
  FROM owned_site_places
  WHERE place <= 1
  GROUP BY customer_id
),
machines_statistics AS NOT MATERIALIZED (
  SELECT
    r.subject_key AS customer_id,
    MAX(CASE WHEN r.condition_1 THEN "r"."machine_hours_30d" END) AS "best_machine_hours",
    COUNT(CASE WHEN r.condition_2 THEN 1 END) AS "idle_machine_count"
  FROM (
    SELECT
      r.customer_id AS subject_key,
      "machine_tags"."machine_hours_30d" AS "machine_hours_30d",
      "r"."model" <> 'M3' AS condition_1,
      "machine_tags"."is_idle" AS condition_2
    FROM machines_rows AS r
  LEFT JOIN machine_wide_1 AS machine_tags ON machine_tags.machine_id = r.machine_id
  ) AS r
  GROUP BY r.subject_key
),
opportunities_statistics AS NOT MATERIALIZED (
  SELECT
    r.subject_key AS customer_id,
    CAST(SUM(CAST("r"."amount" AS DECIMAL(38, 6))) AS DOUBLE) AS "stale_amount"
  FROM (
    SELECT
      r.customer_id AS subject_key,
      "r"."amount" AS "amount"
    FROM opportunities_rows AS r
  LEFT JOIN opportunity_wide_1 AS opportunity_tags ON opportunity_tags.opportunity_id = r.opportunity_id
    WHERE "opportunity_tags"."is_stale"
  ) AS r
  GROUP BY r.subject_key
),
labels_by_annotator AS NOT MATERIALIZED (
  SELECT r.customer_id, r.label_set, r.value, ROW_NUMBER() OVER (
    PARTITION BY r.customer_id, r.label_set, r.judged_by
    ORDER BY r.judged_at DESC, r."label_id" DESC) AS place
  FROM labels_rows AS r
  WHERE r.label_set IN ('key_account', 'mood')
),
is_key_account_counts AS NOT MATERIALIZED (
  SELECT customer_id, value, COUNT(*) AS judges
  FROM labels_by_annotator
  WHERE place = 1 AND label_set = 'key_account' AND value IN ('true', 'false')
  GROUP BY customer_id, value
),
is_key_account_leaders AS NOT MATERIALIZED (
  SELECT customer_id, value, judges,
    SUM(judges) OVER (PARTITION BY customer_id) AS of_all,
    MAX(judges) OVER (PARTITION BY customer_id) AS most
  FROM is_key_account_counts
),
is_key_account_agreed AS NOT MATERIALIZED (
  SELECT customer_id, MIN(value) AS value, COUNT(*) AS leaders,
    CAST(MIN(judges) AS DOUBLE) / CAST(MIN(of_all) AS DOUBLE) AS share
  FROM is_key_account_leaders
  WHERE judges = most
  GROUP BY customer_id
),
mood_counts AS NOT MATERIALIZED (
  SELECT customer_id, value, COUNT(*) AS judges
  FROM labels_by_annotator
  WHERE place = 1 AND label_set = 'mood' AND value IN ('glad', 'calm', 'angry')
  GROUP BY customer_id, value
),
mood_leaders AS NOT MATERIALIZED (
  SELECT customer_id, value, judges,
    SUM(judges) OVER (PARTITION BY customer_id) AS of_all,
    MAX(judges) OVER (PARTITION BY customer_id) AS most
  FROM mood_counts
),
mood_agreed AS NOT MATERIALIZED (
  SELECT customer_id, MIN(value) AS value, COUNT(*) AS leaders,
    CAST(MIN(judges) AS DOUBLE) / CAST(MIN(of_all) AS DOUBLE) AS share
  FROM mood_leaders
  WHERE judges = most
  GROUP BY customer_id
),
wide_0 AS MATERIALIZED (
  SELECT
    p.customer_id,
    CAST(COALESCE(machine_days_machines_by_owner_statistics."owned_faults_30d", 0) AS BIGINT) AS "owned_faults_30d",
    CAST(COALESCE(machine_days_machines_by_owner_statistics."owned_hours_total", 0) AS DOUBLE) AS "owned_hours_total",
    CAST(owned_site_pick.label AS TEXT) AS "owned_site",
    CAST(machines_statistics."best_machine_hours" AS DOUBLE) AS "best_machine_hours",
    CAST(COALESCE(machines_statistics."idle_machine_count", 0) AS BIGINT) AS "idle_machine_count",
    CAST(COALESCE(opportunities_statistics."stale_amount", 0) AS DOUBLE) AS "stale_amount",
    CAST(CASE WHEN is_key_account_agreed.leaders > 1 THEN NULL WHEN is_key_account_agreed.share >= CAST(0.6 AS DOUBLE) THEN is_key_account_agreed.value = 'true' ELSE FALSE END AS BOOLEAN) AS "is_key_account",
    CAST(CASE WHEN mood_agreed.leaders > 1 THEN NULL WHEN mood_agreed.share >= CAST(0.5 AS DOUBLE) THEN mood_agreed.value ELSE CAST(NULL AS TEXT) END AS TEXT) AS "mood"
  FROM customers_rows AS p
  LEFT JOIN machine_days_machines_by_owner_statistics ON machine_days_machines_by_owner_statistics.customer_id = p.customer_id
  LEFT JOIN owned_site_pick ON owned_site_pick.customer_id = p.customer_id
  LEFT JOIN machines_statistics ON machines_statistics.customer_id = p.customer_id
  LEFT JOIN opportunities_statistics ON opportunities_statistics.customer_id = p.customer_id
  LEFT JOIN is_key_account_agreed ON is_key_account_agreed.customer_id = p.customer_id
  LEFT JOIN mood_agreed ON mood_agreed.customer_id = p.customer_id
),
wide_1 AS MATERIALIZED (
  SELECT
    w.*,
    CAST(CASE WHEN "w"."idle_machine_count" > 0 AND "w"."stale_amount" > 0 THEN 0 ELSE 1 END AS BIGINT) AS "needs_call__case",
    CAST(CASE "needs_call__case" WHEN 0 THEN TRUE ELSE FALSE END AS BOOLEAN) AS "needs_call",
    CAST(CASE WHEN "w"."best_machine_hours" IS NULL THEN NULL ELSE GREATEST(0, LEAST(100, (100 * (CAST("w"."best_machine_hours" AS DOUBLE) - 0)) / (120 - 0))) END AS DOUBLE) AS "use_score__best_machine_hours",
    CAST(CASE WHEN "w"."idle_machine_count" IS NULL THEN 100 WHEN "w"."idle_machine_count" >= 4 THEN 0 WHEN "w"."idle_machine_count" >= 2 THEN 20 WHEN "w"."idle_machine_count" >= 1 THEN 60 ELSE 100 END AS DOUBLE) AS "use_score__idle_machine_count",
    CAST(CASE WHEN "w"."is_key_account" IS NULL THEN 0 WHEN "w"."is_key_account" THEN 100 ELSE 0 END AS DOUBLE) AS "use_score__is_key_account",
    CAST(LEAST(100, CAST((60 * COALESCE("use_score__best_machine_hours", 0)) + (30 * "use_score__idle_machine_count") + (10 * "use_score__is_key_account") AS DOUBLE) / (40 + CASE WHEN "use_score__best_machine_hours" IS NULL THEN 0 ELSE 60 END)) AS DOUBLE) AS "use_score"
  FROM wide_0 AS w
),
wide_2 AS MATERIALIZED (
  SELECT
    w.*,
    CAST(COALESCE("w"."needs_call", FALSE) AS BOOLEAN) AS "owner_grade_care__needs_call",
    CAST("owner_grade_care__needs_call" AS BOOLEAN) AS "owner_grade_care",
    CAST(CASE WHEN "w"."use_score" IS NULL THEN 50 ELSE GREATEST(0, LEAST(100, (100 * (CAST("w"."use_score" AS DOUBLE) - 0)) / (100 - 0))) END AS DOUBLE) AS "owner_grade_points__use_score",
    CAST(CASE WHEN "w"."owned_faults_30d" IS NULL THEN 100 ELSE GREATEST(0, LEAST(100, (100 * (CAST("w"."owned_faults_30d" AS DOUBLE) - 10)) / (0 - 10))) END AS DOUBLE) AS "owner_grade_points__owned_faults_30d",
    CAST(CASE WHEN "w"."stale_amount" IS NULL THEN 100 WHEN "w"."stale_amount" >= 1000 THEN 0 WHEN "w"."stale_amount" >= 1 THEN 50 ELSE 100 END AS DOUBLE) AS "owner_grade_points__stale_amount",
    CAST(LEAST(100, CAST((60 * "owner_grade_points__use_score") + (25 * "owner_grade_points__owned_faults_30d") + (15 * "owner_grade_points__stale_amount") AS DOUBLE) / 100) AS DOUBLE) AS "owner_grade_points"
  FROM wide_1 AS w
),
wide_3 AS MATERIALIZED (
  SELECT
    w.*,
    CAST(CASE WHEN "w"."owner_grade_points" >= 70 THEN 0 WHEN "w"."owner_grade_points" >= 45 THEN 1 WHEN "w"."owner_grade_points" >= 25 THEN 2 ELSE 3 END AS BIGINT) AS "owner_grade__points",
    CAST(COALESCE("w"."stale_amount" >= 1500, FALSE) AS BOOLEAN) AS "owner_grade__limit_0",
    CAST(CASE WHEN "owner_grade__limit_0" THEN 2 ELSE 0 END AS BIGINT) AS "owner_grade__limit",
    CAST(GREATEST("owner_grade__points", "owner_grade__limit") AS BIGINT) AS "owner_grade__today",
    CAST(CASE WHEN "previous"."owner_grade" = 'A' THEN 0 WHEN "previous"."owner_grade" = 'B' THEN 1 WHEN "previous"."owner_grade" = 'C' THEN 2 WHEN "previous"."owner_grade" = 'D' THEN 3 END AS BIGINT) AS "owner_grade__was",
    CAST(CASE WHEN "owner_grade__was" >= GREATEST(CASE WHEN ("w"."owner_grade_points" + 3) >= 70 THEN 0 WHEN ("w"."owner_grade_points" + 3) >= 45 THEN 1 WHEN ("w"."owner_grade_points" + 3) >= 25 THEN 2 ELSE 3 END, "owner_grade__limit") AND "owner_grade__was" <= GREATEST(CASE WHEN ("w"."owner_grade_points" - 3) >= 70 THEN 0 WHEN ("w"."owner_grade_points" - 3) >= 45 THEN 1 WHEN ("w"."owner_grade_points" - 3) >= 25 THEN 2 ELSE 3 END, "owner_grade__limit") THEN "owner_grade__was" ELSE "owner_grade__today" END AS BIGINT) AS "owner_grade__wish",
    CAST(CASE WHEN "owner_grade__was" IS NULL THEN "owner_grade__today" WHEN "owner_grade__wish" = "owner_grade__was" THEN "owner_grade__was" WHEN NOT "previous"."owner_grade_before" IS NULL AND DATE_DIFF('DAY', CAST("previous"."owner_grade_since" AS DATE), CAST(CAST('2026-03-01 08:00:00' AS TIMESTAMP) AS DATE)) < 30 THEN CASE WHEN "owner_grade__limit" > "owner_grade__was" AND NOT COALESCE(CASE WHEN "previous"."owner_grade_before" = 'A' THEN 0 WHEN "previous"."owner_grade_before" = 'B' THEN 1 WHEN "previous"."owner_grade_before" = 'C' THEN 2 WHEN "previous"."owner_grade_before" = 'D' THEN 3 END >= "owner_grade__limit", FALSE) THEN "owner_grade__limit" ELSE "owner_grade__was" END ELSE "owner_grade__wish" END AS BIGINT) AS "owner_grade__now",
    CAST(CASE WHEN "owner_grade__now" = 0 THEN 'A' WHEN "owner_grade__now" = 1 THEN 'B' WHEN "owner_grade__now" = 2 THEN 'C' ELSE 'D' END AS VARCHAR) AS "owner_grade"
  FROM wide_2 AS w
  LEFT JOIN previous ON previous.customer_id = w.customer_id
),
wide_4 AS MATERIALIZED (
  SELECT
    w.*,
    CAST(CASE WHEN "w"."owner_grade" = "previous"."owner_grade" THEN "previous"."owner_grade_before" ELSE "previous"."owner_grade" END AS VARCHAR) AS "owner_grade_before",
    CAST(CASE WHEN ("w"."owner_grade__now" <> "w"."owner_grade__today" AND "w"."owner_grade__now" = "w"."owner_grade__was") AND NOT "previous"."owner_grade_reasons" IS NULL THEN "previous"."owner_grade_reasons" ELSE LIST_CONCAT(LIST_CONCAT(CASE WHEN COALESCE("w"."owner_grade__limit_0" AND CASE WHEN "w"."owner_grade__now" <> "w"."owner_grade__today" AND "w"."owner_grade__now" = "w"."owner_grade__was" THEN "w"."owner_grade__today" ELSE "w"."owner_grade__now" END = 2, FALSE) OR COALESCE(CASE WHEN "w"."owner_grade__now" <> "w"."owner_grade__today" AND "w"."owner_grade__now" = "w"."owner_grade__was" THEN "w"."owner_grade__today" ELSE "w"."owner_grade__now" END = "w"."owner_grade__points" AND (COALESCE((15 * "w"."owner_grade_points__stale_amount") > 0 AND (CASE WHEN (60 * "w"."owner_grade_points__use_score") >= (15 * "w"."owner_grade_points__stale_amount") THEN 60 * "w"."owner_grade_points__use_score" ELSE 0 END + CASE WHEN (25 * "w"."owner_grade_points__owned_faults_30d") >= (15 * "w"."owner_grade_points__stale_amount") THEN 25 * "w"."owner_grade_points__owned_faults_30d" ELSE 0 END) <= (((60 * "w"."owner_grade_points__use_score") + (25 * "w"."owner_grade_points__owned_faults_30d") + (15 * "w"."owner_grade_points__stale_amount")) - (CASE WHEN "w"."owner_grade__points" = 0 THEN 70 WHEN "w"."owner_grade__points" = 1 THEN 45 WHEN "w"."owner_grade__points" = 2 THEN 25 END * 100)), FALSE) OR COALESCE((15 * (100 - "w"."owner_grade_points__stale_amount")) > 0 AND (CASE WHEN (60 * (100 - "w"."owner_grade_points__use_score")) >= (15 * (100 - "w"."owner_grade_points__stale_amount")) THEN 60 * (100 - "w"."owner_grade_points__use_score") ELSE 0 END + CASE WHEN (25 * (100 - "w"."owner_grade_points__owned_faults_30d")) >= (15 * (100 - "w"."owner_grade_points__stale_amount")) THEN 25 * (100 - "w"."owner_grade_points__owned_faults_30d") ELSE 0 END) < ((CASE WHEN "w"."owner_grade__points" = 1 THEN 70 WHEN "w"."owner_grade__points" = 2 THEN 45 WHEN "w"."owner_grade__points" = 3 THEN 25 END * 100) - ((60 * "w"."owner_grade_points__use_score") + (25 * "w"."owner_grade_points__owned_faults_30d") + (15 * "w"."owner_grade_points__stale_amount"))), FALSE)), FALSE) THEN ['stale_amount'] ELSE CAST([] AS TEXT[]) END, CASE WHEN COALESCE(CASE WHEN "w"."owner_grade__now" <> "w"."owner_grade__today" AND "w"."owner_grade__now" = "w"."owner_grade__was" THEN "w"."owner_grade__today" ELSE "w"."owner_grade__now" END = "w"."owner_grade__points" AND (COALESCE((60 * "w"."owner_grade_points__use_score") > 0 AND (CASE WHEN (25 * "w"."owner_grade_points__owned_faults_30d") > (60 * "w"."owner_grade_points__use_score") THEN 25 * "w"."owner_grade_points__owned_faults_30d" ELSE 0 END + CASE WHEN (15 * "w"."owner_grade_points__stale_amount") > (60 * "w"."owner_grade_points__use_score") THEN 15 * "w"."owner_grade_points__stale_amount" ELSE 0 END) <= (((60 * "w"."owner_grade_points__use_score") + (25 * "w"."owner_grade_points__owned_faults_30d") + (15 * "w"."owner_grade_points__stale_amount")) - (CASE WHEN "w"."owner_grade__points" = 0 THEN 70 WHEN "w"."owner_grade__points" = 1 THEN 45 WHEN "w"."owner_grade__points" = 2 THEN 25 END * 100)), FALSE) OR COALESCE((60 * (100 - "w"."owner_grade_points__use_score")) > 0 AND (CASE WHEN (25 * (100 - "w"."owner_grade_points__owned_faults_30d")) > (60 * (100 - "w"."owner_grade_points__use_score")) THEN 25 * (100 - "w"."owner_grade_points__owned_faults_30d") ELSE 0 END + CASE WHEN (15 * (100 - "w"."owner_grade_points__stale_amount")) > (60 * (100 - "w"."owner_grade_points__use_score")) THEN 15 * (100 - "w"."owner_grade_points__stale_amount") ELSE 0 END) < ((CASE WHEN "w"."owner_grade__points" = 1 THEN 70 WHEN "w"."owner_grade__points" = 2 THEN 45 WHEN "w"."owner_grade__points" = 3 THEN 25 END * 100) - ((60 * "w"."owner_grade_points__use_score") + (25 * "w"."owner_grade_points__owned_faults_30d") + (15 * "w"."owner_grade_points__stale_amount"))), FALSE)), FALSE) THEN ['use_score'] ELSE CAST([] AS TEXT[]) END), CASE WHEN COALESCE(CASE WHEN "w"."owner_grade__now" <> "w"."owner_grade__today" AND "w"."owner_grade__now" = "w"."owner_grade__was" THEN "w"."owner_grade__today" ELSE "w"."owner_grade__now" END = "w"."owner_grade__points" AND (COALESCE((25 * "w"."owner_grade_points__owned_faults_30d") > 0 AND (CASE WHEN (60 * "w"."owner_grade_points__use_score") >= (25 * "w"."owner_grade_points__owned_faults_30d") THEN 60 * "w"."owner_grade_points__use_score" ELSE 0 END + CASE WHEN (15 * "w"."owner_grade_points__stale_amount") > (25 * "w"."owner_grade_points__owned_faults_30d") THEN 15 * "w"."owner_grade_points__stale_amount" ELSE 0 END) <= (((60 * "w"."owner_grade_points__use_score") + (25 * "w"."owner_grade_points__owned_faults_30d") + (15 * "w"."owner_grade_points__stale_amount")) - (CASE WHEN "w"."owner_grade__points" = 0 THEN 70 WHEN "w"."owner_grade__points" = 1 THEN 45 WHEN "w"."owner_grade__points" = 2 THEN 25 END * 100)), FALSE) OR COALESCE((25 * (100 - "w"."owner_grade_points__owned_faults_30d")) > 0 AND (CASE WHEN (60 * (100 - "w"."owner_grade_points__use_score")) >= (25 * (100 - "w"."owner_grade_points__owned_faults_30d")) THEN 60 * (100 - "w"."owner_grade_points__use_score") ELSE 0 END + CASE WHEN (15 * (100 - "w"."owner_grade_points__stale_amount")) > (25 * (100 - "w"."owner_grade_points__owned_faults_30d")) THEN 15 * (100 - "w"."owner_grade_points__stale_amount") ELSE 0 END) < ((CASE WHEN "w"."owner_grade__points" = 1 THEN 70 WHEN "w"."owner_grade__points" = 2 THEN 45 WHEN "w"."owner_grade__points" = 3 THEN 25 END * 100) - ((60 * "w"."owner_grade_points__use_score") + (25 * "w"."owner_grade_points__owned_faults_30d") + (15 * "w"."owner_grade_points__stale_amount"))), FALSE)), FALSE) THEN ['owned_faults_30d'] ELSE CAST([] AS TEXT[]) END) END AS VARCHAR[]) AS "owner_grade_reasons",
    CAST(CASE WHEN "w"."owner_grade" = "previous"."owner_grade" THEN COALESCE("previous"."owner_grade_since", CAST(CAST('2026-03-01 08:00:00' AS TIMESTAMP) AS DATE)) ELSE CAST(CAST('2026-03-01 08:00:00' AS TIMESTAMP) AS DATE) END AS DATE) AS "owner_grade_since"
  FROM wide_3 AS w
  LEFT JOIN previous ON previous.customer_id = w.customer_id
)
SELECT
  customer_id,
  TIMESTAMPTZ '2026-03-01 00:00:00+00:00' AS as_of,
  "is_key_account",
  "mood",
  "owned_faults_30d",
  "owned_hours_total",
  "owned_site",
  "best_machine_hours",
  "idle_machine_count",
  "stale_amount",
  "needs_call",
  "needs_call__case",
  "use_score",
  "use_score__best_machine_hours",
  "use_score__idle_machine_count",
  "use_score__is_key_account",
  "owner_grade_care",
  "owner_grade_care__needs_call",
  "owner_grade_points",
  "owner_grade_points__use_score",
  "owner_grade_points__owned_faults_30d",
  "owner_grade_points__stale_amount",
  "owner_grade",
  "owner_grade__points",
  "owner_grade__limit_0",
  "owner_grade__limit",
  "owner_grade__today",
  "owner_grade__was",
  "owner_grade__wish",
  "owner_grade__now",
  "owner_grade_before",
  "owner_grade_reasons",
  "owner_grade_since"
FROM wide_4
ORDER BY customer_id
