-- True for a customer who places an order between as_of and the end of the horizon.
SELECT
    customers.customer_id,
    count(orders.customer_id) > 0 AS label
FROM customers
LEFT JOIN orders
    ON orders.customer_id = customers.customer_id
    AND orders.status = 'placed'
    AND orders.ordered_at >= as_of
    AND orders.ordered_at < horizon_end
GROUP BY customers.customer_id
