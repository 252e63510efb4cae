-- Out of 10 in the first year, out of 100 later: both are points of 100 here. An answer speaks for
-- the customer for a year.
WITH answered AS (
  SELECT *, CAST(strptime(answered_on, '%Y/%m/%d') AS TIMESTAMP) AS day FROM answers
)

SELECT
  CAST(answer_id AS VARCHAR) AS survey_id,
  'survey:' || regexp_replace(company, '^[\s　]+|[\s　]+$', '', 'g') || '|' || coalesce(province, '')
    AS customer_key,
  timezone('Asia/Shanghai', day) AS answered_at,
  score * 100.0 / scale AS score,
  score AS given_score,
  scale,
  remark AS comment,
  timezone('Asia/Shanghai', day + to_years(1)) AS valid_until
FROM answered
