WITH v (uid, fires, failures) AS (VALUES :rows)
UPDATE jobs SET fires = v.fires, failures = v.failures
FROM v
WHERE jobs.uid = v.uid
