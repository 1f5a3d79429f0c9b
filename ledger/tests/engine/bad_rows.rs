//! Bad rows in the file (PROTOCOL.md, rules 3 and 9; SCENARIOS, 12): what the file refuses or cannot tell costs a run or
//! a job, and all others go on.

use std::collections::BTreeMap;

use scheduler_core::agent::{Finished, FromAgent, Outcome, Report, ReportEvent};
use scheduler_core::engine::{Alert, Command};
use scheduler_core::time::Timestamp;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};

use crate::node::{Machine, Node, SECOND, every, key, manual};

fn trigger(job_id: &str) -> Command {
    Command::TriggerJob { job: key(job_id), payload: None, labels: BTreeMap::new(), not_before: None }
}

async fn open(node: &Node) -> SqliteConnection {
    SqliteConnectOptions::new().filename(&node.path).connect().await.unwrap()
}

/// What another program does to the file.
async fn outside(node: &Node, sql: &'static str) {
    sqlx::query(sql).execute(&mut open(node).await).await.unwrap();
}

async fn count(node: &Node, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&mut open(node).await).await.unwrap()
}

#[tokio::test]
async fn a_job_whose_rows_are_refused_is_out_of_service_and_all_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::new();
    let mut node = Node::start(&machine, folder.path()).await;
    node.create("good", every(SECOND)).await;
    node.create("bad", every(SECOND)).await;
    outside(
        &node,
        "CREATE TRIGGER bad BEFORE INSERT ON runs WHEN NEW.job_id = 'bad' AND NEW.state <> 'MISSED' \
         BEGIN SELECT RAISE(ABORT, 'bad bytes'); END",
    )
    .await;
    node.pass(10 * SECOND).await;
    let covered = "SELECT sum(coalesced_count) FROM runs WHERE job_id = 'good'";
    assert!(count(&node, covered).await >= 9, "the last may be held for an agent");
    let missed = "SELECT count(*) FROM runs WHERE job_id = 'bad' AND state = 'MISSED' AND reason = 'INTERNAL'";
    assert_eq!(count(&node, missed).await, 1);
    let paused = "SELECT count(*) FROM jobs WHERE job_id = 'bad' AND pause LIKE '%bad bytes%'";
    assert_eq!(count(&node, paused).await, 1);
    let watermark = count(&node, "SELECT watermark FROM leadership").await;
    assert!(node.machine.wall().since(Timestamp::from_micros(watermark)) < 6 * SECOND, "W passes it");
    assert_eq!(node.engine.stats().take_overs, 1);
    assert!(node.alerts.iter().any(|alert| matches!(alert, Alert::JobOutOfService { job, .. } if *job == key("bad"))));
}

#[tokio::test]
async fn a_report_that_is_refused_fails_its_run_and_all_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::new();
    let mut node = Node::start(&machine, folder.path()).await;
    node.join().await;
    node.create("good", manual()).await;
    node.create("bad", manual()).await;
    outside(
        &node,
        "CREATE TRIGGER bad BEFORE UPDATE ON runs WHEN NEW.result = '\"bad\"' \
         BEGIN SELECT RAISE(ABORT, 'bad bytes'); END",
    )
    .await;
    node.request(trigger("good")).await.unwrap();
    node.request(trigger("bad")).await.unwrap();
    let finished = |result: &str| {
        let (outcome, result) = (Outcome::Succeeded, Some(format!("\"{result}\"")));
        Finished { outcome, result, error: None, exit_code: None, retryable: false, start_time: None }
    };
    let time = node.machine.wall();
    let reports = node.assigned.iter().map(|assign| Report {
        attempt: assign.attempt,
        sequence: 1,
        time,
        event: ReportEvent::Finished(finished(&assign.job.job_id)),
    });
    let reports: Vec<Report> = reports.collect();
    assert_eq!(reports.len(), 2);
    node.heard(FromAgent::Reports(reports)).await;
    let succeeded = "SELECT count(*) FROM runs WHERE job_id = 'good' AND state = 'SUCCEEDED'";
    assert_eq!(count(&node, succeeded).await, 1);
    let failed = "SELECT count(*) FROM runs WHERE job_id = 'bad' AND state = 'FAILED' AND reason = 'REFUSED_BY_LEDGER' \
         AND reason_message LIKE '%bad bytes%'";
    assert_eq!(count(&node, failed).await, 1);
    assert_eq!(node.engine.stats().take_overs, 1);
}

#[tokio::test]
async fn rows_that_cannot_be_read_cost_no_more_than_what_they_are_about() {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::new();
    let mut node = Node::start(&machine, folder.path()).await;
    node.create("good", every(SECOND)).await;
    node.create("bad", every(SECOND)).await;
    node.create("half", manual()).await;
    node.request(trigger("half")).await.unwrap();
    let dates =
        scheduler_core::schedule::Calendar { name: "bad".to_owned(), time_zone: String::new(), dates: Vec::new() };
    let dates = scheduler_core::calendar::Definition { display_name: String::new(), description: String::new(), dates };
    let calendar = scheduler_core::calendar::CalendarKey { namespace: "default".into(), calendar_id: "bad".into() };
    let create = Command::CreateCalendar { calendar, definition: Box::new(dates), validate_only: false };
    node.request(create).await.unwrap();
    node.pass(3 * SECOND).await;
    outside(&node, "UPDATE jobs SET definition = '{}' WHERE job_id = 'bad'").await;
    outside(&node, "UPDATE calendars SET definition = 'no json'").await;
    outside(&node, "UPDATE runs SET labels = 'no json' WHERE job_id = 'half'").await;
    drop(node);
    let mut node = Node::start(&machine, folder.path()).await;
    assert!(node.engine.is_leading());
    let told = node.alerts.iter().filter_map(|alert| match alert {
        Alert::Unreadable { row, .. } => Some(row.as_str()),
        _ => None,
    });
    let told: Vec<&str> = told.collect();
    assert!(told.contains(&"job default/bad") && told.contains(&"calendar default/bad"), "{told:?}");
    assert!(told.iter().any(|row| row.starts_with("run ")), "{told:?}");
    node.pass(5 * SECOND).await;
    let covered = "SELECT sum(coalesced_count) FROM runs WHERE job_id = 'good'";
    assert!(count(&node, covered).await >= 7);
}
