//! Every statement of this back end that is not a function of its migrations.
//!
//! Postgres is told no index by name. Where several indexes have rows in the order of their ids, a list orders by the
//! pair of a column and the id, which one index only has. The column is restricted to a list of one value, not to be
//! equal to it: then the planner would see that it makes no difference to the order, might walk all ids, and pass over
//! everybody else's rows for the few that are wanted.

pub(super) const BEGIN_SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
pub(super) const END_SNAPSHOT: &str = "COMMIT";
pub(super) const NAME_SESSION: &str = "SELECT set_config('application_name', $1, false)";
pub(super) const OWN_SESSION: &str = "SELECT pid, (extract(epoch FROM backend_start) * 1000000)::bigint AS began \
     FROM pg_stat_activity WHERE pid = pg_backend_pid()";
/// Whether a session of ours has ended, a second later at most; no row: it had ended before.
pub(super) const END_FOR_SURE: &str = "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity \
     WHERE pid = $1 AND (extract(epoch FROM backend_start) * 1000000)::bigint = $2 \
     AND application_name LIKE 'punctual/%'";
pub(super) const COMMITS_AT_ONCE: &str = "SELECT current_setting('synchronous_commit') <> 'off' AS syncs";

// What a leader does.

pub(super) const TAKE_OVER: &str = "SELECT epoch, watermark, token_ceiling, longest_agent_ttl, later_coordinator, later_revision \
     FROM take_over($1, $2, $3, $4, $5, $6, $7, $8)";
pub(super) const COMMIT_TRANSACTION: &str = "SELECT deposed_by, ledger_time, lost \
     FROM commit_marked_transaction($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, \
     $16, $17, $18, $19, $20, $21, $22, $23, $24)";
pub(super) const PURGE_CHOSEN: &str =
    "SELECT deposed_by, runs_deleted, jobs_deleted FROM purge_chosen($1, $2, $3, $4, $5, $6)";
pub(super) const FORGET_REQUESTS: &str = "SELECT deposed_by FROM forget_requests($1, $2, $3)";

pub(super) const SURVEY: &str = "SELECT ledger_clock() AS clock, \
     (SELECT schedule_version FROM leadership WHERE id = 1) AS schedule_version, \
     coalesce((SELECT longest_agent_ttl FROM leadership WHERE id = 1), 0) AS longest_agent_ttl, \
     (SELECT watermark FROM leadership WHERE id = 1) AS watermark";
pub(super) const EPOCH_AND_CLOCK: &str = "SELECT epoch, ledger_clock() AS clock FROM leadership WHERE id = 1";

/// Which of new runs have an instant that another row has, by their number in the list.
pub(super) const FIND_FIRES: &str = "SELECT wanted.n FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::uuid[]) \
     WITH ORDINALITY AS wanted (job_uid, scheduled_time, occurrence, id, n) \
     JOIN runs r ON r.job_uid = wanted.job_uid AND r.scheduled_time = wanted.scheduled_time \
     AND r.occurrence = wanted.occurrence AND r.id <> wanted.id ORDER BY wanted.n";

pub(super) const FIND_REQUESTS: &str = "SELECT r.namespace, r.method, r.request_id, r.digest, r.resource, r.time \
     FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS wanted (namespace, method, request_id, n) \
     JOIN requests r ON r.namespace = wanted.namespace AND r.method = wanted.method \
     AND r.request_id = wanted.request_id WHERE r.time > ledger_clock() - $4 ORDER BY wanted.n";

// Tokens and the audit.

macro_rules! token_columns {
    () => {
        "id, hash, display_name, role, namespaces, agent_ids, queues, expire_time, author, create_time, revoke_time"
    };
}

pub(super) const TOKEN: &str = concat!("SELECT ", token_columns!(), " FROM api_tokens WHERE id = $1");
/// There are few, and those that have ended stay.
pub(super) const TOKENS: &str = concat!(
    "SELECT ",
    token_columns!(),
    " FROM api_tokens WHERE ($1::uuid IS NULL OR id < $1) AND ($2::bigint IS NULL OR (revoke_time IS NULL AND \
     (expire_time IS NULL OR expire_time > $2))) ORDER BY id DESC LIMIT $3"
);
pub(super) const CREATE_TOKEN: &str = "SELECT had_digest, had_resource FROM create_token(($1::written_token[])[1], \
     ($2::remembered_request[])[1], $3, $4)";
pub(super) const REVOKE_TOKEN: &str = "SELECT revoke_token($1, $2, $3)";

pub(super) const WRITE_AUDIT_EVENTS: &str = "SELECT write_audit_events($1)";
pub(super) const AUDIT_EVENTS: &str = "SELECT id, time, principal, token_id, address, method, namespace, resource, \
     request_id, refusal, before, after FROM audit_events WHERE ";
pub(super) const FORGET_AUDIT_EVENTS: &str =
    "DELETE FROM audit_events WHERE id IN (SELECT id FROM audit_events WHERE id < $1 ORDER BY id LIMIT $2)";

// The lock of rule 16.

pub(super) const TRY_LOCK_ALONE: &str = "SELECT pg_try_advisory_lock($1)";
pub(super) const TRY_LOCK_SHARED: &str = "SELECT pg_try_advisory_lock_shared($1)";
pub(super) const UNLOCK_ALONE: &str = "SELECT pg_advisory_unlock($1)";
pub(super) const UNLOCK_SHARED: &str = "SELECT pg_advisory_unlock_shared($1)";
pub(super) const NAME_CLUSTER: &str = "INSERT INTO cluster (id, name) VALUES (1, $1) ON CONFLICT DO NOTHING";
pub(super) const CLUSTER: &str = "SELECT name FROM cluster WHERE id = 1";
pub(super) const RENAME_CLUSTER: &str = "UPDATE cluster SET name = $1 WHERE id = 1";
pub(super) const OWN_PID: &str = "SELECT pg_backend_pid()";
pub(super) const LOCK_HOLDER: &str = "SELECT l.pid, coalesce(nullif(a.application_name, ''), 'another program') \
     AS application_name FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid \
     WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 \
     AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()) \
     AND (l.classid::bigint << 32) + l.objid::bigint = $1 LIMIT 1";
pub(super) const END_SESSION: &str = "SELECT pg_terminate_backend($1)";

/// Whether sessions of moves that were killed are left, five seconds later at most.
pub(super) const END_MOVES: &str = "SELECT coalesce(bool_or(NOT pg_terminate_backend(pid, 5000)), FALSE) \
     FROM pg_stat_activity WHERE application_name = 'punctual move' AND datname = current_database() \
     AND pid <> pg_backend_pid()";

// Retention and purges.

pub(super) const ENDED_RUNS: &str = "SELECT r.id FROM runs r WHERE ";
/// The newest run of a job that is not among its newest so many.
pub(super) const NEWEST_BEYOND: &str = "SELECT id FROM runs WHERE job_uid = ANY (ARRAY[$1]) \
     ORDER BY job_uid DESC, id DESC LIMIT 1 OFFSET $2";
pub(super) const EXPIRED_JOBS: &str = "SELECT uid FROM jobs \
     WHERE delete_time IS NOT NULL AND delete_time <= $1 ORDER BY delete_time LIMIT $2";
pub(super) const OLD_REQUESTS: &str = "SELECT 1 FROM requests WHERE time < $1 LIMIT $2";

macro_rules! job_columns {
    () => {
        "uid, namespace, job_id, definition, pause, revision, change_seq, effective_from, create_time, update_time, \
         delete_time, fires, failures"
    };
}

macro_rules! calendar_columns {
    () => {
        "namespace, calendar_id, definition, revision, change_seq, create_time, update_time"
    };
}

macro_rules! backfill_columns {
    () => {
        "id, job_uid, namespace, job_id, job_revision, author, start_time, end_time, concurrency, instants, \
         create_time, position, closed_time, dropped"
    };
}

macro_rules! run_columns {
    () => {
        "r.id, r.job_uid, r.namespace, r.job_id, r.job_revision, r.trigger, r.scheduled_time, r.occurrence, \
         r.covers_from, r.decided_at, r.not_before, r.state, r.reason, r.reason_message, r.attempt, \
         r.uncounted_attempts, r.next_attempt_time, r.first_state, r.first_agent_id, r.first_agent_instance, \
         r.first_slot, r.first_fencing_token, r.first_assign_time, r.first_start_time, r.first_end_time, \
         r.first_reason, r.first_error_code, r.first_error_message, r.first_exit_code, r.coalesced_count, \
         r.first_scheduled_time, r.retry_of, r.backfill_id, r.labels, r.payload, r.cancel_requested_time, r.create_time, \
         r.start_time, r.end_time, r.progress_percent, r.progress_message, r.result, r.error_code, r.error_message, \
         r.exit_code"
    };
}

macro_rules! of_attempts {
    () => {
        "a.run_id, a.number, a.state, a.agent_id, a.agent_instance, a.slot, a.fencing_token, a.assign_time, \
         a.start_time, a.end_time, a.reason, a.error_code, a.error_message, a.exit_code"
    };
}

// What a new leader reads.

pub(super) const LOAD_JOBS: &str =
    concat!("SELECT ", job_columns!(), " FROM jobs WHERE delete_time IS NULL OR delete_time > $1");

// … of jobs that it does not know.

pub(super) const CHANGED_JOBS: &str =
    concat!("SELECT ", job_columns!(), " FROM jobs WHERE change_seq > $1 ORDER BY change_seq LIMIT $2");
pub(super) const LOAD_CHANGED_JOBS: &str = concat!(
    "SELECT ",
    job_columns!(),
    " FROM jobs WHERE change_seq > $1 AND (delete_time IS NULL OR delete_time > $2)"
);
pub(super) const LOAD_COUNTS: &str = "SELECT uid, fires, failures FROM jobs WHERE uid = ANY ($1)";
/// It may go through an index of nothing but numbers, not through the jobs.
pub(super) const TALLY_JOBS: &str = "SELECT a.jobs - e.jobs AS jobs, a.changes - e.changes AS changes FROM \
     (SELECT count(*) AS jobs, coalesce(sum(change_seq & 4294967295), 0)::bigint AS changes FROM jobs) AS a, \
     (SELECT count(*) AS jobs, coalesce(sum(change_seq & 4294967295), 0)::bigint AS changes FROM jobs \
     WHERE delete_time IS NOT NULL AND delete_time <= $1) AS e";

pub(super) const LOAD_CORDONS: &str =
    "SELECT agent_id, cordon_note, cordon_author, cordon_time FROM agents ORDER BY agent_id";
pub(super) const LOAD_CALENDARS: &str = concat!("SELECT ", calendar_columns!(), " FROM calendars");

pub(super) const LOAD_BACKFILLS: &str =
    concat!("SELECT ", backfill_columns!(), " FROM backfills WHERE closed_time IS NULL");

/// What is deleted had a number too: a term begins above all of the terms before.
pub(super) const LAST_CHANGE_SEQ: &str = "SELECT greatest((SELECT coalesce(max(change_seq), 0) FROM jobs), \
     (SELECT coalesce(max(change_seq), 0) FROM calendars))";

pub(super) const LOAD_COVERED: &str = "SELECT job_uid, max(scheduled_time) AS covered FROM runs \
     WHERE id >= $1 AND covers_from IS NOT NULL GROUP BY job_uid";

pub(super) const LOAD_UNENDED: &str =
    concat!("SELECT ", run_columns!(), " FROM runs r WHERE r.state IN ('PENDING', 'RUNNING') ORDER BY r.id");

pub(super) const LOAD_UNENDED_ATTEMPTS: &str = concat!(
    "SELECT ",
    of_attempts!(),
    " FROM runs r JOIN attempts a ON a.run_id = r.id AND a.number = r.attempt \
     WHERE r.state IN ('PENDING', 'RUNNING') AND r.attempt > 1"
);

// The same of one job.

pub(super) const LOAD_COVERED_OF_JOB: &str = "SELECT job_uid, max(scheduled_time) AS covered FROM runs \
     WHERE job_uid = $1 AND id >= $2 AND covers_from IS NOT NULL GROUP BY job_uid";

pub(super) const LOAD_UNENDED_OF_JOB: &str = concat!(
    "SELECT ",
    run_columns!(),
    " FROM runs r WHERE r.state IN ('PENDING', 'RUNNING') AND r.job_uid = $1 ORDER BY r.id"
);

pub(super) const LOAD_UNENDED_ATTEMPTS_OF_JOB: &str = concat!(
    "SELECT ",
    of_attempts!(),
    " FROM runs r JOIN attempts a ON a.run_id = r.id AND a.number = r.attempt \
     WHERE r.state IN ('PENDING', 'RUNNING') AND r.job_uid = $1 AND r.attempt > 1"
);

// What readers ask for.

pub(super) const JOB_BY_KEY: &str = concat!(
    "SELECT ",
    job_columns!(),
    " FROM jobs WHERE namespace = $1 AND job_id = $2 \
     ORDER BY delete_time IS NOT NULL, delete_time DESC, uid DESC LIMIT 1"
);
pub(super) const JOB_BY_UID: &str = concat!("SELECT ", job_columns!(), " FROM jobs WHERE uid = $1");
pub(super) const JOBS: &str = concat!("SELECT ", job_columns!(), " FROM jobs");

// How a list of jobs goes through them; the words that name a partial index's rows are the migration's own.

pub(super) const ALL_JOBS: &str = " WHERE TRUE";
pub(super) const HALTED_JOBS: &str = " WHERE delete_time IS NULL AND (pause IS NOT NULL OR NOT enabled)";
pub(super) const DELETED_JOBS: &str = " WHERE delete_time IS NOT NULL";

pub(super) const IS_RUNNING: &str = "(delete_time IS NULL AND pause IS NULL AND enabled)";
pub(super) const IS_PAUSED: &str = "(delete_time IS NULL AND pause IS NOT NULL AND enabled)";
pub(super) const IS_DISABLED: &str = "(delete_time IS NULL AND NOT enabled)";
pub(super) const IS_DELETED: &str = "(delete_time IS NOT NULL)";

/// Every wanted label, as a JSON object, is among those of the row.
pub(super) const JOB_HAS_LABELS: (&str, &str) = (" AND definition::jsonb -> 'labels' @> ", "::jsonb");
pub(super) const RUN_HAS_LABELS: (&str, &str) = (" AND r.labels::jsonb @> ", "::jsonb");

pub(super) const NEXT_NAMESPACE: &str = "SELECT min(name) FROM (SELECT min(namespace) AS name FROM jobs \
     WHERE namespace > $1 UNION ALL SELECT min(namespace) FROM calendars WHERE namespace > $1) AS named";
pub(super) const COUNT_JOBS_OF_NAMESPACE: &str =
    "SELECT count(*) FROM jobs WHERE namespace = $1 AND delete_time IS NULL";
pub(super) const COUNT_JOBS: &str = "SELECT count(*) FROM jobs WHERE delete_time IS NULL";

/// One search for each job.
pub(super) const LAST_RUNS: &str = concat!(
    "SELECT ",
    run_columns!(),
    " FROM unnest($1::uuid[]) AS wanted (uid) CROSS JOIN LATERAL (SELECT * FROM runs \
     WHERE job_uid = ANY (ARRAY[wanted.uid]) \
     ORDER BY job_uid DESC, id DESC LIMIT 1) AS r"
);

pub(super) const CALENDAR: &str =
    concat!("SELECT ", calendar_columns!(), " FROM calendars WHERE namespace = $1 AND calendar_id = $2");
/// From a place in the order on; there are few calendars.
pub(super) const CALENDARS: &str = concat!(
    "SELECT ",
    calendar_columns!(),
    " FROM calendars WHERE (namespace, calendar_id) > ($1, $2) AND ($3::text IS NULL OR namespace = $3) \
     AND left(calendar_id, length($4)) = $4 ORDER BY namespace, calendar_id LIMIT $5"
);

// Of one instant of a job.

/// Uids follow the times of creation.
pub(super) const JOB_AT: &str = concat!(
    "SELECT ",
    job_columns!(),
    " FROM jobs WHERE namespace = $1 AND job_id = $2 AND create_time <= $3 ORDER BY uid DESC LIMIT 1"
);

macro_rules! of_revisions {
    ($rest:literal) => {
        concat!(
            "SELECT j.uid, j.namespace, j.job_id, v.definition, v.pause, v.revision, v.change_seq, v.effective_from, \
             j.create_time, v.time AS update_time, CASE WHEN v.change = 'DELETE' THEN v.time END AS delete_time, \
             0::bigint AS fires, 0::bigint AS failures, v.change, v.author, v.note \
             FROM job_revisions v JOIN jobs j ON j.uid = v.job_uid WHERE v.job_uid = $1 AND ",
            $rest
        )
    };
}

pub(super) const REVISIONS: &str = of_revisions!("v.revision < $2 ORDER BY v.revision DESC LIMIT $3");
pub(super) const REVISION: &str = of_revisions!("v.revision = $2");
/// What is at or before `effective_from` was settled by the change; a change that moves nothing keeps that of before,
/// and holds from its time on.
pub(super) const REVISION_AT: &str =
    of_revisions!("v.effective_from < $2 AND v.time <= $2 ORDER BY v.revision DESC LIMIT 1");
/// The first of the disabled ones up to a revision.
pub(super) const DISABLING_REVISION: &str = of_revisions!(
    "v.revision <= $2 AND v.revision > coalesce((SELECT max(e.revision) FROM job_revisions e \
     WHERE e.job_uid = $1 AND e.revision <= $2 AND e.enabled), 0) ORDER BY v.revision LIMIT 1"
);
pub(super) const NEXT_SETTLING_REVISION: &str =
    of_revisions!("v.revision > $2 AND v.effective_from >= $3 ORDER BY v.revision LIMIT 1");
pub(super) const CALENDAR_CHANGE: &str =
    "SELECT min(time) FROM job_revisions WHERE job_uid = $1 AND revision > $2 AND change = 'CALENDAR'";

/// A one-shot that a change owed may have the instant of a span that the change closed; the run tells more.
pub(super) const FIRE: &str = concat!(
    "SELECT ",
    run_columns!(),
    " FROM runs r WHERE r.job_uid = $1 AND r.scheduled_time = $2 AND r.trigger = 'SCHEDULE' \
     ORDER BY r.occurrence DESC LIMIT 1"
);
pub(super) const NEXT_COVERING: &str = concat!(
    "SELECT ",
    run_columns!(),
    " FROM runs r WHERE r.job_uid = $1 AND r.scheduled_time > $2 AND r.occurrence = 0 \
     ORDER BY r.scheduled_time LIMIT 1"
);
pub(super) const BACKFILLED: &str = concat!(
    "SELECT ",
    run_columns!(),
    " FROM runs r WHERE r.job_uid = $1 AND r.scheduled_time = $2 AND r.trigger = 'BACKFILL' \
     ORDER BY r.id DESC LIMIT 1"
);
pub(super) const FIRST_COVERED: &str =
    "SELECT scheduled_time FROM runs WHERE job_uid = $1 AND occurrence = 0 ORDER BY scheduled_time LIMIT 1";
pub(super) const LAST_COVERED: &str =
    "SELECT scheduled_time FROM runs WHERE job_uid = $1 AND occurrence = 0 ORDER BY scheduled_time DESC LIMIT 1";
pub(super) const WATERMARK: &str = "SELECT watermark FROM leadership WHERE id = 1";

pub(super) const BACKFILL: &str = concat!("SELECT ", backfill_columns!(), " FROM backfills WHERE id = $1");

pub(super) const RUN: &str = concat!("SELECT ", run_columns!(), " FROM runs r WHERE r.id = $1");
pub(super) const RUNS_BY_ID: &str =
    concat!("SELECT ", run_columns!(), " FROM runs r WHERE r.id = ANY ($1) ORDER BY r.id");
pub(super) const COUNT_RUNS_FROM: &str =
    "SELECT count(*) FROM (SELECT 1 FROM runs WHERE id >= $1 ORDER BY id LIMIT $2) AS counted";
pub(super) const RUNS: &str = concat!("SELECT ", run_columns!(), " FROM runs r WHERE ");

// How a list of runs goes through them; the words that name a partial index's rows are the migration's own.

pub(super) const OF_JOB: &str = "r.job_uid = ANY (";
pub(super) const OF_BACKFILL: &str = "r.backfill_id IS NOT NULL AND r.backfill_id = ANY (";
pub(super) const OF_AGENT: &str = "r.agent_id IS NOT NULL AND r.agent_id = ANY (";
pub(super) const OF_NAMESPACE: &str = "r.namespace = ANY (";
pub(super) const FIRES_OF_JOB: &str = "r.job_uid = ";
pub(super) const ASKED_FOR: &str = "r.trigger <> 'SCHEDULE'";
pub(super) const AHEAD: &str = "r.scheduled_time > r.decided_at + 1000000";
pub(super) const UNENDED: &str = "r.state IN ('PENDING', 'RUNNING')";
pub(super) const NOT_SUCCEEDED: &str = "r.state NOT IN ('PENDING', 'RUNNING', 'SUCCEEDED')";
pub(super) const ALL: &str = "TRUE";

/// Of columns that have an index of their own, without using it.
pub(super) const AND_NAMESPACE: &str = " AND r.namespace || '' = ";
pub(super) const AND_AGENT: &str = " AND r.agent_id || '' = ";

/// What is measured of a run; of one that has not got there, nothing.
pub(super) const DURATION: &str = "r.end_time - coalesce(r.first_start_time, r.start_time)";
pub(super) const LATENESS: &str = "coalesce(r.first_start_time, r.start_time) - r.not_before";

pub(super) const LATE_OUTCOMES: &str = "SELECT 1::bigint AS number, first_late_outcome AS outcome FROM runs \
     WHERE id = $1 AND first_late_outcome IS NOT NULL UNION ALL \
     SELECT number, late_outcome FROM attempts WHERE run_id = $1 AND late_outcome IS NOT NULL";

pub(super) const ATTEMPTS_OF_RUNS: &str =
    concat!("SELECT ", of_attempts!(), " FROM attempts a WHERE a.run_id = ANY ($1) ORDER BY a.run_id, a.number");

/// Deleted jobs of the name too.
pub(super) const UIDS_OF_JOB_ID: &str = "SELECT uid FROM jobs WHERE namespace = $1 AND job_id = $2";
pub(super) const UIDS_OF_JOB_ID_ANYWHERE: &str = "SELECT uid FROM jobs WHERE job_id = $1";
pub(super) const UIDS_OF_PREFIX: &str =
    "SELECT uid FROM jobs WHERE namespace = $1 AND job_id >= $2 AND job_id < $3 LIMIT $4";
pub(super) const UIDS_OF_PREFIX_ANYWHERE: &str = "SELECT uid FROM jobs WHERE job_id >= $1 AND job_id < $2 LIMIT $3";

pub(super) const LOGS: &str = "SELECT attempt, sequence, source, time, data, cut_bytes FROM run_logs \
     WHERE run_id = $1 AND (attempt, sequence) > ($2, $3) ORDER BY attempt, sequence LIMIT $4";

pub(super) const PING: &str = "SELECT epoch FROM leadership";
