//! Small makers of jobs, runs and attempts, plain or with every field set.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use scheduler_core::audit::{Event, Origin};
use scheduler_core::calendar::{self, Calendar, CalendarKey};
use scheduler_core::ids::{AgentId, AgentInstance, AuditEventId, BackfillId, FencingToken, JobUid, RunId};
use scheduler_core::job::{
    Counts, Definition, Job, JobKey, OnLost, OverlapPolicy, Pause, Payload, Retention, Retry, Task,
};
use scheduler_core::run::{Attempt, AttemptState, Progress, Reason, Run, RunState, TaskError, Trigger};
use scheduler_core::schedule::{Dst, Gap, Overlap, Schedule};
use scheduler_core::time::Timestamp;
use scheduler_core::txn::{Change, JobWrite, RequestKey, RequestRow};

/// 2026-02-03T04:05:06.789012Z
pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_770_091_506_789_012);

pub(crate) fn seconds_after(seconds: u64) -> Timestamp {
    NOW.saturating_add(Duration::from_secs(seconds))
}

pub(crate) fn uid(n: u128) -> JobUid {
    JobUid::at(NOW, n)
}

pub(crate) fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

pub(crate) fn job(n: u128, namespace: &str, job_id: &str) -> Job {
    Job {
        uid: uid(n),
        key: JobKey { namespace: namespace.to_owned(), job_id: job_id.to_owned() },
        definition: Arc::new(Definition::new(Task { task_type: "noop".to_owned(), payload: Payload::default() })),
        pause: None,
        revision: 1,
        change_seq: i64::try_from(n).unwrap(),
        effective_from: NOW,
        create_time: NOW,
        update_time: NOW,
        delete_time: None,
        counts: Counts::default(),
    }
}

pub(crate) fn calendar(namespace: &str, calendar_id: &str) -> Calendar {
    let key = CalendarKey { namespace: namespace.to_owned(), calendar_id: calendar_id.to_owned() };
    let dates = Default::default();
    let definition = calendar::Definition { display_name: String::new(), description: String::new(), dates };
    Calendar { key, definition, revision: 1, change_seq: 1, create_time: NOW, update_time: NOW }
}

pub(crate) fn created(job: Job) -> JobWrite {
    JobWrite { job, change: Change::Create, author: "alice".to_owned(), note: String::new() }
}

/// A job none of whose fields is its default, nor like another of its fields.
pub(crate) fn full_job(n: u128) -> Job {
    let schedule = Schedule {
        cron: vec!["0 2 * * *".to_owned(), "H 3 * * 1#2".to_owned()],
        every: vec![Duration::from_millis(90_500)],
        at: vec![seconds_after(1_000), seconds_after(2_000)],
        after_completion: Some(Duration::from_micros(11)),
        time_zone: "Europe/Paris".to_owned(),
        start_time: Some(seconds_after(10)),
        end_time: Some(seconds_after(20)),
        jitter: Some(Duration::from_micros(12)),
        dst: Dst { gap: Gap::Skip, overlap: Overlap::Both },
        exclude_calendars: vec!["holidays".to_owned()],
        max_fires: Some(7),
    };
    let definition = Definition {
        display_name: "Nightly “report”".to_owned(),
        description: "Line one\nline two".to_owned(),
        labels: labels(&[("team", "data"), ("quo\"ted", "ü")]).into(),
        schedule,
        task: Task {
            task_type: "process".to_owned(),
            payload: Payload(r#"{"command":["a","b c"],"n":9007199254740993}"#.into()),
        },
        queue: "heavy".to_owned(),
        agent_selector: labels(&[("zone", "eu")]),
        priority: -5,
        max_instances: 3,
        misfire_grace_time: Duration::from_micros(61),
        coalesce: false,
        overlap_policy: OverlapPolicy::CancelRunning,
        max_queued: 4,
        retry: Retry {
            max_attempts: 5,
            initial_backoff: Duration::from_micros(62),
            backoff_multiplier: 1.7,
            max_backoff: Duration::from_micros(63),
            non_retryable_codes: vec!["EXIT_2".to_owned()],
        },
        timeout: Duration::from_micros(64),
        kill_grace: Duration::from_micros(65),
        start_deadline: Some(Duration::from_micros(66)),
        on_lost: OnLost::Fail,
        pause_after_failures: 6,
        delete_after_completion: true,
        retention: Retention { max_runs: 8, max_age: Duration::from_micros(67) },
        enabled: false,
    };
    Job {
        definition: Arc::new(definition),
        pause: Some(Pause { note: "hold".to_owned(), author: "bob".to_owned(), time: seconds_after(1) }),
        revision: 9,
        change_seq: 77,
        effective_from: seconds_after(2),
        update_time: seconds_after(3),
        delete_time: Some(seconds_after(4)),
        ..job(n, "team-a", "nightly-report")
    }
}

pub(crate) fn run_id(n: u128) -> RunId {
    RunId::at(NOW, n)
}

/// A scheduled run of `job`, entered without an attempt, due `n` seconds from now.
pub(crate) fn run(n: u128, job: &Job) -> Run {
    let scheduled_time = seconds_after(u64::try_from(n).unwrap());
    Run {
        id: run_id(n),
        job_uid: job.uid,
        job_key: job.key.clone(),
        job_revision: 1,
        trigger: Trigger::Schedule,
        scheduled_time,
        occurrence: 0,
        covers_from: Some(scheduled_time.saturating_sub(Duration::from_secs(1))),
        decided_at: NOW,
        not_before: scheduled_time,
        state: RunState::Pending,
        reason: None,
        reason_message: String::new(),
        attempt: 0,
        uncounted_attempts: 0,
        next_attempt_time: None,
        first_attempt: None,
        coalesced_count: 1,
        first_scheduled_time: None,
        retry_of: None,
        backfill_id: None,
        labels: BTreeMap::new(),
        payload: None,
        cancel_requested_time: None,
        create_time: NOW,
        start_time: None,
        end_time: None,
        progress: None,
        result: None,
        error: None,
        exit_code: None,
    }
}

/// A run that covers no instant of a schedule.
pub(crate) fn manual_run(n: u128, job: &Job) -> Run {
    let id = run_id(n);
    Run { trigger: Trigger::Manual, occurrence: Run::occurrence_of(id), covers_from: None, ..run(n, job) }
}

pub(crate) fn ended(run: Run, state: RunState) -> Run {
    Run { state, end_time: Some(seconds_after(30)), ..run }
}

/// Hands `run` out for the first time.
pub(crate) fn assigned(run: Run, agent: &str) -> Run {
    Run { attempt: 1, first_attempt: Some(attempt(1, agent)), ..run }
}

pub(crate) fn attempt(number: u32, agent: &str) -> Attempt {
    Attempt {
        number,
        state: AttemptState::Pending,
        agent_id: AgentId::from(agent),
        agent_instance: AgentInstance::at(NOW, 5),
        slot: 0,
        fencing_token: FencingToken(i64::from(number)),
        assign_time: NOW,
        start_time: None,
        end_time: None,
        reason: None,
        error: None,
        exit_code: None,
    }
}

/// An attempt with every field set.
pub(crate) fn full_attempt(number: u32, agent: &str) -> Attempt {
    let base = u64::from(number) * 100;
    Attempt {
        number,
        state: AttemptState::Lost,
        agent_id: AgentId::from(agent),
        agent_instance: AgentInstance::at(NOW, u128::from(number) + 40),
        slot: number + 41,
        fencing_token: FencingToken((1_770_091_506_789 << 20) + i64::from(number)),
        assign_time: seconds_after(base + 1),
        start_time: Some(seconds_after(base + 2)),
        end_time: Some(seconds_after(base + 3)),
        reason: Some(Reason::NotStarted),
        error: Some(TaskError { code: format!("EXIT_{number}"), message: format!("attempt {number} failed") }),
        exit_code: Some(i32::try_from(number).unwrap() - 50),
    }
}

/// A run with every field set, none like another.
pub(crate) fn full_run(n: u128, job: &Job) -> Run {
    Run {
        id: run_id(n),
        job_uid: job.uid,
        job_key: job.key.clone(),
        job_revision: 2,
        trigger: Trigger::Backfill,
        scheduled_time: seconds_after(3),
        occurrence: 4,
        covers_from: Some(seconds_after(5)),
        decided_at: seconds_after(6),
        not_before: seconds_after(7),
        state: RunState::Running,
        reason: Some(Reason::AgentsBusy),
        reason_message: "every agent is full".to_owned(),
        attempt: 3,
        uncounted_attempts: 1,
        next_attempt_time: Some(seconds_after(8)),
        first_attempt: Some(full_attempt(1, "first")),
        coalesced_count: 9,
        first_scheduled_time: Some(seconds_after(10)),
        retry_of: Some(run_id(11)),
        backfill_id: Some(BackfillId::at(NOW, 12)),
        labels: labels(&[("k", "v"), ("k2", "")]),
        payload: Some(Payload(r#"{"a":1}"#.into())),
        cancel_requested_time: Some(seconds_after(12)),
        create_time: seconds_after(13),
        start_time: Some(seconds_after(14)),
        end_time: Some(seconds_after(15)),
        progress: Some(Progress { percent: 12.5, message: "an eighth".to_owned() }),
        result: Some(r#"{"rows":3}"#.to_owned()),
        error: Some(TaskError { code: "HTTP_503".to_owned(), message: "away\n".to_owned() }),
        exit_code: Some(-9),
    }
}

/// What may change in a run, changed.
pub(crate) fn changed(run: &Run) -> Run {
    let first_attempt = Attempt { number: 1, ..full_attempt(6, "moved") };
    Run {
        job_revision: 102,
        not_before: seconds_after(107),
        state: RunState::Pending,
        reason: Some(Reason::WaitingForSlot),
        reason_message: "waits".to_owned(),
        attempt: 4,
        uncounted_attempts: 2,
        next_attempt_time: Some(seconds_after(108)),
        first_attempt: Some(first_attempt),
        payload: Some(Payload(r#"{"a":2}"#.into())),
        cancel_requested_time: Some(seconds_after(112)),
        start_time: Some(seconds_after(114)),
        end_time: Some(seconds_after(115)),
        progress: Some(Progress { percent: 99.0, message: "nearly".to_owned() }),
        result: Some("null".to_owned()),
        error: Some(TaskError { code: "TIMEOUT".to_owned(), message: "late".to_owned() }),
        exit_code: Some(3),
        ..run.clone()
    }
}

pub(crate) fn request(request_id: &str) -> RequestRow {
    RequestRow {
        key: RequestKey {
            namespace: "default".to_owned(),
            method: "TriggerJob".to_owned(),
            request_id: request_id.to_owned(),
        },
        digest: "d1".to_owned(),
        resource: run_id(1).to_string(),
        time: NOW,
    }
}

/// An event of the audit that tells of no rows.
pub(crate) fn event(n: u128) -> Event {
    let origin = Origin {
        principal: "alice".to_owned(),
        token: None,
        address: "127.0.0.1".to_owned(),
        method: "JobService/UpdateJob".to_owned(),
    };
    Event {
        id: AuditEventId::at(NOW, n),
        time: NOW,
        origin,
        namespace: "default".to_owned(),
        resource: "jobs/a".to_owned(),
        request_id: "r1".to_owned(),
        refusal: String::new(),
        before: None,
        after: None,
    }
}
