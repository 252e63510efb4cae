-- An account is a customer since it was created. The version that was read first holds from then, a
-- later one from when it was changed. The second account of a company, once merged, is deleted: not
-- active from then on. Who is one customer, the table identity says.
WITH known AS (
  SELECT
    account_no, company_name, industry, province, city, dealer_code, sales_rep, created_at, updated_at,
    is_deleted
  FROM accounts
  UNION
  SELECT
    account_no, company_name, industry, province, city, dealer_code, sales_rep, created_at, updated_at,
    is_deleted
  FROM account_changes
),

numbered AS (
  SELECT *, row_number() OVER (PARTITION BY account_no ORDER BY updated_at) AS version
  FROM known
),

versions AS (
  SELECT *, true AS is_active, created_at AS valid_at
  FROM numbered
  WHERE version = 1 AND (NOT is_deleted OR updated_at > created_at)
  UNION ALL
  SELECT *, NOT is_deleted AS is_active, updated_at AS valid_at
  FROM numbered
  WHERE version > 1 OR is_deleted
)

SELECT
  account_no AS customer_id,
  created_at AS since_at,
  company_name,
  industry,
  province,
  city,
  dealer_code AS dealer,
  sales_rep AS manager,
  is_active,
  valid_at
FROM versions
