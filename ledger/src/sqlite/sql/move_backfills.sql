WITH v (id, position, closed_time, dropped) AS (VALUES :rows)
UPDATE backfills SET position = v.position, closed_time = v.closed_time, dropped = v.dropped
FROM v
WHERE backfills.id = v.id
