-- A basket holds a product once. Lines of quantity 0 and of amount 0 are real and stay.
SELECT
  CAST(basket_id AS VARCHAR) AS order_id,
  CAST(product_id AS VARCHAR) AS product_id,
  '1' AS line,
  CAST(household_id AS VARCHAR) AS customer_key,
  transaction_timestamp AS ordered_at,
  'placed' AS status,
  quantity,
  sales_value AS amount,
  retail_disc AS retail_discount,
  coupon_match_disc AS coupon_match_discount,
  coupon_disc AS coupon_discount,
  CAST(store_id AS VARCHAR) AS store_id
FROM transactions
