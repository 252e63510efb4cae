-- True for a machine of which a repair is opened between as_of and the end of the horizon; one that
-- went back to the maker is not asked about.
SELECT
  machines.machine_id,
  CASE WHEN NOT any_value(machines.is_returned) THEN count(service_tickets.ticket_id) > 0 END AS label
FROM machines
LEFT JOIN service_tickets
  ON service_tickets.machine_id = machines.machine_id
  AND service_tickets.kind = 'repair'
  AND service_tickets.status <> 'cancelled'
  AND service_tickets.opened_at >= as_of
  AND service_tickets.opened_at < horizon_end
GROUP BY machines.machine_id
