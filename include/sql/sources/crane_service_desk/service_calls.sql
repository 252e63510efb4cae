-- A call as it was taken. What was said of the machine is not checked here: see
-- service_call_machines. Texts are written one way: full width as half width, marks and blanks once.
WITH characters (wide, narrow) AS (
  VALUES (
    '！，。：；？（）　０１２３４５６７８９' || 'ＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＸＹＺ' || 'ａｂｃｄｅｆｇｈｉｊｋｌｍｎｏｐｑｒｓｔｕｖｗｘｙｚ',
    '!,.:;?() 0123456789' || 'ABCDEFGHIJKLMNOPQRSTUVWXYZ' || 'abcdefghijklmnopqrstuvwxyz'
  )
),

topics (said, topic) AS (
  VALUES ('报修', 'repair'), ('投诉', 'complaint'), ('咨询', 'inquiry')
),

written AS (
  SELECT
    *,
    regexp_replace(caller_phone, '[^0-9]', '', 'g') AS digits,
    translate(call_text, wide, narrow) AS half_width
  FROM calls
  CROSS JOIN characters
)

SELECT
  w.call_id,
  CASE WHEN length(w.digits) >= 11 THEN concat('phone:+86', right(w.digits, 11)) END
    AS customer_key,
  w.called_at,
  coalesce(t.topic, w.topic) AS topic,
  trim(w.company_said) AS company_said,
  nullif(upper(regexp_replace(w.serial_no, '[^0-9A-Za-z]', '', 'g')), '') AS serial_said,
  w.serial_no AS serial_sent,
  nullif(trim(regexp_replace(regexp_replace(w.half_width, '!+', '!', 'g'), '\s+', ' ', 'g')), '')
    AS text,
  w.call_text AS text_sent
FROM written AS w
LEFT JOIN topics AS t ON t.said = w.topic
