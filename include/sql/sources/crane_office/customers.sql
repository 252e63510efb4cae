-- An account is a customer since it was created. The second account of a company, once merged, is
-- deleted: a version of that day. Who is one customer, the table identity says.
SELECT
  account_no AS customer_id,
  created_at AS since_at,
  company_name,
  industry,
  province,
  city,
  dealer_code AS dealer,
  sales_rep AS manager,
  true AS is_active,
  created_at AS valid_at
FROM accounts
WHERE NOT is_deleted OR updated_at > created_at

UNION ALL

SELECT
  account_no AS customer_id,
  created_at AS since_at,
  company_name,
  industry,
  province,
  city,
  dealer_code AS dealer,
  sales_rep AS manager,
  false AS is_active,
  updated_at AS valid_at
FROM accounts
WHERE is_deleted
