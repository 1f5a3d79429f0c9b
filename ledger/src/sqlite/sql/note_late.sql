WITH v (run_id, number, outcome, time) AS (VALUES :rows)
UPDATE attempts SET late_outcome = v.outcome, late_outcome_time = v.time
FROM v
WHERE attempts.run_id = v.run_id AND attempts.number = v.number AND attempts.state = 'LOST'
