-- A version of a person holds from when the CRM changed it; versions that were read before are kept.
WITH known AS (
  SELECT contact_id, account_no, full_name, mobile, role, may_be_called, updated_at, is_deleted
  FROM contacts
  UNION
  SELECT contact_id, account_no, full_name, mobile, role, may_be_called, updated_at, is_deleted
  FROM contact_changes
)

SELECT
  CAST(contact_id AS VARCHAR) AS contact_id,
  'crm:' || account_no AS customer_key,
  full_name,
  '+86' || right(regexp_replace(mobile, '[^0-9]', '', 'g'), 11) AS phone,
  role,
  coalesce(may_be_called, false) AS may_be_called,
  NOT is_deleted AS is_active,
  updated_at AS valid_at
FROM known
