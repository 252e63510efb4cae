-- A ticket is a work order, a complaint, or a call that neither followed on. Each has a version of
-- when it was opened, of when somebody arrived, and of when it was closed, so that a past day sees
-- it as it stood then; one that vanishes from the source was opened by mistake.
-- The desk writes down a closing when it is told of it: where the closing it was told lies before
-- the opening, the ticket was closed by the time of the writing.
WITH characters (wide, narrow) AS (
  VALUES (
    '！，。：；？（）　０１２３４５６７８９' || 'ＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＸＹＺ' || 'ａｂｃｄｅｆｇｈｉｊｋｌｍｎｏｐｑｒｓｔｕｖｗｘｙｚ',
    '!,.:;?() 0123456789' || 'ABCDEFGHIJKLMNOPQRSTUVWXYZ' || 'abcdefghijklmnopqrstuvwxyz'
  )
),

kinds (said, kind) AS (
  VALUES ('维修', 'repair'), ('保养', 'maintenance'), ('报修', 'repair'), ('咨询', 'inquiry')
),

callers AS (
  SELECT
    *,
    CASE
      WHEN length(regexp_replace(caller_phone, '[^0-9]', '', 'g')) >= 11
        THEN concat('phone:+86', right(regexp_replace(caller_phone, '[^0-9]', '', 'g'), 11))
    END AS customer_key
  FROM calls
),

costs AS (
  SELECT
    order_no,
    CAST(sum(quantity * CAST(unit_price AS DECIMAL(18, 2))) AS DOUBLE) AS part_cost
  FROM parts_used
  GROUP BY order_no
),

tickets AS (
  SELECT
    concat('order:', o.order_no) AS ticket_id,
    o.call_id,
    c.customer_key,
    o.serial_no,
    o.kind AS said,
    o.opened_at,
    o.arrived_at,
    o.closed_at AS closed_sent_at,
    if(o.status = 'closed', greatest(o.updated_at, o.opened_at), NULL) AS ended_at,
    CAST(NULL AS BIGINT) AS severity,
    o.under_warranty,
    o.labour_hours,
    p.part_cost,
    o.site,
    c.call_text AS text_sent,
    o.work_text AS work_text_sent
  FROM work_orders AS o
  LEFT JOIN callers AS c ON c.call_id = o.call_id
  LEFT JOIN costs AS p ON p.order_no = o.order_no

  UNION ALL

  SELECT
    concat('complaint:', o.complaint_no),
    o.call_id,
    c.customer_key,
    o.serial_no,
    'complaint',
    o.opened_at,
    NULL,
    o.resolved_at,
    if(o.resolved_at IS NOT NULL, greatest(o.updated_at, o.opened_at), NULL),
    o.severity,
    NULL,
    NULL,
    NULL,
    NULL,
    o.complaint_text,
    NULL
  FROM complaints AS o
  LEFT JOIN callers AS c ON c.call_id = o.call_id

  UNION ALL

  -- Complaints are all written down as such. An inquiry ends with the call.
  SELECT
    concat('call:', c.call_id),
    c.call_id,
    c.customer_key,
    NULL,
    c.topic,
    c.called_at,
    NULL,
    NULL,
    if(c.topic = '咨询', c.called_at, NULL),
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
    c.call_text,
    NULL
  FROM callers AS c
  WHERE c.topic <> '投诉' AND NOT EXISTS (SELECT 1 FROM work_orders AS o WHERE o.call_id = c.call_id)
),

written AS (
  SELECT
    *,
    closed_sent_at < opened_at AS is_closed_before_opened,
    translate(text_sent, wide, narrow) AS half_width,
    translate(work_text_sent, wide, narrow) AS work_half_width
  FROM tickets
  CROSS JOIN characters
),

-- The instants of a ticket's versions: it has arrived or is closed from then on.
versions AS (
  SELECT *, opened_at AS valid_at, false AS is_there, false AS is_closed
  FROM written
  WHERE ended_at IS NULL OR ended_at > opened_at

  UNION ALL

  SELECT *, arrived_at, true, false
  FROM written
  WHERE arrived_at > opened_at AND (ended_at IS NULL OR ended_at > arrived_at)

  UNION ALL

  SELECT *, ended_at, true, true
  FROM written
  WHERE ended_at IS NOT NULL
)

SELECT
  v.ticket_id,
  v.customer_key,
  nullif(upper(regexp_replace(v.serial_no, '[^0-9A-Za-z]', '', 'g')), '') AS machine_id,
  coalesce(k.kind, v.said) AS kind,
  if(v.is_closed, 'closed', 'open') AS status,
  v.opened_at,
  if(v.is_there, v.arrived_at, NULL) AS arrived_at,
  CASE
    WHEN NOT v.is_closed THEN NULL
    WHEN v.is_closed_before_opened THEN v.ended_at
    ELSE coalesce(v.closed_sent_at, v.ended_at)
  END AS closed_at,
  if(v.is_closed, v.closed_sent_at, NULL) AS closed_sent_at,
  v.is_closed AND coalesce(v.is_closed_before_opened, false) AS is_closed_before_opened,
  v.severity,
  v.under_warranty AS is_under_warranty,
  if(v.is_closed, v.labour_hours, NULL) AS labour_hours,
  if(v.is_closed, v.part_cost, NULL) AS part_cost,
  v.site,
  v.call_id,
  nullif(trim(regexp_replace(regexp_replace(v.half_width, '!+', '!', 'g'), '\s+', ' ', 'g')), '')
    AS text,
  v.text_sent,
  if(
    v.is_closed,
    nullif(
      trim(regexp_replace(regexp_replace(v.work_half_width, '!+', '!', 'g'), '\s+', ' ', 'g')), ''
    ),
    NULL
  ) AS work_text,
  if(v.is_closed, v.work_text_sent, NULL) AS work_text_sent,
  v.valid_at
FROM versions AS v
LEFT JOIN kinds AS k ON k.said = v.said
