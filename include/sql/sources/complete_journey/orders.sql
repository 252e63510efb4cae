-- An order is a basket. Money is summed as decimals: the same lines give the same amount, bit for
-- bit, in whatever order they are read.
SELECT
  CAST(basket_id AS VARCHAR) AS order_id,
  CAST(min(household_id) AS VARCHAR) AS customer_key,
  min(transaction_timestamp) AS ordered_at,
  'placed' AS status,
  CAST(sum(CAST(sales_value AS DECIMAL(18, 2))) AS DOUBLE) AS amount,
  CAST(
    sum(CAST(retail_disc AS DECIMAL(18, 2)) + CAST(coupon_match_disc AS DECIMAL(18, 2))) AS DOUBLE
  ) AS discount_amount,
  CAST(sum(CAST(coupon_disc AS DECIMAL(18, 2))) AS DOUBLE) AS coupon_amount,
  count(*) AS line_count,
  CAST(min(store_id) AS VARCHAR) AS store_id
FROM transactions
GROUP BY basket_id
