-- An excavator is known since its first work order.
SELECT
  asset AS machine_id,
  'mine' AS owner,
  min(started_on) AS since_at
FROM work_orders
GROUP BY asset
