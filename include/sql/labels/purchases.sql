-- On how many days between as_of and the end of the horizon a customer places an order, and for
-- how much. A day lasts 24 hours from as_of, which is a midnight of the business.
SELECT
    customers.customer_id,
    count(DISTINCT floor((epoch(orders.ordered_at) - epoch(as_of)) / 86400)) AS purchase_days,
    coalesce(sum(orders.amount), 0) AS amount
FROM customers
LEFT JOIN orders
    ON orders.customer_id = customers.customer_id
    AND orders.status = 'placed'
    AND orders.ordered_at >= as_of
    AND orders.ordered_at < horizon_end
GROUP BY customers.customer_id
