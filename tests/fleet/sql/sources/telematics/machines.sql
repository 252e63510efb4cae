-- Each sale is a version of the machine, from its day on.
SELECT machine AS machine_id, owner, model, built AS since_at, sold AS valid_at FROM sales
