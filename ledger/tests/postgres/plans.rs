//! A million runs, and whether what is asked often still searches: Postgres writes down how it carried out every
//! statement, also those inside of functions, and how many pages it looked at.

use std::time::Duration;

use ledger::{JobFilter, JobOrder, Page, RunFilter, Since, Span};
use scheduler_core::ids::{AgentId, BackfillId, JobUid, RunId};
use scheduler_core::job::{Job, JobKey, JobState};
use scheduler_core::run::{RunState, Trigger};
use scheduler_core::time::Timestamp;
use scheduler_core::txn::{Kept, Known, Purge, PurgeFilter};
use serde_json::Value;
use uuid::Uuid;

use crate::contract::samples::{NOW, assigned, attempt, created, ended, job, manual_run, request, run, seconds_after};
use crate::contract::{Backend as _, Ledger, Term};
use crate::database::Database;

const WATCHED: &[&str] = &[
    "fsync=off",
    "max_wal_size=4GB",
    "autovacuum=off",
    "session_preload_libraries=auto_explain",
    "auto_explain.log_min_duration=0",
    "auto_explain.log_analyze=on",
    "auto_explain.log_buffers=on",
    "auto_explain.log_timing=off",
    "auto_explain.log_nested_statements=on",
    "auto_explain.log_format=json",
];

/// Of 100,000 s up to now: of 1,000 jobs in one namespace, and, long ago, a few that are unlike the others in one thing.
const RUNS: &str = include_str!("runs.sql");

/// Pages that a statement of a list may look at: a hundredth of what one that goes through all runs would.
const MOST_PAGES: u64 = 1_500;
/// What a new leader needs whole.
const LOADS_ALL: &[&str] = &["FROM jobs WHERE delete_time IS NULL OR delete_time >", "AS changes FROM jobs) AS a"];
/// Which tables hold so little that they may be gone through.
const SMALL: &[&str] = &["leadership", "calendars", "agents", "backfills"];

fn rare_job() -> JobUid {
    JobUid(Uuid::from_u128(0x7000_8000_0000_0000_ffff))
}

fn rare_backfill() -> BackfillId {
    BackfillId(Uuid::from_u128(0x7000_8000_0000_0000_bbbb))
}

/// Everything that a server asks for all day long.
async fn ask_everything(ledger: &dyn Ledger) {
    let page = |after| Page { size: 50, after };
    let middle = RunId::at(NOW.saturating_sub(Duration::from_secs(50_000)), 0);
    let since = Since { floor: RunId::at(NOW.saturating_sub(Duration::from_secs(10)), 0), ended: NOW };
    let namespace = |name: &str| RunFilter { namespace: Some(name.to_owned()), ..RunFilter::default() };
    let states = |states: &[RunState]| RunFilter { states: states.to_vec(), ..namespace("default") };
    let filters = [
        RunFilter::default(),
        namespace("default"),
        namespace("rare"),
        states(&[RunState::Running]),
        states(&[RunState::Failed, RunState::Missed]),
        RunFilter { backfill_id: Some(rare_backfill()), ..RunFilter::default() },
        RunFilter { agent_id: Some(AgentId::from("rare")), ..RunFilter::default() },
        RunFilter { agent_id: Some(AgentId::from("agent-1")), ..namespace("default") },
        RunFilter { triggers: vec![Trigger::Manual], ..namespace("default") },
        RunFilter { scheduled_after: Some(NOW.saturating_sub(Duration::from_secs(5))), ..namespace("default") },
        RunFilter { job_id: Some("job-1007".to_owned()), ..namespace("default") },
        RunFilter { job_id: Some("rare".to_owned()), ..namespace("rare") },
        RunFilter { query: "job-177".to_owned(), ..namespace("default") },
        RunFilter { query: "job-1".to_owned(), ..namespace("default") },
        RunFilter { changed_since: Some(since), ..RunFilter::default() },
    ];
    for filter in filters {
        for after in [None, Some(middle)] {
            ledger.runs(&filter, &page(after)).await.unwrap();
        }
    }
    let rare = ledger.runs(&namespace("rare"), &page(None)).await.unwrap();
    assert!(!rare.items.is_empty(), "what is rare is there");
    let ids: Vec<RunId> = rare.items.iter().map(|stored| stored.run.id).collect();
    ledger.runs_by_id(&ids).await.unwrap();
    ledger.run(ids[0]).await.unwrap();
    ledger.logs(ids[0], None, 50).await.unwrap();
    ledger.count_runs_from(since.floor, 100).await.unwrap();
    ledger.last_runs(&[rare_job(), JobUid(Uuid::from_u128(1))]).await.unwrap();
    let key = |namespace: &str, job_id: &str| JobKey { namespace: namespace.to_owned(), job_id: job_id.to_owned() };
    ledger.fire(&key("default", "job-1007"), NOW.saturating_sub(Duration::from_secs(7))).await.unwrap();
    ledger.fire(&key("rare", "rare"), NOW.saturating_sub(Duration::from_secs(7))).await.unwrap();
    let span = |namespace: Option<&str>, job_id: Option<&str>| Span {
        namespace: namespace.map(str::to_owned),
        job_id: job_id.map(str::to_owned),
        start: NOW.saturating_sub(Duration::from_secs(10)),
        end: NOW,
        bucket: Some(Duration::from_secs(1)),
    };
    for span in [span(None, None), span(Some("default"), None), span(Some("default"), Some("job-1007"))] {
        ledger.run_stats(&span).await.unwrap();
    }
    let filter = |namespace: &str, job_id: Option<&str>| PurgeFilter {
        namespace: namespace.to_owned(),
        job_id: job_id.map(str::to_owned),
        states: Vec::new(),
        ended_before: NOW,
    };
    for filter in [filter("rare", None), filter("default", Some("job-1007")), filter("default", None)] {
        ledger.count_purged(&filter, 50).await.unwrap();
    }
    ask_about_jobs(ledger).await;
}

async fn ask_about_jobs(ledger: &dyn Ledger) {
    let key = JobKey { namespace: "default".to_owned(), job_id: "job-1007".to_owned() };
    let of = |namespace: &str| JobFilter { namespace: Some(namespace.to_owned()), ..JobFilter::default() };
    let filters = [
        JobFilter::default(),
        of("default"),
        of("rare"),
        JobFilter { query: "job-177".to_owned(), ..of("default") },
        JobFilter { states: vec![JobState::Paused], ..of("default") },
        JobFilter { states: vec![JobState::Deleted], ..of("default") },
    ];
    for filter in filters {
        let orders = [
            JobOrder::ByName { after: None },
            JobOrder::ByName { after: Some((key.clone(), rare_job())) },
            JobOrder::ByUpdateTime { after: None },
            JobOrder::ByUpdateTime { after: Some((NOW, rare_job())) },
        ];
        for order in orders {
            ledger.jobs(&filter, &order, 50).await.unwrap();
        }
    }
    ledger.job(&key).await.unwrap();
    ledger.job_by_uid(rare_job()).await.unwrap();
    ledger.revisions(rare_job(), &Page { size: 50, after: None }).await.unwrap();
    ledger.namespaces(&Page { size: 50, after: None }).await.unwrap();
}

/// Everything that a leader does all day long.
async fn lead(term: &Term, round: u128) {
    let job = job(500 + round, "default", &format!("new-{round}"));
    let first = 10 * round + 1;
    let runs: Vec<_> = (first..first + 5).map(|n| assigned(run(n, &job), "agent-1")).collect();
    term.commit(|transaction| {
        transaction.requests = vec![request(&round.to_string())];
        transaction.jobs = vec![created(job.clone())];
        transaction.entered.clone_from(&runs);
        transaction.entered.push(manual_run(first + 6, &job));
        transaction.watermark = Some(NOW);
    })
    .await;
    term.commit(|transaction| {
        transaction.updated = runs.iter().cloned().map(|run| ended(run, RunState::Succeeded)).collect();
        transaction.attempts = vec![(runs[0].id, attempt(2, "agent-2"))];
    })
    .await;
    term.ledger.find_requests(&[request("1").key]).await.unwrap();
    let kept = Kept { job: rare_job(), max_runs: 15, ended_since: Timestamp::from_secs(1) };
    let purges = [
        Purge::Retention(vec![kept]),
        Purge::ExpiredJobs { deleted_until: NOW },
        Purge::Requests { before: seconds_after(1) },
    ];
    for purge in purges {
        term.ledger.purge(term.epoch(), &purge, 3).await.unwrap();
    }
    term.ledger.load_job(term.epoch(), rare_job(), NOW.saturating_sub(Duration::from_secs(60))).await.unwrap();
}

#[tokio::test]
async fn nothing_that_is_asked_all_day_goes_through_a_million_runs() {
    let Some(database) = Database::with(WATCHED).await else { return };
    let first = Term::begin(&database).await;
    let rare = Job { uid: rare_job(), ..job(1, "rare", "rare") };
    first.commit_jobs([created(rare)]).await;
    database.execute(RUNS).await;
    // Before Postgres knows how much there is, and after.
    for (round, prepare) in [(1, "SELECT 1"), (2, "ANALYZE")] {
        database.execute(prepare).await;
        let begin = database.server.log().len();
        let term = Term { ledger: database.connect().await, began: first.began.clone() };
        lead(&term, round).await;
        ask_everything(&*term.ledger).await;
        let since = NOW.saturating_sub(Duration::from_secs(60));
        let loaded = term.ledger.load(term.epoch(), since, None).await.unwrap();
        assert!(loaded.unended.len() >= 100);
        let known = Known { up_to: loaded.last_change_seq - 2, counted: vec![rare_job()] };
        let loaded = term.ledger.load(term.epoch(), since, Some(&known)).await.unwrap();
        assert_eq!((loaded.jobs.len(), loaded.since.unwrap().counts.len()), (2, 1));
        assert!(term.ledger.load_changes(known.up_to, 50).await.unwrap().jobs.len() == 2);
        let log = database.server.log();
        let plans = plans(&log[begin..]);
        assert!(plans.len() > 150, "{} plans were written down", plans.len());
        for plan in &plans {
            judge(plan);
        }
    }
}

/// Each as Postgres wrote it, with the text of its statement.
fn plans(log: &str) -> Vec<Value> {
    log.split("plan:\n")
        .skip(1)
        .map(|rest| {
            let lines = rest.lines().take_while(|line| line.starts_with('\t'));
            let text: String = lines.map(|line| &line[1..]).collect::<Vec<_>>().join("\n");
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
        })
        .collect()
}

fn judge(statement: &Value) {
    let text = statement["Query Text"].as_str().unwrap_or_default();
    if LOADS_ALL.iter().any(|loads| text.contains(loads)) {
        return;
    }
    let plan = &statement["Plan"];
    walk(plan, &mut |node| {
        let table = node["Relation Name"].as_str().unwrap_or_default();
        let scans = node["Node Type"].as_str() == Some("Seq Scan") && !SMALL.contains(&table);
        assert!(!scans, "goes through {table}: {text}\n{plan:#}");
    });
    let pages = ["Shared Hit Blocks", "Shared Read Blocks"].map(|kind| plan[kind].as_u64().unwrap_or(0));
    let pages: u64 = pages.iter().sum();
    assert!(pages < MOST_PAGES, "looks at {pages} pages: {text}\n{plan:#}");
}

fn walk(plan: &Value, look: &mut impl FnMut(&Value)) {
    look(plan);
    for child in plan["Plans"].as_array().into_iter().flatten() {
        walk(child, look);
    }
}
