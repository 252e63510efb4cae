-- The export holds how each opportunity ended. What was known of it before is a version from its
-- first day, and its end is a version from the day it was closed. Prospects have no day yet: they
-- go to quarantine until they are engaged. Some rows name the product GTX Pro without its space.
WITH deals AS (
  SELECT
    sales_pipeline.opportunity_id,
    sales_pipeline.account AS customer_key,
    products.product AS product_id,
    sales_pipeline.engage_date AS since_at,
    sales_pipeline.deal_stage,
    sales_pipeline.close_date,
    sales_pipeline.close_value,
    products.sales_price AS list_price,
    sales_pipeline.sales_agent AS owner,
    sales_teams.manager,
    sales_teams.regional_office AS region,
    CASE accounts.sector WHEN 'technolgy' THEN 'technology' ELSE accounts.sector END
      AS customer_sector,
    accounts.revenue AS customer_revenue,
    accounts.employees AS customer_employees,
    accounts.year_established AS customer_founded
  FROM sales_pipeline
  LEFT JOIN products ON replace(products.product, ' ', '') = replace(sales_pipeline.product, ' ', '')
  LEFT JOIN sales_teams ON sales_teams.sales_agent = sales_pipeline.sales_agent
  LEFT JOIN accounts ON accounts.account = sales_pipeline.account
)

SELECT
  opportunity_id, customer_key, product_id, since_at,
  CASE deal_stage WHEN 'Prospecting' THEN 'prospecting' ELSE 'engaging' END AS stage,
  list_price AS amount,
  owner, manager, region, customer_sector, customer_revenue, customer_employees, customer_founded,
  since_at AS valid_at
FROM deals

UNION ALL

SELECT
  opportunity_id, customer_key, product_id, since_at,
  lower(deal_stage) AS stage,
  close_value AS amount,
  owner, manager, region, customer_sector, customer_revenue, customer_employees, customer_founded,
  close_date AS valid_at
FROM deals
WHERE close_date IS NOT NULL
