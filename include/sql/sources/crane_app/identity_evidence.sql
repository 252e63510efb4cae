-- A user keeps the telephone of the registration.
SELECT
  'app:' || user_id AS customer_key,
  'app' AS system,
  'phone' AS kind,
  '+86' || right(regexp_replace(phone, '[^0-9]', '', 'g'), 11) AS value,
  true AS is_held,
  registered_at AS valid_at
FROM users
WHERE phone IS NOT NULL
