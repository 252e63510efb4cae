-- Orders have no number: equal lines of a day are told apart by counting them. What was typed says
-- which parts the order is about and what is to be done.
WITH numbered AS (
  SELECT
    *,
    row_number() OVER (
      PARTITION BY started_on, asset, short_text, order_type, cost
    ) AS repetition
  FROM work_orders
)

SELECT
  md5(concat(started_on, '|', asset, '|', short_text, '|', order_type, '|', cost, '|', repetition))
    AS ticket_id,
  'mine' AS customer_key,
  asset AS machine_id,
  'closed' AS status,
  started_on AS opened_at,
  short_text AS text,
  term(short_text, 'excavator_parts') AS part,
  terms(short_text, 'excavator_parts') AS parts,
  term(short_text, 'excavator_actions') AS action,
  terms(short_text, 'excavator_actions') AS actions,
  cost
FROM numbered
