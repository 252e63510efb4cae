-- How many orders of a customer held a category on each day before as_of, and how many days ago.
SELECT
  order_lines.customer_id,
  products.category AS item,
  CAST(count(DISTINCT order_lines.order_id) AS DOUBLE) AS weight,
  floor((epoch(as_of) - epoch(order_lines.ordered_at)) / 86400) + 0.5 AS days_ago
FROM order_lines
JOIN products ON products.product_id = order_lines.product_id
WHERE
  order_lines.status = 'placed'
  AND order_lines.customer_id IS NOT NULL
  AND products.category <> 'COUPON/MISC ITEMS'  -- fuel, vouchers and the rest: nobody's interest
GROUP BY
  order_lines.customer_id,
  products.category,
  floor((epoch(as_of) - epoch(order_lines.ordered_at)) / 86400)
