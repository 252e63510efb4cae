SELECT
  return_no AS return_id,
  serial_no AS machine_id,
  'crm:' || account_no AS customer_key,
  contract_no AS order_id,
  timezone('Asia/Shanghai', CAST(returned_on AS TIMESTAMP)) AS returned_at,
  reason
FROM machine_returns
