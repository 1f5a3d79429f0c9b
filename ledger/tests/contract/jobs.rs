//! Reads of jobs.

use ledger::{JobFilter, Page, PageOf};
use scheduler_core::ids::JobUid;
use scheduler_core::job::{Definition, Job, JobKey};
use scheduler_core::txn::Failure;

use super::samples::{created, job, labels, seconds_after, uid};
use super::{Backend, Ledger, Term};

pub(crate) async fn a_deleted_jobs_name_is_free(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let key = JobKey { namespace: "default".to_owned(), job_id: "a".to_owned() };
    assert_eq!(term.ledger.job(&key).await.unwrap(), None);
    let deleted = |n: u128, seconds| Job { delete_time: Some(seconds_after(seconds)), ..job(n, "default", "a") };
    let (first, second) = (deleted(1, 20), deleted(2, 10));
    term.commit_jobs([created(first.clone())]).await;
    term.commit_jobs([created(second.clone())]).await;
    assert_eq!(term.ledger.job(&key).await.unwrap(), Some(first.clone()), "the latest deleted");
    assert_eq!(term.ledger.count_jobs().await.unwrap(), 0);

    let live = job(3, "default", "a");
    term.commit_jobs([created(live.clone()), created(job(4, "team-a", "a"))]).await;
    assert_eq!(term.ledger.job(&key).await.unwrap(), Some(live.clone()));
    assert_eq!(term.ledger.count_jobs().await.unwrap(), 2);
    for job in [first, second, live] {
        assert_eq!(term.ledger.job_by_uid(job.uid).await.unwrap(), Some(job));
    }
    assert_eq!(term.ledger.job_by_uid(uid(99)).await.unwrap(), None);
}

pub(crate) async fn two_live_jobs_of_one_name_are_refused(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    term.commit_jobs([created(job(1, "default", "a"))]).await;
    let mut second = term.transaction();
    second.jobs.push(created(job(2, "default", "a")));
    let answer = term.ledger.commit(&second).await;
    assert!(matches!(answer, Err(Failure::Refused(_))), "{answer:?}");
    assert_eq!(term.load().await.jobs.len(), 1);
}

fn labelled(job: Job, pairs: &[(&str, &str)]) -> Job {
    let definition = Definition { labels: labels(pairs), ..(*job.definition).clone() };
    Job { definition: definition.into(), ..job }
}

async fn list(ledger: &dyn Ledger, filter: JobFilter) -> Vec<JobUid> {
    let page = ledger.jobs(&filter, &Page { size: 100, after: None }).await.unwrap();
    assert!(!page.more);
    page.items.into_iter().map(|job| job.uid).collect()
}

pub(crate) async fn lists_of_jobs_hold_what_the_filter_names(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let jobs = [
        labelled(job(1, "b", "report"), &[("team", "x"), ("tier", "1")]),
        labelled(job(2, "a", "report"), &[("team", "x")]),
        job(3, "a", "rep"),
        labelled(job(4, "a", "clean-up"), &[("team", "y"), ("x", "team"), ("it's \"odd\"", "%_$")]),
        Job { delete_time: Some(seconds_after(1)), ..job(5, "a", "report") },
        job(6, "a", "reports"),
    ];
    term.commit_jobs(jobs.map(created)).await;
    let all = JobFilter::default;
    let a = || JobFilter { namespace: Some("a".to_owned()), ..all() };
    let with = |pairs| JobFilter { labels: labels(pairs), ..all() };
    let cases: [(&str, JobFilter, &[u128]); 11] = [
        ("all, by namespace and name", all(), &[4, 3, 2, 6, 1]),
        ("one namespace", a(), &[4, 3, 2, 6]),
        ("no such namespace", JobFilter { namespace: Some("c".to_owned()), ..all() }, &[]),
        ("deleted too", JobFilter { show_deleted: true, ..a() }, &[4, 3, 2, 5, 6]),
        ("a prefix", JobFilter { query: "rep".to_owned(), ..a() }, &[3, 2, 6]),
        ("a prefix anywhere", JobFilter { query: "report".to_owned(), ..all() }, &[2, 6, 1]),
        ("no wildcard", JobFilter { query: "rep%".to_owned(), ..all() }, &[]),
        ("a label", with(&[("team", "x")]), &[2, 1]),
        ("all labels", with(&[("team", "x"), ("tier", "1")]), &[1]),
        ("a label's name and value do not mix", with(&[("team", "team")]), &[]),
        ("an odd label", with(&[("it's \"odd\"", "%_$")]), &[4]),
    ];
    for (name, filter, expected) in cases {
        let expected: Vec<JobUid> = expected.iter().map(|&n| uid(n)).collect();
        assert_eq!(list(&*term.ledger, filter).await, expected, "{name}");
    }
}

pub(crate) async fn pages_of_jobs_neither_skip_nor_repeat(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let deleted = |n| Job { delete_time: Some(seconds_after(1)), ..job(n, "a", "a") };
    let jobs = [deleted(1), deleted(2), deleted(3), job(4, "a", "a"), job(5, "a", "b"), job(6, "b", "a")];
    term.commit_jobs(jobs.clone().map(created)).await;
    let filter = JobFilter { show_deleted: true, ..JobFilter::default() };
    for size in [1, 2, 3, 6, 7] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = Page { size, after: after.take() };
            let PageOf { items, more } = term.ledger.jobs(&filter, &page).await.unwrap();
            assert!(items.len() <= size as usize);
            after = items.last().map(|job| (job.key.clone(), job.uid));
            seen.extend(items);
            if !more {
                break;
            }
        }
        assert_eq!(seen, jobs, "pages of {size}");
    }
}
