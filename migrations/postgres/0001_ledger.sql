-- The ledger. Times are microseconds since 1970, enums their names, JSON is text. Text is compared by its bytes,
-- whatever the database's own order is: lists and prefixes rest on it.

CREATE TABLE leadership (
    -- One row.
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    epoch BIGINT NOT NULL,
    node TEXT NOT NULL,
    watermark BIGINT NOT NULL,
    token_ceiling BIGINT NOT NULL,
    longest_agent_ttl BIGINT NOT NULL,
    schedule_version TEXT NOT NULL,
    -- Of the leader, where it was elected.
    coordinator TEXT,
    election_revision BIGINT
);

CREATE TABLE jobs (
    uid UUID NOT NULL PRIMARY KEY,
    namespace TEXT COLLATE "C" NOT NULL,
    job_id TEXT COLLATE "C" NOT NULL,
    definition TEXT NOT NULL,
    pause TEXT,
    revision BIGINT NOT NULL,
    change_seq BIGINT NOT NULL,
    effective_from BIGINT NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    delete_time BIGINT,
    -- Counts, kept for the jobs whose definition asks for them.
    fires BIGINT NOT NULL DEFAULT 0,
    failures BIGINT NOT NULL DEFAULT 0,
    enabled BOOLEAN NOT NULL GENERATED ALWAYS AS ((definition::jsonb ->> 'enabled')::boolean) STORED
);

CREATE UNIQUE INDEX jobs_live ON jobs (namespace, job_id) WHERE delete_time IS NULL;
CREATE INDEX jobs_by_name ON jobs (namespace, job_id, uid);
CREATE INDEX jobs_by_id ON jobs (job_id, namespace, uid);
CREATE INDEX jobs_by_change ON jobs (change_seq);
CREATE INDEX jobs_by_update ON jobs (update_time, uid);
CREATE INDEX jobs_by_update_of_namespace ON jobs (namespace, update_time, uid);
-- Those that do not fire, among the many that do.
CREATE INDEX jobs_halted ON jobs (namespace, job_id, uid) WHERE delete_time IS NULL AND (pause IS NOT NULL OR NOT enabled);
CREATE INDEX jobs_by_deletion ON jobs (delete_time) WHERE delete_time IS NOT NULL;
CREATE INDEX jobs_deleted ON jobs (namespace, job_id, uid) WHERE delete_time IS NOT NULL;

CREATE TABLE job_revisions (
    job_uid UUID NOT NULL REFERENCES jobs (uid) ON DELETE CASCADE,
    revision BIGINT NOT NULL,
    change TEXT NOT NULL,
    author TEXT NOT NULL,
    note TEXT NOT NULL,
    definition TEXT NOT NULL,
    pause TEXT,
    change_seq BIGINT NOT NULL,
    effective_from BIGINT NOT NULL,
    time BIGINT NOT NULL,
    enabled BOOLEAN NOT NULL GENERATED ALWAYS AS ((definition::jsonb ->> 'enabled')::boolean) STORED,
    PRIMARY KEY (job_uid, revision)
);

CREATE TABLE calendars (
    namespace TEXT COLLATE "C" NOT NULL,
    calendar_id TEXT COLLATE "C" NOT NULL,
    definition TEXT NOT NULL,
    revision BIGINT NOT NULL,
    change_seq BIGINT NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    PRIMARY KEY (namespace, calendar_id)
);

CREATE INDEX calendars_by_change ON calendars (change_seq);

CREATE TABLE runs (
    id UUID NOT NULL PRIMARY KEY,
    -- A job outlives its runs, so that a job's name leads to all of them. There is no foreign key: its check would
    -- lock, and so write, the job's row with each fire (rule 8).
    job_uid UUID NOT NULL,
    namespace TEXT COLLATE "C" NOT NULL,
    job_id TEXT COLLATE "C" NOT NULL,
    job_revision BIGINT NOT NULL,
    trigger TEXT NOT NULL,
    scheduled_time BIGINT NOT NULL,
    occurrence BIGINT NOT NULL,
    covers_from BIGINT,
    decided_at BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    reason_message TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    uncounted_attempts BIGINT NOT NULL,
    next_attempt_time BIGINT,
    -- The agent of the latest attempt, whichever table that is in.
    agent_id TEXT COLLATE "C",
    -- The first attempt; the later ones are in attempts.
    first_state TEXT,
    first_agent_id TEXT,
    first_agent_instance UUID,
    first_slot BIGINT,
    first_fencing_token BIGINT,
    first_assign_time BIGINT,
    first_start_time BIGINT,
    first_end_time BIGINT,
    first_reason TEXT,
    first_error_code TEXT,
    first_error_message TEXT,
    first_exit_code INTEGER,
    first_late_outcome TEXT,
    first_late_outcome_time BIGINT,
    coalesced_count BIGINT NOT NULL,
    first_scheduled_time BIGINT,
    retry_of UUID,
    backfill_id UUID,
    labels TEXT NOT NULL,
    payload TEXT,
    cancel_requested_time BIGINT,
    create_time BIGINT NOT NULL,
    start_time BIGINT,
    end_time BIGINT,
    progress_percent DOUBLE PRECISION,
    progress_message TEXT,
    result TEXT,
    error_code TEXT,
    error_message TEXT,
    exit_code INTEGER
);

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
    run_id UUID NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    number BIGINT NOT NULL CHECK (number > 1),
    state TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    agent_instance UUID NOT NULL,
    slot BIGINT NOT NULL,
    fencing_token BIGINT NOT NULL,
    assign_time BIGINT NOT NULL,
    start_time BIGINT,
    end_time BIGINT,
    reason TEXT,
    error_code TEXT,
    error_message TEXT,
    exit_code INTEGER,
    late_outcome TEXT,
    late_outcome_time BIGINT,
    PRIMARY KEY (run_id, number)
);

CREATE TABLE backfills (
    id UUID NOT NULL PRIMARY KEY,
    job_uid UUID NOT NULL REFERENCES jobs (uid) ON DELETE CASCADE,
    namespace TEXT COLLATE "C" NOT NULL,
    job_id TEXT COLLATE "C" NOT NULL,
    job_revision BIGINT NOT NULL,
    author TEXT NOT NULL,
    start_time BIGINT NOT NULL,
    end_time BIGINT NOT NULL,
    concurrency BIGINT NOT NULL,
    -- A list: settled when it begins, whatever becomes of the schedule.
    instants TEXT NOT NULL,
    create_time BIGINT NOT NULL,
    -- How many of the instants have their run.
    position BIGINT NOT NULL,
    closed_time BIGINT,
    dropped TEXT
);

CREATE INDEX backfills_open ON backfills (id) WHERE closed_time IS NULL;
CREATE INDEX backfills_of_job ON backfills (job_uid);

CREATE TABLE run_logs (
    run_id UUID NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    attempt BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    source TEXT NOT NULL,
    time BIGINT NOT NULL,
    data BYTEA NOT NULL,
    cut_bytes BIGINT NOT NULL,
    PRIMARY KEY (run_id, attempt, sequence)
);

-- Those that get no new work: all others are known to the leader only.
CREATE TABLE agents (
    agent_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    cordon_note TEXT NOT NULL,
    cordon_author TEXT NOT NULL,
    cordon_time BIGINT NOT NULL
);

CREATE TABLE requests (
    namespace TEXT COLLATE "C" NOT NULL,
    method TEXT COLLATE "C" NOT NULL,
    request_id TEXT COLLATE "C" NOT NULL,
    digest TEXT NOT NULL,
    resource TEXT NOT NULL,
    time BIGINT NOT NULL,
    PRIMARY KEY (namespace, method, request_id)
);

CREATE INDEX requests_by_time ON requests (time);

-- Who may call, and who changed what.

CREATE TABLE api_tokens (
    id UUID NOT NULL PRIMARY KEY,
    -- SHA-256 of the secret, which is nowhere.
    hash BYTEA NOT NULL,
    display_name TEXT NOT NULL,
    role TEXT NOT NULL,
    -- Lists; empty: any.
    namespaces TEXT NOT NULL,
    agent_ids TEXT NOT NULL,
    queues TEXT NOT NULL,
    expire_time BIGINT,
    author TEXT NOT NULL,
    create_time BIGINT NOT NULL,
    revoke_time BIGINT
);

CREATE TABLE audit_events (
    id UUID NOT NULL PRIMARY KEY,
    time BIGINT NOT NULL,
    principal TEXT COLLATE "C" NOT NULL,
    token_id UUID,
    address TEXT NOT NULL,
    method TEXT NOT NULL,
    namespace TEXT COLLATE "C" NOT NULL,
    resource TEXT COLLATE "C" NOT NULL,
    request_id TEXT NOT NULL,
    refusal TEXT NOT NULL,
    before TEXT,
    after TEXT
);

CREATE INDEX audit_events_of_namespace ON audit_events (namespace, id);
CREATE INDEX audit_events_of_principal ON audit_events (principal, id);
