WITH customers_rows AS NOT MATERIALIZED (
  SELECT CAST(r."customer_id" AS VARCHAR) AS customer_id, r."since_at", r."age_band", r."income_band", r."home_ownership", r."marital_status", r."household_size", r."kids_count"
  FROM customers AS r
  WHERE r.valid_at < TIMESTAMPTZ '2017-10-01 00:00:00+00:00'
    AND r.since_at < TIMESTAMPTZ '2017-10-01 00:00:00+00:00'
    AND NOT EXISTS (SELECT 1 FROM customers__superseded AS s
    WHERE s."customer_id" = r."customer_id" AND s."valid_at" = r."valid_at" AND s."loaded_at" = r."loaded_at" AND s.until_at < TIMESTAMPTZ '2017-10-01 00:00:00+00:00')
),
interactions_rows AS NOT MATERIALIZED (
  SELECT CAST(r."customer_key" AS VARCHAR) AS customer_id, r."customer_key", r."happened_at", r."kind", r."campaign"
  FROM interactions AS r
  WHERE r.valid_at < TIMESTAMPTZ '2017-10-01 00:00:00+00:00'
    AND r."happened_at" < TIMESTAMPTZ '2017-10-01 00:00:00+00:00'
    AND NOT EXISTS (SELECT 1 FROM interactions__superseded AS s
    WHERE s."interaction_id" = r."interaction_id" AND s."valid_at" = r."valid_at" AND s."loaded_at" = r."loaded_at" AND s.until_at < TIMESTAMPTZ '2017-10-01 00:00:00+00:00')
),
order_lines_rows AS NOT MATERIALIZED (
  SELECT CAST(r."customer_key" AS VARCHAR) AS customer_id, r."product_id", r."customer_key", r."ordered_at", r."status", r."amount"
  FROM order_lines AS r
  WHERE r.valid_at < TIMESTAMPTZ '2017-10-01 00:00:00+00:00'
    AND r."ordered_at" < TIMESTAMPTZ '2017-10-01 00:00:00+00:00'
),
orders_rows AS NOT MATERIALIZED (
  SELECT CAST(r."customer_key" AS VARCHAR) AS customer_id, r."order_id", r."customer_key", r."ordered_at", r."status", r."amount", r."discount_amount", r."coupon_amount", r."line_count", r."store_id", r."booked_amount", r."booked_currency", r."exchange_rate", r."instalment_count", r."opportunity_id"
  FROM orders AS r
  WHERE r.valid_at < TIMESTAMPTZ '2017-10-01 00:00:00+00:00'
    AND r."ordered_at" < TIMESTAMPTZ '2017-10-01 00:00:00+00:00'
    AND NOT EXISTS (SELECT 1 FROM orders__superseded AS s
    WHERE s."order_id" = r."order_id" AND s."valid_at" = r."valid_at" AND s."loaded_at" = r."loaded_at" AND s.until_at < TIMESTAMPTZ '2017-10-01 00:00:00+00:00')
),
products_rows AS NOT MATERIALIZED (
  SELECT r."product_id", r."department", r."category", r."brand"
  FROM products AS r
  WHERE r.valid_at < TIMESTAMPTZ '2017-10-01 00:00:00+00:00'
    AND NOT EXISTS (SELECT 1 FROM products__superseded AS s
    WHERE s."product_id" = r."product_id" AND s."valid_at" = r."valid_at" AND s."loaded_at" = r."loaded_at" AND s.until_at < TIMESTAMPTZ '2017-10-01 00:00:00+00:00')
),
order_gaps_rows AS NOT MATERIALIZED (
  SELECT CAST(r."customer_key" AS VARCHAR) AS customer_id, r."customer_key", r."amount", r."order_number", r."gap_days"
  FROM (SELECT order_id, customer_key, ordered_at, amount, ROW_NUMBER() OVER customer_orders AS order_number, LAG(ordered_at) OVER customer_orders AS previous_ordered_at, ROUND((EPOCH(ordered_at) - EPOCH(LAG(ordered_at) OVER customer_orders)) / 86400, 6) AS gap_days FROM orders_rows AS orders WHERE status = 'placed' WINDOW customer_orders AS (PARTITION BY customer_key ORDER BY ordered_at, order_id)) AS r
  WHERE r."ordered_at" < TIMESTAMPTZ '2017-10-01 00:00:00+00:00'
),
customers_extractions AS NOT MATERIALIZED (
  SELECT
    r.customer_id,
    "r"."age_band" AS "age_band",
    "r"."kids_count" <> '0' AS "has_kids",
    "r"."home_ownership" AS "home_ownership",
    "r"."household_size" AS "household_size",
    "r"."income_band" AS "income_band",
    "r"."marital_status" AS "marital_status",
    DATE_DIFF('DAY', CAST(MAKE_TIMESTAMP(EPOCH_US("r"."since_at")) AS DATE), CAST(CAST('2017-10-01 00:00:00' AS TIMESTAMP) AS DATE)) AS "tenure_days"
  FROM customers_rows AS r
),
interactions_distinct AS NOT MATERIALIZED (
  SELECT
    r.subject_key AS customer_id,
    COUNT(DISTINCT CASE WHEN "r"."kind" = 'redemption' THEN "r"."campaign" ELSE NULL END) / NULLIF(COUNT(DISTINCT CASE WHEN "r"."kind" = 'contact' THEN "r"."campaign" ELSE NULL END), 0) AS "campaign_response_share",
    COUNT(*) AS matched_1
  FROM (
    SELECT
      r.customer_id AS subject_key,
      "r"."campaign" AS "campaign",
      "r"."kind" AS "kind"
    FROM interactions_rows AS r
  ) AS r
  GROUP BY r.subject_key
),
interactions_statistics AS NOT MATERIALIZED (
  SELECT
    r.subject_key AS customer_id,
    COUNT(CASE WHEN r.condition_1 THEN 1 END) AS "campaign_contacts_90d",
    COUNT(CASE WHEN r.condition_2 THEN 1 END) AS "coupon_redemptions_90d",
    COUNT(CASE WHEN r.condition_3 THEN 1 END) AS "coupon_redemptions_total",
    DATE_DIFF('DAY', CAST(MAX(CASE WHEN r.condition_4 THEN "r"."happened_at" END) AS DATE), CAST(CAST('2017-10-01 00:00:00' AS TIMESTAMP) AS DATE)) AS "last_contact_days"
  FROM (
    SELECT
      r.customer_id AS subject_key,
      MAKE_TIMESTAMP(EPOCH_US("r"."happened_at")) AS "happened_at",
      r."happened_at" >= CAST('2017-07-03 00:00:00+00:00' AS TIMESTAMPTZ) AND "r"."kind" = 'contact' AS condition_1,
      r."happened_at" >= CAST('2017-07-03 00:00:00+00:00' AS TIMESTAMPTZ) AND "r"."kind" = 'redemption' AS condition_2,
      "r"."kind" = 'redemption' AS condition_3,
      "r"."kind" = 'contact' AS condition_4
    FROM interactions_rows AS r
  ) AS r
  GROUP BY r.subject_key
),
order_gaps_statistics AS NOT MATERIALIZED (
  SELECT
    r.subject_key AS customer_id,
    ARG_MAX("r"."amount", ROW("r"."order_number", "r"."amount")) AS "last_order_amount",
    ARG_MAX("r"."gap_days", ROW("r"."order_number", "r"."gap_days")) AS "order_gap_last_days",
    (CAST(SUM(CAST("r"."gap_days" AS DECIMAL(38, 6))) AS DOUBLE) / COUNT("r"."gap_days")) AS "order_gap_mean_days",
    ROUND(STDDEV_SAMP("r"."gap_days"), 6) AS "order_gap_stddev_days"
  FROM (
    SELECT
      r.customer_id AS subject_key,
      "r"."amount" AS "amount",
      "r"."gap_days" AS "gap_days",
      "r"."order_number" AS "order_number"
    FROM order_gaps_rows AS r
  ) AS r
  GROUP BY r.subject_key
),
order_lines_statistics AS NOT MATERIALIZED (
  SELECT
    r.subject_key AS customer_id,
    COUNT(DISTINCT CASE WHEN r.condition_1 THEN "r"."product.category" END) AS "category_count_90d",
    COUNT(DISTINCT "r"."product.department") AS "department_count_total",
    CAST(SUM(CASE WHEN r.condition_2 THEN CAST(CASE WHEN "r"."product.department" IN ('PRODUCE', 'MEAT', 'MEAT-PCKGD', 'SEAFOOD', 'SEAFOOD-PCKGD', 'DELI', 'SALAD BAR', 'PASTRY') THEN "r"."amount" ELSE 0 END AS DECIMAL(38, 6)) END) AS DOUBLE) / NULLIF(CAST(SUM(CASE WHEN r.condition_2 THEN CAST("r"."amount" AS DECIMAL(38, 6)) END) AS DOUBLE), 0) AS "fresh_share_365d",
    CAST(SUM(CASE WHEN r.condition_2 THEN CAST(CASE WHEN "r"."product.brand" = 'Private' THEN "r"."amount" ELSE 0 END AS DECIMAL(38, 6)) END) AS DOUBLE) / NULLIF(CAST(SUM(CASE WHEN r.condition_2 THEN CAST("r"."amount" AS DECIMAL(38, 6)) END) AS DOUBLE), 0) AS "private_label_share_365d",
    COUNT(DISTINCT CASE WHEN r.condition_2 THEN "r"."product_id" END) AS "product_count_365d",
    COUNT(CASE WHEN r.condition_2 THEN 1 END) AS matched_1
  FROM (
    SELECT
      r.customer_id AS subject_key,
      "r"."amount" AS "amount",
      "product"."brand" AS "product.brand",
      "product"."category" AS "product.category",
      "product"."department" AS "product.department",
      "r"."product_id" AS "product_id",
      r."ordered_at" >= CAST('2017-07-03 00:00:00+00:00' AS TIMESTAMPTZ) AS condition_1,
      r."ordered_at" >= CAST('2016-10-01 00:00:00+00:00' AS TIMESTAMPTZ) AS condition_2
    FROM order_lines_rows AS r
  LEFT JOIN products_rows AS "product" ON "product"."product_id" = r."product_id"
    WHERE "r"."status" = 'placed'
  ) AS r
  GROUP BY r.subject_key
),
top_categories_365d_groups AS NOT MATERIALIZED (
  SELECT r.customer_id, "product"."category" AS label, ROUND(CAST(SUM(CAST("r"."amount" AS DECIMAL(38, 6))) AS DOUBLE), 2) AS score
  FROM order_lines_rows AS r
  LEFT JOIN products_rows AS "product" ON "product"."product_id" = r."product_id"
  WHERE ("product"."category") IS NOT NULL
    AND r."ordered_at" >= CAST('2016-10-01 00:00:00+00:00' AS TIMESTAMPTZ)
    AND "r"."status" = 'placed'
    AND "product"."category" <> 'COUPON/MISC ITEMS'
  GROUP BY 1, 2
),
top_categories_365d_places AS NOT MATERIALIZED (
  SELECT customer_id, label, ROW_NUMBER() OVER (
    PARTITION BY customer_id ORDER BY score DESC NULLS LAST, label) AS place
  FROM top_categories_365d_groups
),
top_categories_365d_pick AS NOT MATERIALIZED (
  SELECT customer_id, LIST(label ORDER BY place) AS label
  FROM top_categories_365d_places
  WHERE place <= 3
  GROUP BY customer_id
),
top_department_groups AS NOT MATERIALIZED (
  SELECT r.customer_id, "product"."department" AS label, ROUND(CAST(SUM(CAST("r"."amount" AS DECIMAL(38, 6))) AS DOUBLE), 2) AS score
  FROM order_lines_rows AS r
  LEFT JOIN products_rows AS "product" ON "product"."product_id" = r."product_id"
  WHERE ("product"."department") IS NOT NULL
    AND r."ordered_at" >= CAST('2016-10-01 00:00:00+00:00' AS TIMESTAMPTZ)
    AND "r"."status" = 'placed'
  GROUP BY 1, 2
),
top_department_places AS NOT MATERIALIZED (
  SELECT customer_id, label, ROW_NUMBER() OVER (
    PARTITION BY customer_id ORDER BY score DESC NULLS LAST, label) AS place
  FROM top_department_groups
),
top_department_pick AS NOT MATERIALIZED (
  SELECT customer_id, MAX(label) AS label
  FROM top_department_places
  WHERE place <= 1
  GROUP BY customer_id
),
orders_statistics AS NOT MATERIALIZED (
  SELECT
    r.subject_key AS customer_id,
    COUNT(DISTINCT CASE WHEN r.condition_1 THEN CAST("r"."ordered_at" AS DATE) END) AS "active_days_90d",
    AVG(CASE WHEN r.condition_2 THEN CAST("r"."line_count" AS DOUBLE) END) AS "basket_lines_mean",
    CAST(SUM(CASE WHEN r.condition_2 THEN CAST("r"."coupon_amount" AS DECIMAL(38, 6)) END) AS DOUBLE) / NULLIF(CAST(SUM(CASE WHEN r.condition_2 THEN CAST("r"."amount" AS DECIMAL(38, 6)) END) AS DOUBLE), 0) AS "coupon_discount_share",
    CAST(SUM(CASE WHEN r.condition_1 THEN CAST("r"."discount_amount" AS DECIMAL(38, 6)) END) AS DOUBLE) / NULLIF(CAST(SUM(CASE WHEN r.condition_1 THEN CAST("r"."amount" + "r"."discount_amount" AS DECIMAL(38, 6)) END) AS DOUBLE), 0) AS "discount_share_90d",
    AVG(CASE WHEN r.condition_2 THEN CAST(CASE WHEN DATE_PART('hour', "r"."ordered_at") >= 18 THEN 1 ELSE 0 END AS DOUBLE) END) AS "evening_share",
    DATE_DIFF('DAY', CAST(MIN(CASE WHEN r.condition_2 THEN "r"."ordered_at" END) AS DATE), CAST(CAST('2017-10-01 00:00:00' AS TIMESTAMP) AS DATE)) AS "first_purchase_days",
    COUNT(CASE WHEN r.condition_3 THEN 1 END) AS "large_order_count_365d",
    CAST(MAX(CASE WHEN r.condition_2 THEN "r"."ordered_at" END) AS DATE) AS "last_order_date",
    CAST(SUM(CASE WHEN r.condition_4 THEN CAST("r"."amount" AS DECIMAL(38, 6)) END) AS DOUBLE) AS "order_amount_30d",
    CAST(SUM(CASE WHEN r.condition_5 THEN CAST("r"."amount" AS DECIMAL(38, 6)) END) AS DOUBLE) AS "order_amount_365d",
    CAST(SUM(CASE WHEN r.condition_1 THEN CAST("r"."amount" AS DECIMAL(38, 6)) END) AS DOUBLE) AS "order_amount_90d",
    MAX(CASE WHEN r.condition_2 THEN "r"."amount" END) AS "order_amount_max",
    (CAST(SUM(CASE WHEN r.condition_2 THEN CAST("r"."amount" AS DECIMAL(38, 6)) END) AS DOUBLE) / COUNT(CASE WHEN r.condition_2 THEN "r"."amount" END)) AS "order_amount_mean",
    MEDIAN(CASE WHEN r.condition_5 THEN "r"."amount" END) AS "order_amount_median_365d",
    CAST(SUM(CASE WHEN r.condition_2 THEN CAST("r"."amount" AS DECIMAL(38, 6)) END) AS DOUBLE) AS "order_amount_total",
    COUNT(CASE WHEN r.condition_4 THEN 1 END) AS "order_count_30d",
    COUNT(CASE WHEN r.condition_5 THEN 1 END) AS "order_count_365d",
    COUNT(CASE WHEN r.condition_1 THEN 1 END) AS "order_count_90d",
    COUNT(CASE WHEN r.condition_2 THEN 1 END) AS "order_count_total",
    SUM(CASE WHEN r.condition_1 THEN CASE WHEN DATE_DIFF('DAY', CAST("r"."ordered_at" AS DATE), CAST(CAST('2017-10-01 00:00:00' AS TIMESTAMP) AS DATE)) <= 45 THEN 1 ELSE -1 END END) / NULLIF(COUNT(CASE WHEN r.condition_1 THEN 1 END), 0) AS "order_trend",
    CAST(SUM(CASE WHEN r.condition_2 THEN CAST("r"."amount" AS DECIMAL(38, 6)) END) AS DOUBLE) / COUNT(DISTINCT CASE WHEN r.condition_2 THEN CAST("r"."ordered_at" AS DATE) END) AS "purchase_day_amount_mean",
    DATE_DIFF('DAY', CAST(MIN(CASE WHEN r.condition_2 THEN "r"."ordered_at" END) AS DATE), CAST(MAX(CASE WHEN r.condition_2 THEN "r"."ordered_at" END) AS DATE)) AS "purchase_span_days",
    DATE_DIFF('DAY', CAST(MAX(CASE WHEN r.condition_2 THEN "r"."ordered_at" END) AS DATE), CAST(CAST('2017-10-01 00:00:00' AS TIMESTAMP) AS DATE)) AS "recency_days",
    COUNT(DISTINCT CASE WHEN r.condition_2 THEN CAST("r"."ordered_at" AS DATE) END) - 1 AS "repeat_purchase_days",
    CAST(SUM(CASE WHEN r.condition_6 THEN CAST(CASE WHEN "r"."status" = 'returned' THEN "r"."amount" ELSE 0 END AS DECIMAL(38, 6)) END) AS DOUBLE) / NULLIF(CAST(SUM(CASE WHEN r.condition_6 THEN CAST(CASE WHEN "r"."status" = 'placed' THEN "r"."amount" ELSE 0 END AS DECIMAL(38, 6)) END) AS DOUBLE), 0) AS "return_share_365d",
    AVG(CASE WHEN r.condition_2 THEN CAST(CASE WHEN DATE_PART('isodow', "r"."ordered_at") >= 6 THEN 1 ELSE 0 END AS DOUBLE) END) AS "weekend_share",
    COUNT(CASE WHEN r.condition_2 THEN 1 END) AS matched_1,
    COUNT(CASE WHEN r.condition_1 THEN 1 END) AS matched_2,
    COUNT(CASE WHEN r.condition_6 THEN 1 END) AS matched_3
  FROM (
    SELECT
      r.customer_id AS subject_key,
      "r"."amount" AS "amount",
      "r"."coupon_amount" AS "coupon_amount",
      "r"."discount_amount" AS "discount_amount",
      "r"."line_count" AS "line_count",
      MAKE_TIMESTAMP(EPOCH_US("r"."ordered_at")) AS "ordered_at",
      "r"."status" AS "status",
      r."ordered_at" >= CAST('2017-07-03 00:00:00+00:00' AS TIMESTAMPTZ) AND "r"."status" = 'placed' AS condition_1,
      "r"."status" = 'placed' AS condition_2,
      r."ordered_at" >= CAST('2016-10-01 00:00:00+00:00' AS TIMESTAMPTZ) AND "r"."status" = 'placed' AND "r"."amount" >= 100 AS condition_3,
      r."ordered_at" >= CAST('2017-09-01 00:00:00+00:00' AS TIMESTAMPTZ) AND "r"."status" = 'placed' AS condition_4,
      r."ordered_at" >= CAST('2016-10-01 00:00:00+00:00' AS TIMESTAMPTZ) AND "r"."status" = 'placed' AS condition_5,
      r."ordered_at" >= CAST('2016-10-01 00:00:00+00:00' AS TIMESTAMPTZ) AS condition_6
    FROM orders_rows AS r
  ) AS r
  GROUP BY r.subject_key
),
day_part_habit_groups AS NOT MATERIALIZED (
  SELECT r.customer_id, CASE WHEN DATE_PART('hour', MAKE_TIMESTAMP(EPOCH_US("r"."ordered_at"))) < 6 THEN 'night' WHEN DATE_PART('hour', MAKE_TIMESTAMP(EPOCH_US("r"."ordered_at"))) < 12 THEN 'morning' WHEN DATE_PART('hour', MAKE_TIMESTAMP(EPOCH_US("r"."ordered_at"))) < 18 THEN 'afternoon' ELSE 'evening' END AS label, COUNT(*) AS score
  FROM orders_rows AS r
  WHERE (CASE WHEN DATE_PART('hour', MAKE_TIMESTAMP(EPOCH_US("r"."ordered_at"))) < 6 THEN 'night' WHEN DATE_PART('hour', MAKE_TIMESTAMP(EPOCH_US("r"."ordered_at"))) < 12 THEN 'morning' WHEN DATE_PART('hour', MAKE_TIMESTAMP(EPOCH_US("r"."ordered_at"))) < 18 THEN 'afternoon' ELSE 'evening' END) IS NOT NULL
    AND "r"."status" = 'placed'
  GROUP BY 1, 2
),
day_part_habit_places AS NOT MATERIALIZED (
  SELECT customer_id, label, ROW_NUMBER() OVER (
    PARTITION BY customer_id ORDER BY score DESC NULLS LAST, label) AS place
  FROM day_part_habit_groups
),
day_part_habit_pick AS NOT MATERIALIZED (
  SELECT customer_id, MAX(label) AS label
  FROM day_part_habit_places
  WHERE place <= 1
  GROUP BY customer_id
),
main_store_groups AS NOT MATERIALIZED (
  SELECT r.customer_id, "r"."store_id" AS label, COUNT(*) AS score
  FROM orders_rows AS r
  WHERE ("r"."store_id") IS NOT NULL
    AND r."ordered_at" >= CAST('2016-10-01 00:00:00+00:00' AS TIMESTAMPTZ)
    AND "r"."status" = 'placed'
  GROUP BY 1, 2
),
main_store_places AS NOT MATERIALIZED (
  SELECT customer_id, label, ROW_NUMBER() OVER (
    PARTITION BY customer_id ORDER BY score DESC NULLS LAST, label) AS place
  FROM main_store_groups
),
main_store_pick AS NOT MATERIALIZED (
  SELECT customer_id, MAX(label) AS label
  FROM main_store_places
  WHERE place <= 1
  GROUP BY customer_id
),
wide_0 AS MATERIALIZED (
  SELECT
    p.customer_id,
    CAST(customers_extractions."age_band" AS TEXT) AS "age_band",
    CAST(customers_extractions."has_kids" AS BOOLEAN) AS "has_kids",
    CAST(customers_extractions."home_ownership" AS TEXT) AS "home_ownership",
    CAST(customers_extractions."household_size" AS TEXT) AS "household_size",
    CAST(customers_extractions."income_band" AS TEXT) AS "income_band",
    CAST(customers_extractions."marital_status" AS TEXT) AS "marital_status",
    CAST(customers_extractions."tenure_days" AS BIGINT) AS "tenure_days",
    CAST(COALESCE(interactions_statistics."campaign_contacts_90d", 0) AS BIGINT) AS "campaign_contacts_90d",
    CAST(CASE WHEN COALESCE(interactions_distinct.matched_1, 0) > 0 THEN interactions_distinct."campaign_response_share" ELSE CAST(NULL AS DOUBLE) END AS DOUBLE) AS "campaign_response_share",
    CAST(COALESCE(interactions_statistics."coupon_redemptions_90d", 0) AS BIGINT) AS "coupon_redemptions_90d",
    CAST(COALESCE(interactions_statistics."coupon_redemptions_total", 0) AS BIGINT) AS "coupon_redemptions_total",
    CAST(interactions_statistics."last_contact_days" AS BIGINT) AS "last_contact_days",
    CAST(order_gaps_statistics."last_order_amount" AS DOUBLE) AS "last_order_amount",
    CAST(order_gaps_statistics."order_gap_last_days" AS DOUBLE) AS "order_gap_last_days",
    CAST(order_gaps_statistics."order_gap_mean_days" AS DOUBLE) AS "order_gap_mean_days",
    CAST(order_gaps_statistics."order_gap_stddev_days" AS DOUBLE) AS "order_gap_stddev_days",
    CAST(COALESCE(order_lines_statistics."category_count_90d", 0) AS BIGINT) AS "category_count_90d",
    CAST(COALESCE(order_lines_statistics."department_count_total", 0) AS BIGINT) AS "department_count_total",
    CAST(CASE WHEN COALESCE(order_lines_statistics.matched_1, 0) > 0 THEN order_lines_statistics."fresh_share_365d" ELSE CAST(NULL AS DOUBLE) END AS DOUBLE) AS "fresh_share_365d",
    CAST(CASE WHEN COALESCE(order_lines_statistics.matched_1, 0) > 0 THEN order_lines_statistics."private_label_share_365d" ELSE CAST(NULL AS DOUBLE) END AS DOUBLE) AS "private_label_share_365d",
    CAST(COALESCE(order_lines_statistics."product_count_365d", 0) AS BIGINT) AS "product_count_365d",
    CAST(top_categories_365d_pick.label AS TEXT[]) AS "top_categories_365d",
    CAST(top_department_pick.label AS TEXT) AS "top_department",
    CAST(COALESCE(orders_statistics."active_days_90d", 0) AS BIGINT) AS "active_days_90d",
    CAST(orders_statistics."basket_lines_mean" AS DOUBLE) AS "basket_lines_mean",
    CAST(orders_statistics."coupon_discount_share" AS DOUBLE) AS "coupon_discount_share",
    CAST(day_part_habit_pick.label AS TEXT) AS "day_part_habit",
    CAST(orders_statistics."discount_share_90d" AS DOUBLE) AS "discount_share_90d",
    CAST(CASE WHEN COALESCE(orders_statistics.matched_1, 0) > 0 THEN orders_statistics."evening_share" ELSE CAST(NULL AS DOUBLE) END AS DOUBLE) AS "evening_share",
    CAST(orders_statistics."first_purchase_days" AS BIGINT) AS "first_purchase_days",
    CAST(COALESCE(orders_statistics."large_order_count_365d", 0) AS BIGINT) AS "large_order_count_365d",
    CAST(orders_statistics."last_order_date" AS DATE) AS "last_order_date",
    CAST(main_store_pick.label AS TEXT) AS "main_store",
    CAST(COALESCE(orders_statistics."order_amount_30d", 0) AS DOUBLE) AS "order_amount_30d",
    CAST(COALESCE(orders_statistics."order_amount_365d", 0) AS DOUBLE) AS "order_amount_365d",
    CAST(COALESCE(orders_statistics."order_amount_90d", 0) AS DOUBLE) AS "order_amount_90d",
    CAST(orders_statistics."order_amount_max" AS DOUBLE) AS "order_amount_max",
    CAST(orders_statistics."order_amount_mean" AS DOUBLE) AS "order_amount_mean",
    CAST(orders_statistics."order_amount_median_365d" AS DOUBLE) AS "order_amount_median_365d",
    CAST(COALESCE(orders_statistics."order_amount_total", 0) AS DOUBLE) AS "order_amount_total",
    CAST(COALESCE(orders_statistics."order_count_30d", 0) AS BIGINT) AS "order_count_30d",
    CAST(COALESCE(orders_statistics."order_count_365d", 0) AS BIGINT) AS "order_count_365d",
    CAST(COALESCE(orders_statistics."order_count_90d", 0) AS BIGINT) AS "order_count_90d",
    CAST(COALESCE(orders_statistics."order_count_total", 0) AS BIGINT) AS "order_count_total",
    CAST(CASE WHEN COALESCE(orders_statistics.matched_2, 0) > 0 THEN orders_statistics."order_trend" ELSE CAST(NULL AS DOUBLE) END AS DOUBLE) AS "order_trend",
    CAST(CASE WHEN COALESCE(orders_statistics.matched_1, 0) > 0 THEN orders_statistics."purchase_day_amount_mean" ELSE CAST(NULL AS DOUBLE) END AS DOUBLE) AS "purchase_day_amount_mean",
    CAST(orders_statistics."purchase_span_days" AS BIGINT) AS "purchase_span_days",
    CAST(orders_statistics."recency_days" AS BIGINT) AS "recency_days",
    CAST(CASE WHEN COALESCE(orders_statistics.matched_1, 0) > 0 THEN orders_statistics."repeat_purchase_days" ELSE CAST(NULL AS BIGINT) END AS BIGINT) AS "repeat_purchase_days",
    CAST(CASE WHEN COALESCE(orders_statistics.matched_3, 0) > 0 THEN orders_statistics."return_share_365d" ELSE CAST(NULL AS DOUBLE) END AS DOUBLE) AS "return_share_365d",
    CAST(CASE WHEN COALESCE(orders_statistics.matched_1, 0) > 0 THEN orders_statistics."weekend_share" ELSE CAST(NULL AS DOUBLE) END AS DOUBLE) AS "weekend_share"
  FROM customers_rows AS p
  LEFT JOIN customers_extractions ON customers_extractions.customer_id = p.customer_id
  LEFT JOIN interactions_distinct ON interactions_distinct.customer_id = p.customer_id
  LEFT JOIN interactions_statistics ON interactions_statistics.customer_id = p.customer_id
  LEFT JOIN order_gaps_statistics ON order_gaps_statistics.customer_id = p.customer_id
  LEFT JOIN order_lines_statistics ON order_lines_statistics.customer_id = p.customer_id
  LEFT JOIN top_categories_365d_pick ON top_categories_365d_pick.customer_id = p.customer_id
  LEFT JOIN top_department_pick ON top_department_pick.customer_id = p.customer_id
  LEFT JOIN orders_statistics ON orders_statistics.customer_id = p.customer_id
  LEFT JOIN day_part_habit_pick ON day_part_habit_pick.customer_id = p.customer_id
  LEFT JOIN main_store_pick ON main_store_pick.customer_id = p.customer_id
),
cutpoints_1 AS NOT MATERIALIZED (
  SELECT QUANTILE_DISC("order_count_365d", [0.25, 0.5, 0.75]) AS "frequency_rank", QUANTILE_DISC("order_amount_365d", [0.25, 0.5, 0.75]) AS "monetary_rank", QUANTILE_DISC("recency_days", [0.25, 0.5, 0.75]) AS "recency_rank"
  FROM wide_0
),
wide_1 AS MATERIALIZED (
  SELECT
    w.*,
    1 + CAST(w."order_count_365d" > cutpoints_1."frequency_rank"[1] AS BIGINT) + CAST(w."order_count_365d" > cutpoints_1."frequency_rank"[2] AS BIGINT) + CAST(w."order_count_365d" > cutpoints_1."frequency_rank"[3] AS BIGINT) AS "frequency_rank",
    1 + CAST(w."order_amount_365d" > cutpoints_1."monetary_rank"[1] AS BIGINT) + CAST(w."order_amount_365d" > cutpoints_1."monetary_rank"[2] AS BIGINT) + CAST(w."order_amount_365d" > cutpoints_1."monetary_rank"[3] AS BIGINT) AS "monetary_rank",
    4 - (CAST(w."recency_days" > cutpoints_1."recency_rank"[1] AS BIGINT) + CAST(w."recency_days" > cutpoints_1."recency_rank"[2] AS BIGINT) + CAST(w."recency_days" > cutpoints_1."recency_rank"[3] AS BIGINT)) AS "recency_rank",
    CAST(CASE WHEN "w"."tenure_days" <= 30 THEN 0 WHEN "w"."recency_days" <= 30 THEN 1 WHEN "w"."recency_days" <= 60 THEN 2 WHEN "w"."recency_days" > 60 THEN 3 ELSE 4 END AS BIGINT) AS "activity_status__case",
    CAST(CASE "activity_status__case" WHEN 0 THEN 'new' WHEN 1 THEN 'active' WHEN 2 THEN 'cooling' WHEN 3 THEN 'dormant' ELSE CAST(NULL AS TEXT) END AS VARCHAR) AS "activity_status",
    CAST(CASE WHEN "w"."tenure_days" < 90 THEN 0 ELSE 1 END AS BIGINT) AS "came_in_last_90d__case",
    CAST(CASE "came_in_last_90d__case" WHEN 0 THEN TRUE ELSE FALSE END AS BOOLEAN) AS "came_in_last_90d",
    CAST(CASE WHEN "w"."campaign_response_share" IS NULL THEN 0 WHEN "w"."campaign_response_share" >= 0.25 THEN 1 WHEN "w"."campaign_response_share" > 0 THEN 2 ELSE 3 END AS BIGINT) AS "campaign_response__case",
    CAST(CASE "campaign_response__case" WHEN 0 THEN 'not_contacted' WHEN 1 THEN 'responsive' WHEN 2 THEN 'occasional' ELSE 'unresponsive' END AS VARCHAR) AS "campaign_response",
    CAST(CASE WHEN "w"."discount_share_90d" >= 0.2 THEN 0 WHEN "w"."discount_share_90d" >= 0.1 THEN 1 WHEN "w"."discount_share_90d" < 0.1 THEN 2 ELSE 3 END AS BIGINT) AS "discount_affinity__case",
    CAST(CASE "discount_affinity__case" WHEN 0 THEN 'high' WHEN 1 THEN 'medium' WHEN 2 THEN 'low' ELSE CAST(NULL AS TEXT) END AS VARCHAR) AS "discount_affinity",
    CAST(CASE WHEN "w"."recency_days" > 60 THEN 0 WHEN NOT "w"."recency_days" IS NULL THEN 1 ELSE 2 END AS BIGINT) AS "is_dormant__case",
    CAST(CASE "is_dormant__case" WHEN 0 THEN TRUE WHEN 1 THEN FALSE ELSE CAST(NULL AS BOOLEAN) END AS BOOLEAN) AS "is_dormant",
    CAST(CASE WHEN "w"."order_gap_mean_days" IS NULL THEN 0 WHEN "w"."recency_days" > 2.0 * "w"."order_gap_mean_days" THEN 1 ELSE 2 END AS BIGINT) AS "is_overdue__case",
    CAST(CASE "is_overdue__case" WHEN 0 THEN CAST(NULL AS BOOLEAN) WHEN 1 THEN TRUE ELSE FALSE END AS BOOLEAN) AS "is_overdue",
    CAST(CASE WHEN "w"."order_amount_median_365d" >= 1000 THEN 0 WHEN NOT "w"."order_amount_median_365d" IS NULL THEN 1 ELSE 2 END AS BIGINT) AS "is_wholesale__case",
    CAST(CASE "is_wholesale__case" WHEN 0 THEN TRUE WHEN 1 THEN FALSE ELSE CAST(NULL AS BOOLEAN) END AS BOOLEAN) AS "is_wholesale",
    CAST(CASE WHEN "w"."has_kids" THEN 0 WHEN "w"."age_band" IN ('19-24', '25-34') THEN 1 WHEN "w"."age_band" IN ('35-44', '45-54') THEN 2 WHEN "w"."age_band" IN ('55-64', '65+') THEN 3 ELSE 4 END AS BIGINT) AS "life_stage__case",
    CAST(CASE "life_stage__case" WHEN 0 THEN 'family' WHEN 1 THEN 'young' WHEN 2 THEN 'middle' WHEN 3 THEN 'senior' ELSE CAST(NULL AS TEXT) END AS VARCHAR) AS "life_stage"
  FROM wide_0 AS w
  CROSS JOIN cutpoints_1
),
cutpoints_2_activity_status AS NOT MATERIALIZED (
  SELECT "activity_status" AS within, QUANTILE_DISC("order_amount_total", [0.25, 0.5, 0.75]) AS "value_rank_in_status"
  FROM wide_1
  GROUP BY "activity_status"
),
wide_2 AS MATERIALIZED (
  SELECT
    w.*,
    1 + CAST(w."order_amount_total" > cutpoints_2_activity_status."value_rank_in_status"[1] AS BIGINT) + CAST(w."order_amount_total" > cutpoints_2_activity_status."value_rank_in_status"[2] AS BIGINT) + CAST(w."order_amount_total" > cutpoints_2_activity_status."value_rank_in_status"[3] AS BIGINT) AS "value_rank_in_status",
    CAST(CASE WHEN "w"."recency_rank" >= 3 AND "w"."frequency_rank" >= 3 AND "w"."monetary_rank" >= 3 THEN 0 WHEN "w"."recency_rank" >= 3 AND "w"."frequency_rank" < 3 AND "w"."monetary_rank" >= 3 THEN 1 WHEN "w"."recency_rank" < 3 AND "w"."frequency_rank" >= 3 AND "w"."monetary_rank" >= 3 THEN 2 WHEN "w"."recency_rank" < 3 AND "w"."frequency_rank" < 3 AND "w"."monetary_rank" >= 3 THEN 3 WHEN "w"."recency_rank" >= 3 AND "w"."frequency_rank" >= 3 AND "w"."monetary_rank" < 3 THEN 4 WHEN "w"."recency_rank" >= 3 AND "w"."frequency_rank" < 3 AND "w"."monetary_rank" < 3 THEN 5 WHEN "w"."recency_rank" < 3 AND "w"."frequency_rank" >= 3 AND "w"."monetary_rank" < 3 THEN 6 WHEN "w"."recency_rank" < 3 AND "w"."frequency_rank" < 3 AND "w"."monetary_rank" < 3 THEN 7 ELSE 8 END AS BIGINT) AS "rfm_segment__case",
    CAST(CASE "rfm_segment__case" WHEN 0 THEN 'important_value' WHEN 1 THEN 'important_develop' WHEN 2 THEN 'important_keep' WHEN 3 THEN 'important_win_back' WHEN 4 THEN 'general_value' WHEN 5 THEN 'general_develop' WHEN 6 THEN 'general_keep' WHEN 7 THEN 'general_win_back' ELSE CAST(NULL AS TEXT) END AS VARCHAR) AS "rfm_segment"
  FROM wide_1 AS w
  LEFT JOIN cutpoints_2_activity_status ON cutpoints_2_activity_status.within IS NOT DISTINCT FROM w."activity_status"
)
SELECT
  customer_id,
  TIMESTAMPTZ '2017-10-01 00:00:00+00:00' AS as_of,
  "active_days_90d",
  "age_band",
  "basket_lines_mean",
  "campaign_contacts_90d",
  "campaign_response_share",
  "category_count_90d",
  "coupon_discount_share",
  "coupon_redemptions_90d",
  "coupon_redemptions_total",
  "day_part_habit",
  "department_count_total",
  "discount_share_90d",
  "evening_share",
  "first_purchase_days",
  "fresh_share_365d",
  "has_kids",
  "home_ownership",
  "household_size",
  "income_band",
  "large_order_count_365d",
  "last_contact_days",
  "last_order_amount",
  "last_order_date",
  "main_store",
  "marital_status",
  "order_amount_30d",
  "order_amount_365d",
  "order_amount_90d",
  "order_amount_max",
  "order_amount_mean",
  "order_amount_median_365d",
  "order_amount_total",
  "order_count_30d",
  "order_count_365d",
  "order_count_90d",
  "order_count_total",
  "order_gap_last_days",
  "order_gap_mean_days",
  "order_gap_stddev_days",
  "order_trend",
  "private_label_share_365d",
  "product_count_365d",
  "purchase_day_amount_mean",
  "purchase_span_days",
  "recency_days",
  "repeat_purchase_days",
  "return_share_365d",
  "tenure_days",
  "top_categories_365d",
  "top_department",
  "weekend_share",
  "activity_status",
  "activity_status__case",
  "came_in_last_90d",
  "came_in_last_90d__case",
  "campaign_response",
  "campaign_response__case",
  "discount_affinity",
  "discount_affinity__case",
  "frequency_rank",
  "is_dormant",
  "is_dormant__case",
  "is_overdue",
  "is_overdue__case",
  "is_wholesale",
  "is_wholesale__case",
  "life_stage",
  "life_stage__case",
  "monetary_rank",
  "recency_rank",
  "rfm_segment",
  "rfm_segment__case",
  "value_rank_in_status"
FROM wide_2
ORDER BY customer_id
