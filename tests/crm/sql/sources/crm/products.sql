SELECT product AS product_id, series AS category, sales_price AS list_price FROM products
