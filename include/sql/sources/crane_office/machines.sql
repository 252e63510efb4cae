-- A machine from its delivery on: a version per owner, and one without owner when it went back to the
-- maker. The CRM hears of a resale some weeks late and dates it by the day of the sale.
WITH turns AS (
  SELECT serial_no, 'crm:' || account_no AS owner, how AS acquired, owned_from AS turned_on
  FROM machine_owners
  UNION ALL
  SELECT serial_no, NULL AS owner, NULL AS acquired, returned_on AS turned_on
  FROM machine_returns
),

-- of two entries of one day, the one that is no first delivery
versions AS (
  SELECT serial_no, owner, acquired, turned_on
  FROM turns
  QUALIFY row_number() OVER (
    PARTITION BY serial_no, turned_on ORDER BY owner IS NULL DESC, acquired = 'new', owner
  ) = 1
),

delivered AS (
  SELECT
    serial_no,
    CAST(min(strptime(delivered_on, '%Y%m%d')) AS TIMESTAMP) AS delivered_on,
    min(contract_no) AS contract_no
  FROM deliveries
  GROUP BY serial_no
)

SELECT
  machines.serial_no AS machine_id,
  versions.owner,
  timezone('Asia/Shanghai', delivered.delivered_on) AS since_at,
  versions.acquired,
  CASE
    WHEN versions.owner IS NOT NULL
      THEN timezone('Asia/Shanghai', CAST(versions.turned_on AS TIMESTAMP))
  END AS owned_from,
  machines.model_code AS product_id,
  models.kind AS category,
  models.tonnes AS capacity,
  models.list_price_cny AS list_price,
  machines.standard_cost,
  delivered.contract_no AS order_id,
  CAST(strptime(machines.built_on, '%Y%m%d') AS DATE) AS built_on,
  timezone(
    'Asia/Shanghai', delivered.delivered_on + to_months(CAST(machines.warranty_months AS INTEGER))
  ) AS warranty_until,
  models.replacement_years,
  models.maintenance_hours,
  versions.owner IS NULL AS is_returned,
  timezone('Asia/Shanghai', CAST(versions.turned_on AS TIMESTAMP)) AS valid_at
FROM machines
INNER JOIN versions ON versions.serial_no = machines.serial_no
INNER JOIN delivered ON delivered.serial_no = machines.serial_no
LEFT JOIN models ON models.model_code = machines.model_code
