-- Who calls has the telephone, and asks about a machine: the one of the work order that followed, or
-- else the one that was said.
WITH heard AS (
  SELECT
    'phone:+86' || right(regexp_replace(c.caller_phone, '[^0-9]', '', 'g'), 11) AS customer_key,
    '+86' || right(regexp_replace(c.caller_phone, '[^0-9]', '', 'g'), 11) AS phone,
    nullif(upper(regexp_replace(coalesce(o.serial_no, c.serial_no), '[^0-9A-Za-z]', '', 'g')), '')
      AS serial_no,
    c.called_at,
    greatest(c.called_at, o.opened_at) AS asked_at
  FROM calls AS c
  LEFT JOIN work_orders AS o ON o.call_id = c.call_id
  WHERE length(regexp_replace(c.caller_phone, '[^0-9]', '', 'g')) >= 11
)

SELECT
  customer_key,
  'service_desk' AS system,
  'phone' AS kind,
  phone AS value,
  true AS is_held,
  min(called_at) AS valid_at
FROM heard
GROUP BY customer_key, phone

UNION ALL

SELECT DISTINCT
  customer_key,
  'service_desk' AS system,
  'machine_asked_about' AS kind,
  serial_no AS value,
  true AS is_held,
  asked_at AS valid_at
FROM heard
WHERE serial_no IS NOT NULL
