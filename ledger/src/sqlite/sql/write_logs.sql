-- The output of a run that has been purged is of no use to anybody, and no reason to refuse the rest.
WITH v (run_id, attempt, sequence, source, time, data, cut_bytes) AS (VALUES :rows)
INSERT INTO run_logs (run_id, attempt, sequence, source, time, data, cut_bytes)
SELECT v.run_id, v.attempt, v.sequence, v.source, v.time, v.data, v.cut_bytes FROM v
WHERE EXISTS (SELECT 1 FROM runs WHERE runs.id = v.run_id)
ON CONFLICT (run_id, attempt, sequence) DO NOTHING
