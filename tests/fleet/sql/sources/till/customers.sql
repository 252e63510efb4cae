SELECT DISTINCT customer AS customer_id, since AS since_at FROM people
