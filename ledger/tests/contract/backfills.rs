//! Backfills: begun, moved with their runs, and loaded until they are closed.

use std::collections::BTreeSet;

use ledger::{Page, RunFilter};
use scheduler_core::backfill::{Backfill, Progress};
use scheduler_core::ids::{BackfillId, RunId};
use scheduler_core::job::Job;
use scheduler_core::run::{Reason, Run, Trigger};
use scheduler_core::txn::Transaction;

use super::samples::{NOW, created, job, manual_run, seconds_after};
use super::{Backend, Term};

pub(crate) fn backfill(n: u128, job: &Job) -> Backfill {
    Backfill {
        id: BackfillId::at(NOW, n),
        job_uid: job.uid,
        job_key: job.key.clone(),
        job_revision: 3,
        author: "alice".to_owned(),
        start_time: seconds_after(1),
        end_time: seconds_after(4),
        concurrency: 2,
        instants: [1, 2, 3].map(seconds_after).into(),
        create_time: seconds_after(5),
        progress: Progress::default(),
    }
}

fn run_of(n: u128, backfill: &Backfill, job: &Job) -> Run {
    Run { trigger: Trigger::Backfill, backfill_id: Some(backfill.id), ..manual_run(n, job) }
}

fn moved(entered: u32) -> Progress {
    Progress { entered, ..Progress::default() }
}

pub(crate) async fn backfills_are_loaded_as_they_are_until_they_are_closed(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let job = job(1, "default", "a");
    let (first, second) = (backfill(1, &job), backfill(2, &job));
    term.commit(|transaction| {
        transaction.jobs.push(created(job.clone()));
        transaction.backfills = vec![first.clone(), second.clone()];
        transaction.backfill_progress = vec![(first.id, moved(2))];
    })
    .await;
    let first = Backfill { progress: moved(2), ..first };
    let loaded: BTreeSet<_> = term.load().await.backfills.into_iter().map(|b| (b.id, b.progress.entered)).collect();
    assert_eq!(loaded, [(first.id, 2), (second.id, 0)].into());
    assert_eq!(term.ledger.backfill(first.id).await.unwrap(), Some(first.clone()));

    let whole = Progress { entered: 3, closed_time: Some(seconds_after(6)), dropped: None };
    let dropped = Progress { closed_time: Some(seconds_after(7)), dropped: Some(Reason::Deleted), ..moved(1) };
    term.commit(|transaction| transaction.backfill_progress = vec![(first.id, whole), (second.id, dropped)]).await;
    assert_eq!(term.load().await.backfills, []);
    let reopened = backend.connect().await;
    assert_eq!(reopened.backfill(first.id).await.unwrap(), Some(Backfill { progress: whole, ..first }));
    assert_eq!(reopened.backfill(second.id).await.unwrap(), Some(Backfill { progress: dropped, ..second }));
    assert_eq!(reopened.backfill(BackfillId::at(NOW, 9)).await.unwrap(), None);
}

/// Of which the answer was lost, and which is asked for again after it moved.
pub(crate) async fn a_backfill_begun_again_stays_where_it_is(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let job = job(1, "default", "a");
    let backfill = backfill(1, &job);
    let begin = |transaction: &mut Transaction| {
        transaction.jobs = vec![created(job.clone())];
        transaction.backfills = vec![backfill.clone()];
        transaction.entered = vec![run_of(1, &backfill, &job)];
        transaction.backfill_progress = vec![(backfill.id, moved(1))];
    };
    term.commit(begin).await;
    term.commit(begin).await;
    assert_eq!(term.load().await.backfills, [Backfill { progress: moved(1), ..backfill.clone() }]);
    assert_eq!(term.load().await.unended.len(), 1);
}

pub(crate) async fn the_runs_of_a_backfill_are_listed(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let (a, b) = (job(1, "default", "a"), job(2, "default", "b"));
    let (of_a, of_b) = (backfill(1, &a), backfill(2, &b));
    term.commit(|transaction| {
        transaction.jobs = vec![created(a.clone()), created(b.clone())];
        transaction.backfills = vec![of_a.clone(), of_b.clone()];
        transaction.entered = vec![run_of(1, &of_a, &a), manual_run(2, &a), run_of(3, &of_b, &b), run_of(4, &of_a, &a)];
    })
    .await;
    let ledger = &term.ledger;
    let list = |filter: RunFilter| async move {
        let page = ledger.runs(&filter, &Page { size: 10, after: None::<RunId> }).await.unwrap();
        let ids: Vec<_> = page.items.iter().map(|stored| stored.run.scheduled_time).collect();
        ids
    };
    let filter = RunFilter { backfill_id: Some(of_a.id), ..RunFilter::default() };
    assert_eq!(list(filter.clone()).await, [4, 1].map(seconds_after));
    let of_job = |job_id: &str| RunFilter { job_id: Some(job_id.to_owned()), ..filter.clone() };
    assert_eq!(list(of_job("a")).await, [4, 1].map(seconds_after));
    assert_eq!(list(of_job("b")).await, []);
    assert_eq!(list(RunFilter { namespace: Some("other".to_owned()), ..filter.clone() }).await, []);
}
