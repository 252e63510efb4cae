-- Every invoice is an order. An invoice C… takes back; it names no invoice. Where it takes back just
-- the goods of an earlier order of the customer, it cancels that order: the latest such one that is
-- not cancelled yet. Then the order is `cancelled` from that moment on, as a version of it, and the
-- invoice C… is no return but the cancellation's paper: `cancelled` too. Any other is `returned`.
WITH numbered AS (
  SELECT
    *,
    row_number() OVER (
      PARTITION BY file, invoice, stock_code, quantity, price ORDER BY invoiced_at, customer
    ) AS repetition
  FROM lines
),

invoices AS (
  SELECT
    invoice AS order_id,
    starts_with(invoice, 'C') AS takes_back,
    min(customer) AS customer,
    min(invoiced_at) AS ordered_at,
    abs(sum(quantity * amount_of_one)) AS amount,
    count(*) AS line_count,
    string_agg(concat(stock_code, ' x ', abs(quantity)), ', ' ORDER BY stock_code, abs(quantity))
      AS goods
  FROM (
    SELECT DISTINCT
      invoice, stock_code, quantity, price, repetition, customer, invoiced_at,
      CAST(price AS DECIMAL(18, 4)) AS amount_of_one
    FROM numbered
  ) AS lines_once
  GROUP BY invoice
),

-- How many orders of the same goods are open after each invoice: brackets that open and close.
counted AS (
  SELECT *, sum(if(takes_back, -1, 1)) OVER same_goods AS balance
  FROM invoices
  WINDOW same_goods AS (
    PARTITION BY customer, goods ORDER BY ordered_at, takes_back, order_id ROWS UNBOUNDED PRECEDING
  )
),

balanced AS (
  SELECT
    *,
    balance - least(0, min(balance) OVER (
      PARTITION BY customer, goods ORDER BY ordered_at, takes_back, order_id ROWS UNBOUNDED PRECEDING
    )) AS open_after
  FROM counted
),

-- An order and what cancels it are neighbours among the invoices of their level.
levelled AS (
  SELECT
    *,
    CASE
      WHEN takes_back THEN lag(open_after, 1, 0) OVER (
        PARTITION BY customer, goods ORDER BY ordered_at, takes_back, order_id
      )
      ELSE open_after
    END AS level
  FROM balanced
),

matched AS (
  SELECT
    *,
    CASE
      WHEN NOT takes_back AND customer IS NOT NULL AND lead(takes_back) OVER neighbours
        THEN lead(ordered_at) OVER neighbours
    END AS cancelled_at
  FROM levelled
  WINDOW neighbours AS (
    PARTITION BY customer, goods, level ORDER BY ordered_at, takes_back, order_id
  )
)

SELECT
  order_id,
  CAST(customer AS VARCHAR) AS customer_key,
  ordered_at,
  CASE
    WHEN takes_back AND level > 0 AND customer IS NOT NULL THEN 'cancelled'
    WHEN takes_back THEN 'returned'
    WHEN cancelled_at = ordered_at THEN 'cancelled'
    ELSE 'placed'
  END AS status,
  CAST(amount AS DOUBLE) AS amount,
  line_count,
  ordered_at AS valid_at
FROM matched

UNION ALL

SELECT
  order_id,
  CAST(customer AS VARCHAR) AS customer_key,
  ordered_at,
  'cancelled' AS status,
  CAST(amount AS DOUBLE) AS amount,
  line_count,
  cancelled_at AS valid_at
FROM matched
WHERE cancelled_at > ordered_at
