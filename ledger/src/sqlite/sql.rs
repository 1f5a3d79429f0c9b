//! Every statement of this back end.

use std::sync::LazyLock;

use super::batch::Batch;

/// Takes the write lock at once, so that what a transaction reads cannot change before it writes.
pub(super) const BEGIN: &str = "BEGIN IMMEDIATE";

pub(super) const SELECT_LEADERSHIP: &str = "SELECT epoch, watermark, token_ceiling, longest_agent_ttl, coordinator, election_revision FROM leadership WHERE id = 1";

pub(super) const SURVEY: &str = "SELECT schedule_version, longest_agent_ttl, watermark FROM leadership WHERE id = 1";

pub(super) const BEGIN_TERM: &str = include_str!("sql/begin_term.sql");

pub(super) const FENCE: &str = "SELECT epoch, epoch = ? AS is_current FROM leadership WHERE id = 1";

/// An absent value leaves what is there; the ceiling is never lowered.
pub(super) const ADVANCE: &str = "UPDATE leadership SET watermark = coalesce(?1, watermark), \
     token_ceiling = max(token_ceiling, coalesce(?2, token_ceiling)) WHERE id = 1";

pub(super) static REMEMBER_REQUESTS: LazyLock<Batch> =
    LazyLock::new(|| Batch::new(include_str!("sql/remember_requests.sql"), 7));
pub(super) static WRITE_JOBS: LazyLock<Batch> = LazyLock::new(|| Batch::new(include_str!("sql/write_jobs.sql"), 11));
pub(super) static WRITE_JOB_REVISIONS: LazyLock<Batch> =
    LazyLock::new(|| Batch::new(include_str!("sql/write_job_revisions.sql"), 10));
pub(super) static WRITE_COUNTS: LazyLock<Batch> = LazyLock::new(|| Batch::new(include_str!("sql/count_jobs.sql"), 3));
pub(super) static WRITE_CALENDARS: LazyLock<Batch> =
    LazyLock::new(|| Batch::new(include_str!("sql/write_calendars.sql"), 7));
pub(super) static DELETE_CALENDARS: LazyLock<Batch> =
    LazyLock::new(|| Batch::new(include_str!("sql/delete_calendars.sql"), 2));
pub(super) static BEGIN_BACKFILLS: LazyLock<Batch> =
    LazyLock::new(|| Batch::new(include_str!("sql/begin_backfills.sql"), 14));
pub(super) static MOVE_BACKFILLS: LazyLock<Batch> =
    LazyLock::new(|| Batch::new(include_str!("sql/move_backfills.sql"), 4));
pub(super) static ENTER_RUNS: LazyLock<Batch> = LazyLock::new(|| Batch::new(include_str!("sql/enter_runs.sql"), 46));
pub(super) static UPDATE_RUNS: LazyLock<Batch> = LazyLock::new(|| Batch::new(include_str!("sql/update_runs.sql"), 31));
pub(super) static WRITE_ATTEMPTS: LazyLock<Batch> =
    LazyLock::new(|| Batch::new(include_str!("sql/write_attempts.sql"), 14));
pub(super) static NAME_AGENTS: LazyLock<Batch> = LazyLock::new(|| Batch::new(include_str!("sql/name_agents.sql"), 3));
pub(super) static NOTE_LATE_FIRST: LazyLock<Batch> =
    LazyLock::new(|| Batch::new(include_str!("sql/note_late_first.sql"), 3));
pub(super) static NOTE_LATE: LazyLock<Batch> = LazyLock::new(|| Batch::new(include_str!("sql/note_late.sql"), 4));
pub(super) static WRITE_CORDONS: LazyLock<Batch> =
    LazyLock::new(|| Batch::new(include_str!("sql/write_cordons.sql"), 4));
pub(super) static DELETE_CORDONS: LazyLock<Batch> =
    LazyLock::new(|| Batch::new(include_str!("sql/delete_cordons.sql"), 1));
pub(super) static WRITE_LOGS: LazyLock<Batch> = LazyLock::new(|| Batch::new(include_str!("sql/write_logs.sql"), 7));

pub(super) static WRITE_AUDIT_EVENTS: LazyLock<Batch> =
    LazyLock::new(|| Batch::new(include_str!("sql/write_audit_events.sql"), 12));

/// Who has the instant that a new run was to have.
pub(super) const FIND_FIRE: &str =
    "SELECT id FROM runs WHERE job_uid = ? AND scheduled_time = ? AND occurrence = ? AND id <> ?";

// Retention and purges.

pub(super) const ENDED_RUNS: &str = "SELECT r.id FROM runs r";
/// The newest run of a job that is not among its newest so many.
pub(super) const NEWEST_BEYOND: &str =
    "SELECT id FROM runs INDEXED BY runs_of_job WHERE job_uid = ? ORDER BY id DESC LIMIT 1 OFFSET ?";
pub(super) const EXPIRED_JOBS: &str = "SELECT uid FROM jobs INDEXED BY jobs_by_deletion \
     WHERE delete_time IS NOT NULL AND delete_time <= ? ORDER BY delete_time LIMIT ?";
pub(super) const DELETE_RUNS: &str = "DELETE FROM runs WHERE id IN (SELECT unhex(value) FROM json_each(?1)) \
     AND state NOT IN ('PENDING', 'RUNNING') AND id < ?2 AND scheduled_time <= ?3";
pub(super) const DELETE_JOBS: &str = "DELETE FROM jobs WHERE uid IN (SELECT unhex(value) FROM json_each(?1)) \
     AND delete_time <= ?2 AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.job_uid = jobs.uid) RETURNING uid";
pub(super) const OLD_REQUESTS: &str = "SELECT 1 FROM requests INDEXED BY requests_by_time WHERE time < ? LIMIT ?";
pub(super) const DELETE_REQUESTS: &str = "DELETE FROM requests WHERE (namespace, method, request_id) IN \
     (SELECT namespace, method, request_id FROM requests INDEXED BY requests_by_time \
     WHERE time < ?1 ORDER BY time LIMIT ?2)";

pub(super) const FIND_REQUEST: &str = "SELECT namespace, method, request_id, digest, resource, time FROM requests \
     WHERE namespace = ? AND method = ? AND request_id = ? AND time > ?";

// Tokens and the audit.

macro_rules! token_columns {
    () => {
        "id, hash, display_name, role, namespaces, agent_ids, queues, expire_time, author, create_time, revoke_time"
    };
}

pub(super) const TOKEN: &str = concat!("SELECT ", token_columns!(), " FROM api_tokens WHERE id = ?");
/// There are few, and those that have ended stay.
pub(super) const TOKENS: &str = concat!(
    "SELECT ",
    token_columns!(),
    " FROM api_tokens WHERE (?1 IS NULL OR id < ?1) AND (?2 IS NULL OR (revoke_time IS NULL AND \
     (expire_time IS NULL OR expire_time > ?2))) ORDER BY id DESC LIMIT ?3"
);
pub(super) static WRITE_TOKENS: LazyLock<Batch> =
    LazyLock::new(|| Batch::new(include_str!("sql/write_tokens.sql"), 11));
pub(super) const REVOKE_TOKEN: &str = "UPDATE api_tokens SET revoke_time = ? WHERE id = ? AND revoke_time IS NULL";

pub(super) const AUDIT_EVENTS: &str = "SELECT id, time, principal, token_id, address, method, namespace, resource, \
     request_id, refusal, before, after FROM audit_events";
pub(super) const FORGET_AUDIT_EVENTS: &str =
    "DELETE FROM audit_events WHERE id IN (SELECT id FROM audit_events WHERE id < ?1 ORDER BY id LIMIT ?2)";

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

macro_rules! attempt_columns {
    () => {
        "run_id, number, state, agent_id, agent_instance, slot, fencing_token, assign_time, start_time, end_time, \
         reason, error_code, error_message, exit_code"
    };
}

// What a new leader reads.

pub(super) const LOAD_JOBS: &str =
    concat!("SELECT ", job_columns!(), " FROM jobs WHERE delete_time IS NULL OR delete_time > ?");

// … of jobs that it does not know.

pub(super) const CHANGED_JOBS: &str = concat!(
    "SELECT ",
    job_columns!(),
    " FROM jobs INDEXED BY jobs_by_change WHERE change_seq > ? ORDER BY change_seq LIMIT ?"
);
pub(super) const LOAD_CHANGED_JOBS: &str = concat!(
    "SELECT ",
    job_columns!(),
    " FROM jobs INDEXED BY jobs_by_change WHERE change_seq > ? AND (delete_time IS NULL OR delete_time > ?)"
);
pub(super) const LOAD_COUNTS: &str = "SELECT uid, fires, failures FROM json_each(?) AS wanted \
     CROSS JOIN jobs ON uid = unhex(wanted.value)";
/// It goes through an index of nothing but numbers, not through the jobs.
pub(super) const TALLY_JOBS: &str = "SELECT a.jobs - e.jobs AS jobs, a.changes - e.changes AS changes FROM \
     (SELECT count(*) AS jobs, coalesce(sum(change_seq & 4294967295), 0) AS changes \
     FROM jobs INDEXED BY jobs_by_change) AS a, \
     (SELECT count(*) AS jobs, coalesce(sum(change_seq & 4294967295), 0) AS changes \
     FROM jobs INDEXED BY jobs_by_deletion WHERE delete_time IS NOT NULL AND delete_time <= ?) AS e";

pub(super) const LOAD_CORDONS: &str = "SELECT agent_id, cordon_note, cordon_author, cordon_time FROM agents";
pub(super) const LOAD_CALENDARS: &str = concat!("SELECT ", calendar_columns!(), " FROM calendars");

pub(super) const LOAD_BACKFILLS: &str =
    concat!("SELECT ", backfill_columns!(), " FROM backfills INDEXED BY backfills_open WHERE closed_time IS NULL");

/// What is deleted had a number too: a term begins above all of the terms before.
pub(super) const LAST_CHANGE_SEQ: &str = "SELECT max((SELECT coalesce(max(change_seq), 0) FROM jobs), \
     (SELECT coalesce(max(change_seq), 0) FROM calendars))";

/// The `+` keeps SQLite from going through all rows in the order of an index by job.
pub(super) const LOAD_COVERED: &str = "SELECT job_uid, max(scheduled_time) AS covered FROM runs \
     WHERE id >= ? AND covers_from IS NOT NULL GROUP BY +job_uid";

pub(super) const LOAD_UNENDED: &str = concat!(
    "SELECT ",
    run_columns!(),
    " FROM runs r INDEXED BY runs_unended WHERE r.state IN ('PENDING', 'RUNNING') ORDER BY r.id"
);

pub(super) const LOAD_UNENDED_ATTEMPTS: &str = concat!(
    "SELECT ",
    attempt_columns!(),
    " FROM attempts WHERE (run_id, number) IN (SELECT id, attempt FROM runs INDEXED BY runs_unended \
     WHERE state IN ('PENDING', 'RUNNING') AND attempt > 1)"
);

// The same of one job.

pub(super) const LOAD_COVERED_OF_JOB: &str = "SELECT job_uid, max(scheduled_time) AS covered FROM runs \
     INDEXED BY runs_of_job WHERE job_uid = ? AND id >= ? AND covers_from IS NOT NULL GROUP BY job_uid";

pub(super) const LOAD_UNENDED_OF_JOB: &str = concat!(
    "SELECT ",
    run_columns!(),
    " FROM runs r INDEXED BY runs_unended WHERE r.state IN ('PENDING', 'RUNNING') AND r.job_uid = ? ORDER BY r.id"
);

pub(super) const LOAD_UNENDED_ATTEMPTS_OF_JOB: &str = concat!(
    "SELECT ",
    attempt_columns!(),
    " FROM attempts WHERE (run_id, number) IN (SELECT id, attempt FROM runs INDEXED BY runs_unended \
     WHERE state IN ('PENDING', 'RUNNING') AND job_uid = ? AND attempt > 1)"
);

// What readers ask for.

pub(super) const JOB_BY_KEY: &str = concat!(
    "SELECT ",
    job_columns!(),
    " FROM jobs WHERE namespace = ? AND job_id = ? \
     ORDER BY delete_time IS NOT NULL, delete_time DESC, uid DESC LIMIT 1"
);
pub(super) const JOB_BY_UID: &str = concat!("SELECT ", job_columns!(), " FROM jobs WHERE uid = ?");
pub(super) const JOBS: &str = concat!("SELECT ", job_columns!(), " FROM jobs");

// How a list of jobs goes through them.

pub(super) const WALK_NAMES: &str = " INDEXED BY jobs_by_name WHERE TRUE";
pub(super) const WALK_HALTED: &str = " INDEXED BY jobs_halted \
     WHERE delete_time IS NULL AND (pause IS NOT NULL OR json_extract(definition, '$.enabled') = 0)";
pub(super) const WALK_DELETED: &str = " INDEXED BY jobs_deleted WHERE delete_time IS NOT NULL";
pub(super) const WALK_UPDATES: &str = " INDEXED BY jobs_by_update WHERE TRUE";
pub(super) const WALK_UPDATES_OF_NAMESPACE: &str = " INDEXED BY jobs_by_update_of_namespace WHERE TRUE";

pub(super) const IS_RUNNING: &str =
    "(delete_time IS NULL AND pause IS NULL AND json_extract(definition, '$.enabled') = 1)";
pub(super) const IS_PAUSED: &str =
    "(delete_time IS NULL AND pause IS NOT NULL AND json_extract(definition, '$.enabled') = 1)";
pub(super) const IS_DISABLED: &str = "(delete_time IS NULL AND json_extract(definition, '$.enabled') = 0)";
pub(super) const IS_DELETED: &str = "(delete_time IS NOT NULL)";

pub(super) const REVISIONS: &str = "SELECT j.uid, j.namespace, j.job_id, v.definition, v.pause, v.revision, \
     v.change_seq, v.effective_from, j.create_time, v.time AS update_time, \
     CASE WHEN v.change = 'DELETE' THEN v.time END AS delete_time, 0 AS fires, 0 AS failures, \
     v.change, v.author, v.note FROM job_revisions v CROSS JOIN jobs j ON j.uid = v.job_uid \
     WHERE v.job_uid = ? AND v.revision < ? ORDER BY v.revision DESC LIMIT ?";

pub(super) const NEXT_NAMESPACE: &str = "SELECT min(name) FROM (SELECT min(namespace) AS name FROM jobs \
     WHERE namespace > ?1 UNION ALL SELECT min(namespace) FROM calendars WHERE namespace > ?1)";
pub(super) const COUNT_JOBS_OF_NAMESPACE: &str =
    "SELECT count(*) FROM jobs INDEXED BY jobs_live WHERE namespace = ? AND delete_time IS NULL";
pub(super) const COUNT_JOBS: &str = "SELECT count(*) FROM jobs WHERE delete_time IS NULL";

/// One search for each job.
pub(super) const LAST_RUNS: &str = concat!(
    "SELECT ",
    run_columns!(),
    " FROM json_each(?) AS wanted CROSS JOIN runs r ON r.id = \
     (SELECT id FROM runs INDEXED BY runs_of_job WHERE job_uid = unhex(wanted.value) ORDER BY id DESC LIMIT 1)"
);

pub(super) const CALENDAR: &str =
    concat!("SELECT ", calendar_columns!(), " FROM calendars WHERE namespace = ? AND calendar_id = ?");
/// From a place in the order on; there are few calendars.
pub(super) const CALENDARS: &str = concat!(
    "SELECT ",
    calendar_columns!(),
    " FROM calendars WHERE (namespace, calendar_id) > (?1, ?2) AND (?3 IS NULL OR namespace = ?3) \
     AND substr(calendar_id, 1, length(?4)) = ?4 ORDER BY namespace, calendar_id LIMIT ?5"
);

// Of one instant of a job.

/// Uids follow the times of creation.
pub(super) const JOB_AT: &str = concat!(
    "SELECT ",
    job_columns!(),
    " FROM jobs INDEXED BY jobs_by_name WHERE namespace = ? AND job_id = ? AND create_time <= ? \
     ORDER BY uid DESC LIMIT 1"
);

macro_rules! of_revisions {
    ($rest:literal) => {
        concat!(
            "SELECT j.uid, j.namespace, j.job_id, v.definition, v.pause, v.revision, v.change_seq, v.effective_from, \
             j.create_time, v.time AS update_time, CASE WHEN v.change = 'DELETE' THEN v.time END AS delete_time, \
             0 AS fires, 0 AS failures, v.change, v.author, v.note \
             FROM job_revisions v CROSS JOIN jobs j ON j.uid = v.job_uid WHERE v.job_uid = ?1 AND ",
            $rest
        )
    };
}

pub(super) const REVISION: &str = of_revisions!("v.revision = ?2");
/// What is at or before `effective_from` was settled by the change; a change that moves nothing keeps that of before,
/// and holds from its time on.
pub(super) const REVISION_AT: &str =
    of_revisions!("v.effective_from < ?2 AND v.time <= ?2 ORDER BY v.revision DESC LIMIT 1");
/// The first of the disabled ones up to a revision.
pub(super) const DISABLING_REVISION: &str = of_revisions!(
    "v.revision <= ?2 AND v.revision > coalesce((SELECT max(e.revision) FROM job_revisions e \
     WHERE e.job_uid = ?1 AND e.revision <= ?2 AND json_extract(e.definition, '$.enabled') = 1), 0) \
     ORDER BY v.revision LIMIT 1"
);
pub(super) const NEXT_SETTLING_REVISION: &str =
    of_revisions!("v.revision > ?2 AND v.effective_from >= ?3 ORDER BY v.revision LIMIT 1");
pub(super) const CALENDAR_CHANGE: &str =
    "SELECT min(time) FROM job_revisions WHERE job_uid = ? AND revision > ? AND change = 'CALENDAR'";

/// A one-shot that a change owed may have the instant of a span that the change closed; the run tells more.
pub(super) const FIRE: &str = concat!(
    "SELECT ",
    run_columns!(),
    " FROM runs r INDEXED BY runs_by_fire WHERE r.job_uid = ? AND r.scheduled_time = ? AND r.trigger = 'SCHEDULE' \
     ORDER BY r.occurrence DESC LIMIT 1"
);
pub(super) const NEXT_COVERING: &str = concat!(
    "SELECT ",
    run_columns!(),
    " FROM runs r INDEXED BY runs_by_fire WHERE r.job_uid = ? AND r.scheduled_time > ? AND r.occurrence = 0 \
     ORDER BY r.scheduled_time LIMIT 1"
);
pub(super) const BACKFILLED: &str = concat!(
    "SELECT ",
    run_columns!(),
    " FROM runs r INDEXED BY runs_by_fire WHERE r.job_uid = ? AND r.scheduled_time = ? AND r.trigger = 'BACKFILL' \
     ORDER BY r.id DESC LIMIT 1"
);
pub(super) const FIRST_COVERED: &str = "SELECT scheduled_time FROM runs INDEXED BY runs_by_fire \
     WHERE job_uid = ? AND occurrence = 0 ORDER BY scheduled_time LIMIT 1";
pub(super) const LAST_COVERED: &str = "SELECT scheduled_time FROM runs INDEXED BY runs_by_fire \
     WHERE job_uid = ? AND occurrence = 0 ORDER BY scheduled_time DESC LIMIT 1";
pub(super) const WATERMARK: &str = "SELECT watermark FROM leadership WHERE id = 1";

pub(super) const BACKFILL: &str = concat!("SELECT ", backfill_columns!(), " FROM backfills WHERE id = ?");

pub(super) const RUN: &str = concat!("SELECT ", run_columns!(), " FROM runs r WHERE r.id = ?");
pub(super) const RUNS_BY_ID: &str = concat!(
    "SELECT ",
    run_columns!(),
    " FROM runs r WHERE r.id IN (SELECT unhex(value) FROM json_each(?)) ORDER BY r.id"
);
pub(super) const COUNT_RUNS_FROM: &str = "SELECT count(*) FROM (SELECT 1 FROM runs WHERE id >= ? LIMIT ?) AS counted";
pub(super) const RUNS: &str = concat!("SELECT ", run_columns!(), " FROM runs r");

// How a list of runs goes through them, newest first; the words that name a partial index's rows are the
// migration's own, so that SQLite knows it may use the index.

pub(super) const WALK_OF_JOB: &str = " INDEXED BY runs_of_job WHERE r.job_uid = ";
pub(super) const WALK_OF_BACKFILL: &str = " INDEXED BY runs_of_backfill WHERE r.backfill_id = ";
pub(super) const WALK_FIRES_OF_JOB: &str = " INDEXED BY runs_by_fire WHERE r.job_uid = ";
pub(super) const WALK_ASKED_FOR: &str = " INDEXED BY runs_asked_for WHERE r.trigger <> 'SCHEDULE'";
pub(super) const WALK_AHEAD: &str = " INDEXED BY runs_ahead WHERE r.scheduled_time > r.decided_at + 1000000";
pub(super) const WALK_UNENDED: &str = " INDEXED BY runs_unended WHERE r.state IN ('PENDING', 'RUNNING')";
pub(super) const WALK_NOT_SUCCEEDED: &str =
    " INDEXED BY runs_not_succeeded WHERE r.state NOT IN ('PENDING', 'RUNNING', 'SUCCEEDED')";
pub(super) const WALK_OF_AGENT: &str = " INDEXED BY runs_of_agent WHERE r.agent_id = ";
pub(super) const WALK_OF_NAMESPACE: &str = " INDEXED BY runs_of_namespace WHERE r.namespace = ";
pub(super) const WALK_ALL: &str = " WHERE TRUE";

/// What is measured of a run; of one that has not got there, nothing.
pub(super) const DURATION: &str = "r.end_time - coalesce(r.first_start_time, r.start_time)";
pub(super) const LATENESS: &str = "coalesce(r.first_start_time, r.start_time) - r.not_before";

pub(super) const LATE_OUTCOMES: &str = "SELECT 1 AS number, first_late_outcome AS outcome FROM runs \
     WHERE id = ?1 AND first_late_outcome IS NOT NULL UNION ALL \
     SELECT number, late_outcome FROM attempts WHERE run_id = ?1 AND late_outcome IS NOT NULL";

pub(super) const ATTEMPTS_OF_RUNS: &str = concat!(
    "SELECT ",
    attempt_columns!(),
    " FROM attempts WHERE run_id IN (SELECT unhex(value) FROM json_each(?)) ORDER BY run_id, number"
);

/// Deleted jobs of the name too.
pub(super) const UIDS_OF_JOB_ID: &str =
    "SELECT uid FROM jobs INDEXED BY jobs_by_name WHERE namespace = ? AND job_id = ?";
pub(super) const UIDS_OF_JOB_ID_ANYWHERE: &str = "SELECT uid FROM jobs INDEXED BY jobs_by_id WHERE job_id = ?";
pub(super) const UIDS_OF_PREFIX: &str = "SELECT uid FROM jobs INDEXED BY jobs_by_name WHERE namespace = ";
pub(super) const UIDS_OF_PREFIX_ANYWHERE: &str = "SELECT uid FROM jobs INDEXED BY jobs_by_id WHERE job_id >= ";

pub(super) const LOGS: &str = "SELECT attempt, sequence, source, time, data, cut_bytes FROM run_logs \
     WHERE run_id = ? AND (attempt, sequence) > (?, ?) ORDER BY attempt, sequence LIMIT ?";

/// Every wanted label, as a JSON object, is among those of the row.
pub(super) const HAS_LABELS: (&str, &str, &str) = (
    " AND NOT EXISTS (SELECT 1 FROM json_each(",
    ") AS wanted WHERE NOT EXISTS (SELECT 1 FROM json_each(",
    ") AS had WHERE had.key = wanted.key AND had.value = wanted.value))",
);

pub(super) const PING: &str = "SELECT epoch FROM leadership";
