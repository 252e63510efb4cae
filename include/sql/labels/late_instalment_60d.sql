-- Whether any instalment of a customer is paid more than ten days late, of those that fall due in the
-- 45 days after as_of and were not paid before: so a fortnight remains in which one can be paid late,
-- and five days until a payment is booked. Of who has nothing due then, it cannot be said.
-- What was cancelled is not due. due_at is the end of its day and settled_at the beginning of the
-- payment's, so that ten days between them are the eleventh day late.
SELECT
  customer_id,
  bool_or(settled_at IS NULL OR settled_at >= due_at + INTERVAL 10 DAY) AS label
FROM receivables
WHERE customer_id IS NOT NULL
  AND due_at >= as_of
  AND due_at < as_of + INTERVAL 45 DAY
  AND (is_open OR settled_at >= as_of)
GROUP BY customer_id
