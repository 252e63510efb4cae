-- Parts are booked when the order is closed. Money is multiplied as decimals, so that it is exact.
SELECT
  concat('order:', p.order_no) AS ticket_id,
  p.part_no AS part_id,
  p.part_name,
  upper(o.serial_no) AS machine_id,
  greatest(o.updated_at, o.opened_at) AS used_at,
  p.quantity,
  p.unit_price,
  CAST(p.quantity * CAST(p.unit_price AS DECIMAL(18, 2)) AS DOUBLE) AS amount
FROM parts_used AS p
JOIN work_orders AS o ON o.order_no = p.order_no
