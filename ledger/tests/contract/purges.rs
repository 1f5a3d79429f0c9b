//! What is not kept any more goes; what must stay does (PROTOCOL.md, rule 10).

use std::time::Duration;

use ledger::{JobFilter, JobOrder, Page, RunFilter};
use scheduler_core::agent::{LogChunk, LogSource};
use scheduler_core::ids::{AttemptId, Epoch, RunId};
use scheduler_core::job::Job;
use scheduler_core::run::{Run, RunState};
use scheduler_core::time::Timestamp;
use scheduler_core::txn::{Failure, Kept, Purge, PurgeFilter, Purged, RequestRow};

use super::samples::{NOW, attempt, created, job, request, seconds_after, uid};
use super::{Backend, Term};

/// Long before the watermark that these cases have.
const BEGUN: Timestamp = NOW;
const WATERMARK: u64 = 100_000;

/// A run that was entered, and ended, so many seconds after the beginning.
fn old(n: u64, job: &Job) -> Run {
    let at = seconds_after(n);
    let run = super::samples::run(u128::from(n), job);
    let id = RunId::at(at, u128::from(n));
    Run { id, decided_at: at, state: RunState::Succeeded, end_time: Some(at), ..run }
}

async fn begin(backend: &dyn Backend, jobs: &[&Job], runs: Vec<Run>) -> Term {
    let term = Term::begin(backend).await;
    backend.set_clock(seconds_after(WATERMARK)).await;
    term.commit(|transaction| {
        transaction.jobs = jobs.iter().map(|job| created((*job).clone())).collect();
        transaction.entered = runs;
        transaction.watermark = Some(seconds_after(WATERMARK));
    })
    .await;
    term
}

async fn left(term: &Term) -> Vec<u64> {
    let page = term.ledger.runs(&RunFilter::default(), &Page { size: 1_000, after: None }).await.unwrap();
    let seconds = |run: &Run| run.scheduled_time.since(BEGUN).as_secs();
    let mut left: Vec<u64> = page.items.iter().map(|stored| seconds(&stored.run)).collect();
    left.sort_unstable();
    left
}

async fn purge(term: &Term, purge: Purge, most: u32) -> Purged {
    term.ledger.purge(term.epoch(), &purge, most).await.unwrap()
}

fn purged(runs: u64, more: bool) -> Purged {
    Purged { runs, jobs: Vec::new(), more }
}

fn kept(job: &Job, max_runs: u32, ended_since: u64) -> Purge {
    Purge::Retention(vec![Kept { job: job.uid, max_runs, ended_since: seconds_after(ended_since) }])
}

pub(crate) async fn a_job_keeps_as_many_runs_as_it_says_and_none_too_old(backend: &dyn Backend) {
    let (a, b) = (job(1, "default", "a"), job(2, "default", "b"));
    let mut runs: Vec<Run> = (1..=9).map(|n| old(n, &a)).collect();
    runs.extend([old(20, &b), old(21, &b)]);
    let term = begin(backend, &[&a, &b], runs).await;
    assert_eq!(purge(&term, kept(&a, 9, 0), 100).await, purged(0, false));
    assert_eq!(purge(&term, kept(&a, 9, 3), 100).await, purged(2, false), "by age");
    assert_eq!(purge(&term, kept(&a, 4, 4), 100).await, purged(3, false), "by both, each once");
    assert_eq!(left(&term).await, [6, 7, 8, 9, 20, 21]);
    assert_eq!(purge(&term, kept(&a, 0, 0), 3).await, purged(3, true), "the oldest first, no more than asked for");
    assert_eq!(left(&term).await, [9, 20, 21]);
    let both = [&a, &b].map(|job| Kept { job: job.uid, max_runs: 0, ended_since: BEGUN });
    assert_eq!(purge(&term, Purge::Retention(both.to_vec()), 100).await, purged(3, false));
}

pub(crate) async fn what_has_not_ended_or_is_recent_is_never_purged(backend: &dyn Backend) {
    let a = job(1, "default", "a");
    let unended = Run { state: RunState::Pending, end_time: None, ..old(1, &a) };
    // Decided long ago, for a time that has just come.
    let ahead = Run { id: RunId::at(seconds_after(3), 3), ..old(WATERMARK - 3_000, &a) };
    let (last_old, first_recent) = (WATERMARK - 3_601, WATERMARK - 3_599);
    let runs = vec![unended, old(2, &a), ahead, old(last_old, &a), old(first_recent, &a), old(WATERMARK, &a)];
    let term = begin(backend, &[&a], runs).await;
    let all = kept(&a, 0, 2 * WATERMARK);
    assert_eq!(purge(&term, all, 100).await.runs, 2);
    assert_eq!(left(&term).await, [1, first_recent, WATERMARK - 3_000, WATERMARK]);
    let filter = PurgeFilter {
        namespace: "default".to_owned(),
        job_id: None,
        states: Vec::new(),
        ended_before: seconds_after(2 * WATERMARK),
    };
    assert_eq!(term.ledger.count_purged(&filter, 100).await.unwrap(), 0);
    assert_eq!(purge(&term, Purge::Asked(filter), 100).await, purged(0, false));
}

pub(crate) async fn a_purge_takes_what_it_names_with_attempts_and_logs(backend: &dyn Backend) {
    let (a, b, other) = (job(1, "default", "a"), job(2, "default", "b"), job(3, "team-a", "a"));
    let failed = Run { state: RunState::Failed, ..old(3, &a) };
    let runs = vec![old(1, &a), old(2, &b), failed.clone(), old(4, &a), old(5, &other)];
    let term = begin(backend, &[&a, &b, &other], runs).await;
    let chunk = LogChunk {
        attempt: AttemptId { run: failed.id, number: 1 },
        sequence: 1,
        source: LogSource::Stdout,
        time: NOW,
        data: b"x".to_vec(),
        cut_bytes: 0,
    };
    term.commit(|transaction| {
        transaction.attempts.push((failed.id, attempt(2, "x")));
        transaction.logs.push(chunk);
    })
    .await;
    let filter = |job_id: Option<&str>, states: &[RunState], before| PurgeFilter {
        namespace: "default".to_owned(),
        job_id: job_id.map(str::to_owned),
        states: states.to_vec(),
        ended_before: seconds_after(before),
    };
    let cases = [
        (filter(Some("a"), &[RunState::Failed], 9), vec![1, 2, 4, 5]),
        (filter(Some("a"), &[], 4), vec![2, 4, 5]),
        (filter(Some("c"), &[], 9), vec![2, 4, 5]),
        (filter(None, &[], 9), vec![5]),
    ];
    for (filter, expected) in cases {
        let counted = term.ledger.count_purged(&filter, 100).await.unwrap();
        assert_eq!(purge(&term, Purge::Asked(filter), 100).await.runs, counted);
        assert_eq!(left(&term).await, expected);
    }
    assert_eq!(term.ledger.logs(failed.id, None, 9).await.unwrap().items, []);
    assert_eq!(term.ledger.run(failed.id).await.unwrap(), None);
}

pub(crate) async fn an_expired_job_goes_when_nothing_of_it_is_left(backend: &dyn Backend) {
    let deleted = |n: u128, at| Job { delete_time: Some(seconds_after(at)), ..job(n, "default", &format!("j{n}")) };
    let (gone, kept_by_a_run, later, live) = (deleted(1, 10), deleted(2, 10), deleted(3, 99), job(4, "default", "j4"));
    let unended = Run { state: RunState::Running, end_time: None, ..old(7, &kept_by_a_run) };
    let runs = vec![old(1, &gone), old(2, &gone), old(3, &later), old(4, &live), old(5, &kept_by_a_run), unended];
    let term = begin(backend, &[&gone, &kept_by_a_run, &later, &live], runs).await;
    let expired = || Purge::ExpiredJobs { deleted_until: seconds_after(50) };
    assert_eq!(purge(&term, expired(), 1).await, purged(1, true));
    assert_eq!(purge(&term, expired(), 100).await, Purged { runs: 2, jobs: vec![uid(1)], more: false });
    assert_eq!(left(&term).await, [3, 4, 7]);
    assert_eq!(purge(&term, expired(), 100).await, purged(0, false));
    let all = JobFilter { show_deleted: true, ..JobFilter::default() };
    let jobs = term.ledger.jobs(&all, &JobOrder::ByName { after: None }, 9).await.unwrap().items;
    assert_eq!(jobs.iter().map(|job| job.uid).collect::<Vec<_>>(), [uid(2), uid(3), uid(4)]);
    let revisions = term.ledger.revisions(uid(1), &Page { size: 9, after: None }).await.unwrap();
    assert_eq!(revisions.items, []);
}

pub(crate) async fn old_numbers_of_requests_go_a_batch_at_a_time_and_those_of_a_day_stay(backend: &dyn Backend) {
    let hours = |n: u64| seconds_after(n * 3_600);
    let requests: Vec<RequestRow> = (0..4)
        .map(|n| RequestRow { time: if n == 3 { hours(2) } else { BEGUN }, ..request(&format!("r{n}")) })
        .collect();
    let term = begin(backend, &[], Vec::new()).await;
    term.commit(|transaction| transaction.requests.clone_from(&requests)).await;
    let keys: Vec<_> = requests.iter().map(|request| request.key.clone()).collect();
    // 25 h after the first three and 23 h after the last; by an earlier clock the ledger would tell all of them.
    let old = || Purge::Requests { before: hours(25).saturating_sub(Duration::from_secs(24 * 3_600)) };
    backend.set_clock(hours(25)).await;
    let earlier = Epoch(term.epoch().0 - 1);
    assert!(matches!(term.ledger.purge(earlier, &old(), 9).await, Err(Failure::Deposed { .. })));
    assert_eq!(purge(&term, old(), 2).await, purged(0, true));
    backend.set_clock(hours(3)).await;
    assert_eq!(term.ledger.find_requests(&keys).await.map(|found| found.len()), Ok(2), "no more than asked for");
    backend.set_clock(hours(25)).await;
    assert_eq!(purge(&term, old(), 2).await, purged(0, false));
    assert_eq!(purge(&term, old(), 2).await, purged(0, false));
    backend.set_clock(hours(3)).await;
    assert_eq!(term.ledger.find_requests(&keys).await, Ok(vec![requests[3].clone()]));
}

pub(crate) async fn a_deposed_leader_purges_nothing(backend: &dyn Backend) {
    let a = job(1, "default", "a");
    let term = begin(backend, &[&a], vec![old(1, &a)]).await;
    let earlier = Epoch(term.epoch().0 - 1);
    let refused = term.ledger.purge(earlier, &kept(&a, 0, WATERMARK), 9).await;
    assert!(matches!(refused, Err(Failure::Deposed { .. })), "{refused:?}");
    assert_eq!(left(&term).await, [1]);
}
