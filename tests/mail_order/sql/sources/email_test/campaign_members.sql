-- Who got no e-mail is a member of the test all the same: its control arm.
SELECT
  concat('email-test ', customer) AS member_id,
  customer AS customer_key,
  'email_test' AS campaign,
  CASE segment WHEN 'Womens E-Mail' THEN 'womens' WHEN 'Mens E-Mail' THEN 'mens' ELSE 'control' END
    AS arm,
  sent AS assigned_at
FROM recipients
