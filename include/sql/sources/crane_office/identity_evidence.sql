-- What the CRM and the MES know a key by. A claim holds from one instant to another; several claims of
-- the same value are one, so a version is where the first begins or the last ends.
--
-- A person who changes company takes the telephone along: it is the account's from the change on,
-- and of the account before only what was read then is known. A corrected tax number is what the
-- account always had: the first one that was read holds from the account's creation, and one that is
-- corrected later ends then.
WITH known_accounts AS (
  SELECT account_no, company_name, province, phone, tax_number, created_at, updated_at
  FROM accounts
  UNION
  SELECT account_no, company_name, province, phone, tax_number, created_at, updated_at
  FROM account_changes
),

account_versions AS (
  SELECT
    *,
    CASE
      WHEN row_number() OVER account_history = 1 THEN created_at ELSE updated_at
    END AS held_from,
    lead(updated_at) OVER account_history AS held_until
  FROM known_accounts
  WINDOW account_history AS (PARTITION BY account_no ORDER BY updated_at)
),

known_contacts AS (
  SELECT contact_id, account_no, mobile, updated_at, is_deleted FROM contacts
  UNION
  SELECT contact_id, account_no, mobile, updated_at, is_deleted FROM contact_changes
),

contact_versions AS (
  SELECT
    *,
    lead(updated_at) OVER (PARTITION BY contact_id ORDER BY updated_at) AS held_until
  FROM known_contacts
),

owners AS (
  SELECT serial_no, account_no, timezone('Asia/Shanghai', CAST(owned_from AS TIMESTAMP)) AS owned_at
  FROM machine_owners
  UNION ALL
  SELECT serial_no, NULL AS account_no, timezone('Asia/Shanghai', CAST(returned_on AS TIMESTAMP)) AS owned_at
  FROM machine_returns
),

owner_versions AS (
  SELECT
    *,
    lead(owned_at) OVER (PARTITION BY serial_no ORDER BY owned_at) AS held_until
  FROM owners
),

-- Companies write the town in brackets, before or after the name, with 市 or without, the trade in
-- full or short, and the legal form long, short or not at all.
companies AS (
  SELECT
    named.company,
    replace(replace(replace(replace(replace(replace(
      regexp_replace(
        regexp_replace(
          regexp_replace(
            regexp_replace(named.company, '[\s　]', '', 'g'), '^(.+)[（(](.+)[）)](.*)$', '\2\1\3'
          ), '^(.{2,3})市', '\1'
        ), '(有限责任公司|股份有限公司|有限公司|公司)$', ''
      ), '建设工程', '建工'), '起重设备租赁', '起重'), '港务装卸', '港务'), '风电安装', '风电'
    ), '钢结构', '钢构'), '市政工程', '市政') AS short
  FROM (
    SELECT DISTINCT company_name AS company FROM known_accounts
  ) AS named
),

claims AS (
  SELECT
    'crm:' || account_no AS customer_key,
    'account' AS kind,
    account_no AS value,
    created_at AS held_from,
    CASE WHEN is_deleted THEN updated_at END AS held_until
  FROM accounts
  UNION ALL
  SELECT
    'crm:' || account_no AS customer_key,
    'tax_number' AS kind,
    upper(trim(tax_number)) AS value,
    held_from,
    held_until
  FROM account_versions
  WHERE tax_number IS NOT NULL
  UNION ALL
  SELECT
    'crm:' || account_no AS customer_key,
    'phone' AS kind,
    '+86' || right(regexp_replace(phone, '[^0-9]', '', 'g'), 11) AS value,
    held_from,
    held_until
  FROM account_versions
  WHERE phone IS NOT NULL
  UNION ALL
  SELECT
    'crm:' || versions.account_no AS customer_key,
    'company' AS kind,
    companies.short || '|' || versions.province AS value,
    versions.held_from,
    versions.held_until
  FROM account_versions AS versions
  INNER JOIN companies ON companies.company = versions.company_name
  WHERE versions.province IS NOT NULL
  UNION ALL
  SELECT
    'crm:' || account_no AS customer_key,
    'phone' AS kind,
    '+86' || right(regexp_replace(mobile, '[^0-9]', '', 'g'), 11) AS value,
    updated_at AS held_from,
    held_until
  FROM contact_versions
  WHERE mobile IS NOT NULL AND NOT is_deleted
  UNION ALL
  SELECT
    'phone:+86' || right(regexp_replace(mobile, '[^0-9]', '', 'g'), 11) AS customer_key,
    'phone' AS kind,
    '+86' || right(regexp_replace(mobile, '[^0-9]', '', 'g'), 11) AS value,
    created_at AS held_from,
    NULL AS held_until
  FROM contacts
  WHERE mobile IS NOT NULL
  UNION ALL
  SELECT
    'crm:' || account_no AS customer_key,
    'contract' AS kind,
    contract_no AS value,
    created_at AS held_from,
    NULL AS held_until
  FROM contracts
  UNION ALL
  SELECT
    'crm:' || account_no AS customer_key,
    'machine' AS kind,
    serial_no AS value,
    owned_at AS held_from,
    held_until
  FROM owner_versions
  WHERE account_no IS NOT NULL
  UNION ALL
  SELECT
    'crm:' || merged_account_no AS customer_key,
    'merged_into' AS kind,
    'crm:' || surviving_account_no AS value,
    merged_at AS held_from,
    reversed_at AS held_until
  FROM account_merges
  UNION ALL
  SELECT
    'mes:' || debtor_no AS customer_key,
    'tax_number' AS kind,
    upper(trim(tax_number)) AS value,
    timezone('Asia/Shanghai', CAST(strptime(delivered_on, '%Y%m%d') AS TIMESTAMP)) AS held_from,
    NULL AS held_until
  FROM deliveries
  WHERE tax_number IS NOT NULL
  UNION ALL
  SELECT
    'mes:' || debtor_no AS customer_key,
    'contract' AS kind,
    contract_no AS value,
    timezone('Asia/Shanghai', CAST(strptime(delivered_on, '%Y%m%d') AS TIMESTAMP)) AS held_from,
    NULL AS held_until
  FROM deliveries
  WHERE contract_no IS NOT NULL
),

turns AS (
  SELECT customer_key, kind, value, held_from AS changed_at, 1 AS more FROM claims
  UNION ALL
  SELECT customer_key, kind, value, held_until AS changed_at, -1 AS more
  FROM claims
  WHERE held_until IS NOT NULL
),

counted AS (
  SELECT
    customer_key, kind, value, changed_at,
    sum(sum(more)) OVER (PARTITION BY customer_key, kind, value ORDER BY changed_at) > 0 AS is_held
  FROM turns
  GROUP BY customer_key, kind, value, changed_at
),

compared AS (
  SELECT
    *,
    lag(is_held) OVER (PARTITION BY customer_key, kind, value ORDER BY changed_at) AS was_held
  FROM counted
)

SELECT
  customer_key,
  kind,
  value,
  CASE WHEN customer_key LIKE 'mes:%' THEN 'mes' ELSE 'crm' END AS system,
  is_held,
  changed_at AS valid_at
FROM compared
WHERE is_held <> coalesce(was_held, false)
