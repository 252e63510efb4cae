-- A line may stand in several files, and equal lines in one file are lines of their own: the n-th
-- of equal lines in one file is the n-th in every other. What was sent back, and a correction of
-- stock, has a negative quantity; a correction of money has a negative price.
WITH numbered AS (
  SELECT
    *,
    row_number() OVER (
      PARTITION BY file, invoice, stock_code, quantity, price ORDER BY invoiced_at, customer
    ) AS repetition
  FROM lines
)

SELECT
  invoice AS order_id,
  stock_code AS product_id,
  concat(quantity, ' x ', price, if(repetition > 1, concat(' #', repetition), '')) AS line,
  CAST(min(customer) AS VARCHAR) AS customer_key,
  min(invoiced_at) AS ordered_at,
  if(quantity < 0 OR price < 0, 'returned', 'placed') AS status,
  abs(quantity) AS quantity,
  CAST(abs(quantity * CAST(price AS DECIMAL(18, 4))) AS DOUBLE) AS amount
FROM numbered
GROUP BY invoice, stock_code, quantity, price, repetition
