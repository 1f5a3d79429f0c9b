-- A million runs of the 100,000 s before NOW. Their indexes are made afterwards, which takes half the time.

INSERT INTO jobs (
    uid, namespace, job_id, definition, pause, revision, change_seq, effective_from, create_time, update_time, delete_time
)
SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'default', 'job-' || n,
    (SELECT definition FROM jobs LIMIT 1), CASE WHEN n % 100 = 5 THEN '{"note": "", "author": "", "time": 0}' END, 1, n, 0, 1, 1770091506789012 - n,
    CASE WHEN n % 100 = 6 THEN 1770091506789012 END
FROM generate_series(1000, 1999) AS n;

CREATE TEMPORARY TABLE made AS
SELECT n,
    (lpad(to_hex((1770091506789 - (1000000 - n) * 100)::bigint), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid
        AS id,
    1770091506789012 - (1000000 - n)::bigint * 100000 AS at,
    n BETWEEN 1000 AND 1019 AS rare
FROM generate_series(1, 1000000) AS n;

DO $$
DECLARE
    made_again text[];
    name text;
BEGIN
    SELECT array_agg(indexdef) INTO made_again FROM pg_indexes WHERE tablename = 'runs' AND indexname <> 'runs_pkey';
    FOR name IN SELECT indexname FROM pg_indexes WHERE tablename = 'runs' AND indexname <> 'runs_pkey' LOOP
        EXECUTE 'DROP INDEX ' || name;
    END LOOP;
    INSERT INTO runs (
        id, job_uid, namespace, job_id, job_revision, trigger, scheduled_time, occurrence, covers_from, decided_at,
        not_before, state, reason_message, attempt, uncounted_attempts, agent_id, first_state, first_agent_id,
        first_agent_instance, first_slot, first_fencing_token, first_assign_time, first_start_time, first_end_time,
        coalesced_count, backfill_id, labels, create_time, start_time, end_time
    )
    SELECT id,
        CASE WHEN rare THEN '00000000-0000-7000-8000-00000000ffff'
            ELSE ('00000000-0000-7000-8000-' || lpad(to_hex(1000 + n % 1000), 12, '0')) END::uuid,
        CASE WHEN rare THEN 'rare' ELSE 'default' END,
        CASE WHEN rare THEN 'rare' ELSE 'job-' || 1000 + n % 1000 END,
        1,
        CASE WHEN n % 5000 = 1 THEN 'MANUAL' ELSE 'SCHEDULE' END,
        at, CASE WHEN n % 5000 = 1 THEN n ELSE 0 END, CASE WHEN n % 5000 = 1 THEN NULL ELSE at - 1 END, at, at,
        CASE WHEN n > 999900 THEN 'RUNNING' WHEN n % 200 = 3 THEN 'FAILED' ELSE 'SUCCEEDED' END,
        '', 1, 0, CASE WHEN rare THEN 'rare' ELSE 'agent-' || n % 10 END,
        'SUCCEEDED', 'agent', '00000000-0000-7000-8000-000000000001', 0, n, at, at, at,
        1, CASE WHEN rare THEN '00000000-0000-7000-8000-00000000bbbb' END::uuid, '{}', at, at,
        CASE WHEN n > 999900 THEN NULL ELSE at END
    FROM made;
    FOREACH name IN ARRAY made_again LOOP
        EXECUTE name;
    END LOOP;
END
$$;
