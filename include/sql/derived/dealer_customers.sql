-- Each customer with its dealer, how many customers the dealer looks after, and what share of their
-- closed opportunities was won. An account that was merged into another counts no more.
WITH closings AS (
  SELECT
    c.dealer,
    avg(CASE WHEN o.stage = 'won' THEN 1.0 ELSE 0.0 END) AS won_share
  FROM opportunities AS o
  INNER JOIN customers AS c ON c.customer_id = o.customer_id
  WHERE NOT o.is_open AND NOT o.is_deleted AND c.dealer IS NOT NULL
  GROUP BY c.dealer
)

SELECT
  c.customer_id,
  c.dealer,
  CAST(count(*) OVER (PARTITION BY c.dealer) AS BIGINT) AS customer_count,
  CAST(closings.won_share AS DOUBLE) AS won_share
FROM customers AS c
LEFT JOIN closings ON closings.dealer = c.dealer
WHERE c.dealer IS NOT NULL AND coalesce(c.is_active, true)
