-- What a contract brought and cost: its amount, the standard cost of the machines delivered for it,
-- and their repairs under warranty, whoever holds the machines by now: the warranty was sold with
-- the contract. An amount that is out by a power of ten against its instalments counts as corrected.
-- Sums are taken in hundredths, so that they are the same in any order.
WITH built AS (
  SELECT
    order_id,
    count(*) AS machine_count,
    sum(CAST(standard_cost AS DECIMAL(18, 2))) AS machine_cost
  FROM machines
  WHERE order_id IS NOT NULL
  GROUP BY order_id
),

repaired AS (
  SELECT
    m.order_id,
    sum(CAST(t.part_cost AS DECIMAL(18, 2))) AS part_cost,
    sum(CAST(t.labour_hours AS DECIMAL(18, 2))) AS labour_hours
  FROM service_tickets AS t
  INNER JOIN machines AS m ON m.machine_id = t.machine_id
  WHERE t.kind = 'repair' AND t.is_under_warranty AND m.order_id IS NOT NULL
  GROUP BY m.order_id
),

ordered AS (
  SELECT order_id, sum(quantity) AS quantity
  FROM order_lines
  GROUP BY order_id
)

SELECT
  o.order_id,
  o.customer_key,
  o.ordered_at,
  round(o.amount * coalesce(c.checked_amount / nullif(c.booked_amount, 0), 1), 2) AS amount,
  CAST(coalesce(b.machine_count, 0) AS BIGINT) AS machine_count,
  coalesce(b.machine_count >= l.quantity, false) AS is_delivered,
  CAST(coalesce(b.machine_cost, 0) AS DOUBLE) AS machine_cost,
  CAST(coalesce(r.part_cost, 0) AS DOUBLE) AS warranty_part_cost,
  CAST(coalesce(r.labour_hours, 0) AS DOUBLE) AS warranty_labour_hours
FROM orders AS o
LEFT JOIN amount_checks AS c ON c.kind = 'order' AND c.record = o.order_id
LEFT JOIN built AS b ON b.order_id = o.order_id
LEFT JOIN ordered AS l ON l.order_id = o.order_id
LEFT JOIN repaired AS r ON r.order_id = o.order_id
WHERE o.status = 'placed'
