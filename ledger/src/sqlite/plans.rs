//! No statement on a hot or list path may go through a whole table: what SQLite means to do is asked of it.

use std::sync::Arc;

use scheduler_core::ids::{AgentId, AuditEventId, BackfillId, JobUid, RunId};
use scheduler_core::job::{JobKey, JobState};
use scheduler_core::run::{RunState, Trigger};
use scheduler_core::time::Timestamp;
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use super::batch::Batch;
use super::reads::texts;
use super::{Sqlite, audit, sql};
use crate::audit::AuditFilter;
use crate::reader::{JobFilter, JobOrder, Page, RunFilter, Since};
use crate::stats::Span;

async fn ledger(folder: &tempfile::TempDir) -> Sqlite {
    let clock = Arc::new(|| Timestamp::from_secs(1));
    Sqlite::open(&folder.path().join("ledger.sqlite"), clock).await.unwrap()
}

/// Asserts that `statement` searches tables by index only; it may go through what its parameters hold.
async fn assert_searches(ledger: &Sqlite, statement: &str) {
    for step in plan(ledger, statement).await {
        let scanned = step.strip_prefix("SCAN ").map(|rest| rest.split(' ').next().unwrap_or_default());
        // Of what is counted there is as much as a parameter says, at most.
        let is_parameter = |name| ["wanted", "had", "v", "json_each", "counted"].contains(&name);
        // It holds nothing but what is asked for.
        let is_unended = step.contains("INDEX runs_unended");
        let is_values = step.contains("CONSTANT ROW") || step.contains("VALUES CLAUSE");
        let text = &statement[..statement.len().min(500)];
        assert!(is_values || is_unended || scanned.is_none_or(is_parameter), "{step}\n{text}");
        assert!(!step.contains("AUTOMATIC"), "{step}\n{text}");
    }
}

/// Asserts, besides, that a page costs what it holds: rows come in order, and the rest is not sorted first.
async fn assert_walks(ledger: &Sqlite, list: &str) {
    assert_searches(ledger, list).await;
    for step in plan(ledger, list).await {
        assert!(!step.contains("TEMP B-TREE"), "{step}\n{list}");
    }
}

async fn plan(ledger: &Sqlite, statement: &str) -> Vec<String> {
    let explained = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}")));
    let steps = explained.fetch_all(&ledger.readers).await.unwrap_or_else(|error| panic!("{error}: {statement}"));
    steps.iter().map(|step| step.get("detail")).collect()
}

#[tokio::test]
async fn writes_search_by_index() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = ledger(&folder).await;
    let batches: [&Batch; 15] = [
        &sql::BEGIN_BACKFILLS,
        &sql::MOVE_BACKFILLS,
        &sql::REMEMBER_REQUESTS,
        &sql::WRITE_JOBS,
        &sql::WRITE_JOB_REVISIONS,
        &sql::ENTER_RUNS,
        &sql::UPDATE_RUNS,
        &sql::WRITE_ATTEMPTS,
        &sql::NAME_AGENTS,
        &sql::NOTE_LATE_FIRST,
        &sql::NOTE_LATE,
        &sql::WRITE_LOGS,
        &sql::WRITE_CORDONS,
        &sql::DELETE_CORDONS,
        &sql::WRITE_AUDIT_EVENTS,
    ];
    for text in batches.iter().flat_map(|batch| batch.texts()) {
        assert_searches(&ledger, text).await;
    }
    for text in [
        sql::FENCE,
        sql::REVOKE_TOKEN,
        sql::FORGET_AUDIT_EVENTS,
        sql::ADVANCE,
        sql::FIND_FIRE,
        sql::FIND_REQUEST,
        sql::SELECT_LEADERSHIP,
        sql::SURVEY,
    ] {
        assert_searches(&ledger, text).await;
    }
}

#[tokio::test]
async fn loads_and_reads_search_by_index() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = ledger(&folder).await;
    let texts = [
        sql::LAST_CHANGE_SEQ,
        sql::TOKEN,
        sql::LOAD_CHANGED_JOBS,
        sql::LOAD_COUNTS,
        sql::LOAD_COVERED,
        sql::LOAD_UNENDED_ATTEMPTS,
        sql::LOAD_COVERED_OF_JOB,
        sql::LOAD_UNENDED_ATTEMPTS_OF_JOB,
        sql::JOB_BY_KEY,
        sql::JOB_BY_UID,
        sql::LAST_RUNS,
        sql::RUN,
        sql::RUNS_BY_ID,
        sql::COUNT_RUNS_FROM,
        sql::BACKFILL,
        sql::JOB_AT,
        sql::REVISION,
        sql::REVISION_AT,
        sql::DISABLING_REVISION,
        sql::NEXT_SETTLING_REVISION,
        sql::CALENDAR_CHANGE,
        sql::WATERMARK,
        sql::FIRE,
        sql::BACKFILLED,
        sql::ATTEMPTS_OF_RUNS,
        sql::UIDS_OF_JOB_ID,
        sql::UIDS_OF_JOB_ID_ANYWHERE,
        sql::COUNT_JOBS_OF_NAMESPACE,
        sql::LATE_OUTCOMES,
        sql::EXPIRED_JOBS,
        sql::DELETE_RUNS,
        sql::DELETE_JOBS,
        sql::OLD_REQUESTS,
        sql::DELETE_REQUESTS,
    ];
    for text in texts {
        assert_searches(&ledger, text).await;
    }
    for text in [&texts::jobs_of_prefix(Some("a")), &texts::jobs_of_prefix(None)] {
        assert_searches(&ledger, text).await;
    }
    let walks = [
        sql::CHANGED_JOBS,
        sql::LOAD_UNENDED,
        sql::LOAD_UNENDED_OF_JOB,
        sql::LOGS,
        sql::NEXT_COVERING,
        sql::FIRST_COVERED,
        sql::LAST_COVERED,
        sql::REVISIONS,
        sql::NEWEST_BEYOND,
    ];
    for text in walks {
        assert_walks(&ledger, text).await;
    }
}

#[tokio::test]
async fn lists_of_runs_walk_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = ledger(&folder).await;
    let page = Page { size: 50, after: Some(RunId(Uuid::nil())) };
    let namespace = || RunFilter { namespace: Some("default".to_owned()), ..RunFilter::default() };
    let states = |states: &[RunState]| RunFilter { states: states.to_vec(), ..namespace() };
    let since = Since { floor: RunId(Uuid::nil()), ended: Timestamp::from_secs(1) };
    let filters = [
        RunFilter::default(),
        namespace(),
        states(&[RunState::Running]),
        states(&[RunState::Failed, RunState::Missed]),
        states(&[RunState::Failed, RunState::Succeeded]),
        RunFilter { backfill_id: Some(BackfillId(Uuid::nil())), ..namespace() },
        RunFilter { agent_id: Some(AgentId::from("a")), ..namespace() },
        RunFilter { scheduled_after: Some(Timestamp::from_secs(1)), ..namespace() },
        RunFilter { triggers: vec![Trigger::Manual, Trigger::Retry], ..namespace() },
        RunFilter { query: "a".to_owned(), ..namespace() },
        RunFilter { changed_since: Some(since), ..RunFilter::default() },
        RunFilter { changed_since: Some(since), ..namespace() },
    ];
    for filter in filters {
        assert_walks(&ledger, &texts::run_list(None, &filter, &page)).await;
        assert_walks(&ledger, &texts::run_list(Some(JobUid(Uuid::nil())), &filter, &page)).await;
        // Those of them that are ahead of their time are few, and may be sorted.
        assert_searches(
            &ledger,
            &texts::runs_ahead(&RunFilter { scheduled_after: Some(Timestamp::MIN), ..filter }, &page),
        )
        .await;
    }
    let (start, end) = (Timestamp::from_secs(1), Timestamp::from_secs(2));
    let namespace = Some("a".to_owned());
    let span = Span { namespace, job_id: None, start, end, bucket: Some(std::time::Duration::from_secs(1)) };
    for text in texts::run_stats(&span) {
        for step in plan(&ledger, &text).await {
            assert!(!step.starts_with("SCAN r"), "{step}\n{text}");
        }
    }
}

#[tokio::test]
async fn lists_of_jobs_walk_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = ledger(&folder).await;
    let key = JobKey { namespace: "default".to_owned(), job_id: "a".to_owned() };
    let uid = JobUid(Uuid::nil());
    let by_name = JobOrder::ByName { after: Some((key, uid)) };
    let by_update = JobOrder::ByUpdateTime { after: Some((Timestamp::from_secs(1), uid)) };
    let namespace = || JobFilter { namespace: Some("default".to_owned()), ..JobFilter::default() };
    let states = |states: &[JobState]| JobFilter { states: states.to_vec(), ..namespace() };
    let filters = [
        JobFilter::default(),
        namespace(),
        JobFilter { query: "a".to_owned(), ..namespace() },
        states(&[JobState::Paused]),
        states(&[JobState::Deleted]),
        states(&[JobState::Active, JobState::Deleted]),
    ];
    for filter in filters {
        assert_walks(&ledger, &texts::job_list(&filter, &by_name)).await;
        assert_walks(&ledger, &texts::job_list(&filter, &by_update)).await;
    }
}

#[tokio::test]
async fn lists_of_events_walk_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = ledger(&folder).await;
    let namespace = Some("default".to_owned());
    let page = Page { size: 50, after: Some(AuditEventId(Uuid::nil())) };
    let (after, before) = (Some(Timestamp::from_secs(1)), Some(Timestamp::from_secs(2)));
    let query = "jobs/a".to_owned();
    let filters = [
        AuditFilter { after, ..AuditFilter::default() },
        AuditFilter { namespace: namespace.clone(), query, ..AuditFilter::default() },
        AuditFilter { principal: "alice".to_owned(), namespace, before, ..AuditFilter::default() },
    ];
    for filter in filters {
        assert_walks(&ledger, &audit::query(&filter, &page).into_string()).await;
    }
}
