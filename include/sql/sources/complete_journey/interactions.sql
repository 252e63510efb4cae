-- A campaign reaches its households by mail on its first day; a coupon is redeemed in a store.
SELECT
  'contact-' || campaigns.campaign_id || '-' || campaigns.household_id AS interaction_id,
  CAST(campaigns.household_id AS VARCHAR) AS customer_key,
  descriptions.start_date AS happened_at,
  'contact' AS kind,
  'mail' AS channel,
  CAST(campaigns.campaign_id AS VARCHAR) AS campaign,
  descriptions.campaign_type,
  CAST(NULL AS VARCHAR) AS offer
FROM campaigns
LEFT JOIN campaign_descriptions AS descriptions
  ON descriptions.campaign_id = campaigns.campaign_id

UNION ALL

SELECT
  'redemption-' || redemptions.campaign_id || '-' || redemptions.household_id || '-'
  || redemptions.coupon_upc || '-' || strftime(redemptions.redemption_date, '%Y%m%d')
    AS interaction_id,
  CAST(redemptions.household_id AS VARCHAR) AS customer_key,
  redemptions.redemption_date AS happened_at,
  'redemption' AS kind,
  'store' AS channel,
  CAST(redemptions.campaign_id AS VARCHAR) AS campaign,
  descriptions.campaign_type,
  CAST(redemptions.coupon_upc AS VARCHAR) AS offer
FROM coupon_redemptions AS redemptions
LEFT JOIN campaign_descriptions AS descriptions
  ON descriptions.campaign_id = redemptions.campaign_id
