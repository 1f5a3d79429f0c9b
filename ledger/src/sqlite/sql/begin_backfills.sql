INSERT INTO backfills (
    id, job_uid, namespace, job_id, job_revision, author, start_time, end_time, concurrency, instants, create_time,
    position, closed_time, dropped
)
VALUES :rows
ON CONFLICT (id) DO NOTHING
