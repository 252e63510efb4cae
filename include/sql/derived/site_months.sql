-- At which building sites a customer's machines were repaired or maintained in each month, and how
-- many other customers had machines there in the same month: who meets whom. A row per customer,
-- site and month, so that it grows with the work done and not with the pairs of customers. The
-- machines' customers are those who hold them now: a derived table sees no version before.
WITH visits AS (
  SELECT
    m.customer_id,
    t.site,
    date_trunc('month', t.opened_at) AS month,
    max(t.opened_at) AS last_at
  FROM service_tickets AS t
  INNER JOIN machines AS m ON m.machine_id = t.machine_id
  WHERE t.site IS NOT NULL AND m.customer_id IS NOT NULL AND t.status <> 'cancelled'
  GROUP BY m.customer_id, t.site, date_trunc('month', t.opened_at)
)

SELECT
  customer_id,
  site,
  CAST(month AS DATE) AS month,
  last_at,
  CAST(count(*) OVER (PARTITION BY site, month) - 1 AS BIGINT) AS other_customers
FROM visits
