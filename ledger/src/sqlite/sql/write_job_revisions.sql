INSERT INTO job_revisions (
    job_uid, revision, change, author, note, definition, pause, change_seq, effective_from, time
)
VALUES :rows
ON CONFLICT (job_uid, revision) DO NOTHING
