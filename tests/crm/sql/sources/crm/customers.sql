-- An account is a customer since its first opportunity; the export misspells a sector.
SELECT
  accounts.account AS customer_id,
  min(sales_pipeline.engage_date) AS since_at,
  CASE accounts.sector WHEN 'technolgy' THEN 'technology' ELSE accounts.sector END AS sector,
  accounts.employees
FROM accounts
INNER JOIN sales_pipeline ON sales_pipeline.account = accounts.account
GROUP BY ALL
HAVING min(sales_pipeline.engage_date) IS NOT NULL
