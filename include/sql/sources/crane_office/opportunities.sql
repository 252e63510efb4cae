-- The row of an opportunity is its present; the past is in the history of its stages. A version per
-- stage holds what does not tell the end: the date, the stage and the reason of closing stand in the
-- last version alone, and so does what follows from them. The expected closing is left out: the row
-- has only the last one that was said. A deleted opportunity is a version from the deletion on.
WITH stages AS (
  SELECT opportunity_no, stage, entered_at
  FROM opportunity_stages
  QUALIFY row_number() OVER (
    PARTITION BY opportunity_no, entered_at ORDER BY stage IN ('won', 'lost') DESC, stage DESC
  ) = 1
),

versions AS (
  SELECT opportunity_no, stage, entered_at, false AS is_deleted, entered_at AS valid_at
  FROM stages
  UNION ALL
  SELECT s.opportunity_no, s.stage, s.entered_at, true AS is_deleted, o.updated_at AS valid_at
  FROM stages AS s
  INNER JOIN opportunities AS o ON o.opportunity_no = s.opportunity_no
  WHERE o.is_deleted AND s.entered_at < o.updated_at
  QUALIFY row_number() OVER (PARTITION BY s.opportunity_no ORDER BY s.entered_at DESC) = 1
)

SELECT
  o.opportunity_no AS opportunity_id,
  'crm:' || o.account_no AS customer_key,
  o.created_at AS since_at,
  v.stage,
  v.entered_at AS stage_since_at,
  v.stage NOT IN ('won', 'lost') AS is_open,
  CASE v.stage
    WHEN 'lead' THEN 10
    WHEN 'qualified' THEN 25
    WHEN 'quoted' THEN 50
    WHEN 'negotiating' THEN 75
    WHEN 'won' THEN 100
    WHEN 'lost' THEN 0
  END / 100 AS win_share,
  o.model_code AS product_id,
  o.quantity,
  o.amount_cny AS amount,
  o.discount_pct / 100 AS discount_share,
  o.competitor,
  o.sales_rep AS owner,
  CASE WHEN v.stage IN ('won', 'lost') THEN v.entered_at END AS closed_at,
  CASE WHEN v.stage = 'lost' THEN o.lost_reason END AS lost_reason,
  v.is_deleted,
  v.valid_at
FROM versions AS v
INNER JOIN opportunities AS o ON o.opportunity_no = v.opportunity_no
