-- A message is up to three events: it was sent, it arrived or failed, it was answered; TD opts out.
-- A failure has no time of its own: the gateway gives up within a day.
WITH messages_of AS (
  SELECT
    'sms-' || message_id AS interaction_id,
    'phone:+' || regexp_replace(msisdn, '[^0-9]', '', 'g') AS customer_key,
    to_timestamp(sent_ts) AS sent_at,
    to_timestamp(delivered_ts) AS delivered_at,
    to_timestamp(replied_ts) AS replied_at,
    campaign,
    reply,
    status
  FROM messages
)

SELECT
  interaction_id || '-sent' AS interaction_id,
  customer_key,
  sent_at AS happened_at,
  'sent' AS kind,
  'sms' AS channel,
  campaign,
  NULL AS topic
FROM messages_of

UNION ALL

SELECT
  interaction_id || '-delivered' AS interaction_id,
  customer_key,
  delivered_at AS happened_at,
  'delivered' AS kind,
  'sms' AS channel,
  campaign,
  NULL AS topic
FROM messages_of
WHERE delivered_at IS NOT NULL

UNION ALL

SELECT
  interaction_id || '-failed' AS interaction_id,
  customer_key,
  sent_at + INTERVAL 1 DAY AS happened_at,
  'failed' AS kind,
  'sms' AS channel,
  campaign,
  NULL AS topic
FROM messages_of
WHERE status = 'failed'

UNION ALL

SELECT
  interaction_id || '-replied' AS interaction_id,
  customer_key,
  replied_at AS happened_at,
  if(status = 'opted_out', 'opted_out', 'replied') AS kind,
  'sms' AS channel,
  campaign,
  reply AS topic
FROM messages_of
WHERE replied_at IS NOT NULL
