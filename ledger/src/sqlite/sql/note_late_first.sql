WITH v (run_id, outcome, time) AS (VALUES :rows)
UPDATE runs SET first_late_outcome = v.outcome, first_late_outcome_time = v.time
FROM v
WHERE runs.id = v.run_id AND runs.first_state = 'LOST'
