-- Who was sent the men's e-mail or, in the control arm, none, and who came to the shop after.
SELECT
  campaign_members.customer_id,
  campaign_members.arm = 'mens' AS treated,
  count(interactions.customer_id) > 0 AS label
FROM campaign_members
LEFT JOIN interactions
  ON interactions.customer_id = campaign_members.customer_id
  AND interactions.kind = 'visit'
  AND interactions.happened_at >= campaign_members.assigned_at
  AND interactions.happened_at < horizon_end
WHERE campaign_members.campaign = 'email_test'
  AND campaign_members.arm IN ('mens', 'control')
  AND campaign_members.assigned_at >= as_of
  AND campaign_members.assigned_at < horizon_end
GROUP BY campaign_members.customer_id, campaign_members.arm
