INSERT INTO jobs (
    uid, namespace, job_id, definition, pause, revision, change_seq, effective_from, create_time, update_time,
    delete_time
)
VALUES :rows
ON CONFLICT (uid) DO UPDATE SET
    definition = excluded.definition,
    pause = excluded.pause,
    revision = excluded.revision,
    change_seq = excluded.change_seq,
    effective_from = excluded.effective_from,
    create_time = excluded.create_time,
    update_time = excluded.update_time,
    delete_time = excluded.delete_time
