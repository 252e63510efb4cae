-- The categories that a customer bought between as_of and the end of the horizon.
SELECT DISTINCT
  order_lines.customer_id,
  products.category AS item
FROM order_lines
JOIN products ON products.product_id = order_lines.product_id
WHERE
  order_lines.status = 'placed'
  AND order_lines.customer_id IS NOT NULL
  AND order_lines.ordered_at >= as_of
  AND order_lines.ordered_at < horizon_end
  AND products.category <> 'COUPON/MISC ITEMS'
