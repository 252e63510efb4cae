-- The company as the survey spells it, with the name as in the office's evidence, and the telephones
-- that those who answered for it gave: evidence of whose they were then.
WITH answered AS (
  SELECT
    'survey:' || regexp_replace(company, '^[\s　]+|[\s　]+$', '', 'g') || '|' || coalesce(province, '') AS customer_key,
    replace(replace(replace(replace(replace(replace(
      regexp_replace(
        regexp_replace(
          regexp_replace(
            regexp_replace(company, '[\s　]', '', 'g'), '^(.+)[（(](.+)[）)](.*)$', '\2\1\3'
          ), '^(.{2,3})市', '\1'
        ), '(有限责任公司|股份有限公司|有限公司|公司)$', ''
      ), '建设工程', '建工'), '起重设备租赁', '起重'), '港务装卸', '港务'), '风电安装', '风电'
    ), '钢结构', '钢构'), '市政工程', '市政') || '|' || province AS company,
    '+86' || right(regexp_replace(respondent_phone, '[^0-9]', '', 'g'), 11) AS phone,
    timezone('Asia/Shanghai', CAST(strptime(answered_on, '%Y/%m/%d') AS TIMESTAMP)) AS answered_at
  FROM answers
),

claims AS (
  SELECT customer_key, 'company' AS kind, company AS value, answered_at FROM answered WHERE company IS NOT NULL
  UNION ALL
  SELECT customer_key, 'phone_given' AS kind, phone AS value, answered_at FROM answered WHERE phone IS NOT NULL
)

SELECT
  customer_key,
  kind,
  value,
  'survey' AS system,
  true AS is_held,
  answered_at AS valid_at
FROM claims
GROUP BY customer_key, kind, value, answered_at
