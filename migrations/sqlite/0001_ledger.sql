-- The ledger. Times are microseconds since 1970, ids 16 bytes, enums their names, JSON is text.

CREATE TABLE leadership (
    -- One row.
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    epoch INTEGER NOT NULL,
    node TEXT NOT NULL,
    watermark INTEGER NOT NULL,
    token_ceiling INTEGER NOT NULL,
    longest_agent_ttl INTEGER NOT NULL,
    schedule_version TEXT NOT NULL
) STRICT;

CREATE TABLE jobs (
    uid BLOB NOT NULL PRIMARY KEY,
    namespace TEXT NOT NULL,
    job_id TEXT NOT NULL,
    definition TEXT NOT NULL,
    pause TEXT,
    revision INTEGER NOT NULL,
    change_seq INTEGER NOT NULL,
    effective_from INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    delete_time INTEGER,
    -- Counts, kept for the jobs whose definition asks for them.
    fires INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE UNIQUE INDEX jobs_live ON jobs (namespace, job_id) WHERE delete_time IS NULL;
CREATE INDEX jobs_by_name ON jobs (namespace, job_id, uid);
CREATE INDEX jobs_by_id ON jobs (job_id, namespace, uid);
CREATE INDEX jobs_by_change ON jobs (change_seq);
CREATE INDEX jobs_by_update ON jobs (update_time, uid);
CREATE INDEX jobs_by_update_of_namespace ON jobs (namespace, update_time, uid);
-- Those that do not fire, among the many that do.
CREATE INDEX jobs_halted ON jobs (namespace, job_id, uid)
    WHERE delete_time IS NULL AND (pause IS NOT NULL OR json_extract(definition, '$.enabled') = 0);
CREATE INDEX jobs_by_deletion ON jobs (delete_time) WHERE delete_time IS NOT NULL;
CREATE INDEX jobs_deleted ON jobs (namespace, job_id, uid) WHERE delete_time IS NOT NULL;

CREATE TABLE job_revisions (
    job_uid BLOB NOT NULL REFERENCES jobs (uid) ON DELETE CASCADE,
    revision INTEGER NOT NULL,
    change TEXT NOT NULL,
    author TEXT NOT NULL,
    note TEXT NOT NULL,
    definition TEXT NOT NULL,
    pause TEXT,
    change_seq INTEGER NOT NULL,
    effective_from INTEGER NOT NULL,
    time INTEGER NOT NULL,
    PRIMARY KEY (job_uid, revision)
) STRICT;

CREATE TABLE calendars (
    namespace TEXT NOT NULL,
    calendar_id TEXT NOT NULL,
    definition TEXT NOT NULL,
    revision INTEGER NOT NULL,
    change_seq INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    PRIMARY KEY (namespace, calendar_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE runs (
    id BLOB NOT NULL PRIMARY KEY,
    -- A job outlives its runs, so that a job's name leads to all of them.
    job_uid BLOB NOT NULL REFERENCES jobs (uid),
    namespace TEXT NOT NULL,
    job_id TEXT NOT NULL,
    job_revision INTEGER NOT NULL,
    trigger TEXT NOT NULL,
    scheduled_time INTEGER NOT NULL,
    occurrence INTEGER NOT NULL,
    covers_from INTEGER,
    decided_at INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    reason_message TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    uncounted_attempts INTEGER NOT NULL,
    next_attempt_time INTEGER,
    -- The agent of the latest attempt, whichever table that is in.
    agent_id TEXT,
    -- The first attempt; the later ones are in attempts.
    first_state TEXT,
    first_agent_id TEXT,
    first_agent_instance BLOB,
    first_slot INTEGER,
    first_fencing_token INTEGER,
    first_assign_time INTEGER,
    first_start_time INTEGER,
    first_end_time INTEGER,
    first_reason TEXT,
    first_error_code TEXT,
    first_error_message TEXT,
    first_exit_code INTEGER,
    first_late_outcome TEXT,
    first_late_outcome_time INTEGER,
    coalesced_count INTEGER NOT NULL,
    first_scheduled_time INTEGER,
    retry_of BLOB,
    backfill_id BLOB,
    labels TEXT NOT NULL,
    payload TEXT,
    cancel_requested_time INTEGER,
    create_time INTEGER NOT NULL,
    start_time INTEGER,
    end_time INTEGER,
    progress_percent REAL,
    progress_message TEXT,
    result TEXT,
    error_code TEXT,
    error_message TEXT,
    exit_code INTEGER
) STRICT;

-- Promise 2: no instant is entered twice.
CREATE UNIQUE INDEX runs_by_fire ON runs (job_uid, scheduled_time, occurrence);
CREATE INDEX runs_of_job ON runs (job_uid, id);
CREATE INDEX runs_of_namespace ON runs (namespace, id);
CREATE INDEX runs_of_agent ON runs (agent_id, id) WHERE agent_id IS NOT NULL;
CREATE INDEX runs_of_backfill ON runs (backfill_id, id) WHERE backfill_id IS NOT NULL;
CREATE INDEX runs_unended ON runs (id) WHERE state IN ('PENDING', 'RUNNING');
-- Entered ahead of their time, so that their ids tell nothing of it.
CREATE INDEX runs_ahead ON runs (scheduled_time, id) WHERE scheduled_time > decided_at + 1000000;
CREATE INDEX runs_asked_for ON runs (id) WHERE trigger <> 'SCHEDULE';
CREATE INDEX runs_not_succeeded ON runs (id) WHERE state NOT IN ('PENDING', 'RUNNING', 'SUCCEEDED');

CREATE TABLE attempts (
    run_id BLOB NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    number INTEGER NOT NULL CHECK (number > 1),
    state TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    agent_instance BLOB NOT NULL,
    slot INTEGER NOT NULL,
    fencing_token INTEGER NOT NULL,
    assign_time INTEGER NOT NULL,
    start_time INTEGER,
    end_time INTEGER,
    reason TEXT,
    error_code TEXT,
    error_message TEXT,
    exit_code INTEGER,
    late_outcome TEXT,
    late_outcome_time INTEGER,
    PRIMARY KEY (run_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE backfills (
    id BLOB NOT NULL PRIMARY KEY,
    job_uid BLOB NOT NULL REFERENCES jobs (uid) ON DELETE CASCADE,
    namespace TEXT NOT NULL,
    job_id TEXT NOT NULL,
    job_revision INTEGER NOT NULL,
    author TEXT NOT NULL,
    start_time INTEGER NOT NULL,
    end_time INTEGER NOT NULL,
    concurrency INTEGER NOT NULL,
    -- A list: settled when it begins, whatever becomes of the schedule.
    instants TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    -- How many of the instants have their run.
    position INTEGER NOT NULL,
    closed_time INTEGER,
    dropped TEXT
) STRICT;

CREATE INDEX backfills_open ON backfills (id) WHERE closed_time IS NULL;
CREATE INDEX backfills_of_job ON backfills (job_uid);

CREATE TABLE run_logs (
    run_id BLOB NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    source TEXT NOT NULL,
    time INTEGER NOT NULL,
    data BLOB NOT NULL,
    cut_bytes INTEGER NOT NULL,
    PRIMARY KEY (run_id, attempt, sequence)
) STRICT;

-- Those that get no new work: all others are known to the leader only.
CREATE TABLE agents (
    agent_id TEXT NOT NULL PRIMARY KEY,
    cordon_note TEXT NOT NULL,
    cordon_author TEXT NOT NULL,
    cordon_time INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE requests (
    namespace TEXT NOT NULL,
    method TEXT NOT NULL,
    request_id TEXT NOT NULL,
    digest TEXT NOT NULL,
    resource TEXT NOT NULL,
    time INTEGER NOT NULL,
    PRIMARY KEY (namespace, method, request_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX requests_by_time ON requests (time);
