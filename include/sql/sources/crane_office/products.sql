-- The catalogue of models.
SELECT
  model_code AS product_id,
  'crane' AS department,
  kind AS category,
  list_price_cny AS list_price,
  tonnes AS capacity,
  replacement_years,
  maintenance_hours
FROM models
