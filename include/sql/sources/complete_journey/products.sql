SELECT
  CAST(product_id AS VARCHAR) AS product_id,
  department,
  product_category AS category,
  product_type AS subcategory,
  brand,
  CAST(manufacturer_id AS VARCHAR) AS manufacturer,
  package_size
FROM products
