-- The machine of a call. What the ticket says that followed on it counts more than what was said; of
-- a serial number that no machine has, a machine is meant that differs in one place, if it is the
-- only one. Machines are laid out once for each place that is left out, so that this is a join.
WITH tickets AS (
  SELECT call_id, min(machine_id) AS machine_id
  FROM service_tickets
  WHERE call_id IS NOT NULL AND machine_id IS NOT NULL
  GROUP BY call_id
  HAVING count(DISTINCT machine_id) = 1
),

said AS (
  SELECT
    c.call_id,
    c.customer_key,
    c.called_at,
    c.serial_said,
    k.machine_id AS known,
    t.machine_id AS by_ticket
  FROM service_calls AS c
  LEFT JOIN machines AS k ON k.machine_id = c.serial_said
  LEFT JOIN tickets AS t ON t.call_id = c.call_id
),

unknown AS (
  SELECT call_id, serial_said, unnest(range(1, length(serial_said) + 1)) AS place
  FROM said
  WHERE known IS NULL AND by_ticket IS NULL
),

machine_places AS (
  SELECT machine_id, unnest(range(1, length(machine_id) + 1)) AS place
  FROM machines
),

near AS (
  SELECT u.call_id, min(m.machine_id) AS machine_id
  FROM unknown AS u
  JOIN machine_places AS m
    ON m.place = u.place
    AND concat(substr(m.machine_id, 1, m.place - 1), '?', substr(m.machine_id, m.place + 1))
    = concat(substr(u.serial_said, 1, u.place - 1), '?', substr(u.serial_said, u.place + 1))
  GROUP BY u.call_id
  HAVING count(DISTINCT m.machine_id) = 1
)

SELECT
  s.call_id,
  s.customer_key,
  s.called_at,
  s.serial_said,
  coalesce(s.by_ticket, s.known, n.machine_id) AS machine_id,
  CASE
    WHEN s.serial_said IS NULL THEN 'missing'
    WHEN s.by_ticket = s.serial_said THEN 'known'
    WHEN s.by_ticket IS NOT NULL THEN 'by_ticket'
    WHEN s.known IS NOT NULL THEN 'known'
    WHEN n.machine_id IS NOT NULL THEN 'one_digit'
    ELSE 'unknown'
  END AS serial_check
FROM said AS s
LEFT JOIN near AS n ON n.call_id = s.call_id
