SELECT keys AS customer_key, customer AS customer_id FROM people
