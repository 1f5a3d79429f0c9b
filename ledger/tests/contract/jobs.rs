//! Reads of jobs.

use ledger::{JobFilter, JobOrder, Namespace, Page, PageOf, Revision};
use scheduler_core::ids::JobUid;
use scheduler_core::job::{Definition, Job, JobKey, JobState, Pause};
use scheduler_core::txn::{CalendarWrite, Change, Failure, JobWrite};

use super::samples::{NOW, calendar, created, job, labels, seconds_after, uid};
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
    let definition = Definition { labels: labels(pairs).into(), ..(*job.definition).clone() };
    Job { definition: definition.into(), ..job }
}

async fn list(ledger: &dyn Ledger, filter: JobFilter) -> Vec<JobUid> {
    let page = ledger.jobs(&filter, &JobOrder::ByName { after: None }, 100).await.unwrap();
    assert!(!page.more);
    page.items.into_iter().map(|job| job.uid).collect()
}

pub(crate) async fn lists_of_jobs_hold_what_the_filter_names(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let disabled = |job: Job| {
        let definition = Definition { enabled: false, ..(*job.definition).clone() };
        Job { definition: definition.into(), ..job }
    };
    let paused =
        |job: Job| Job { pause: Some(Pause { note: String::new(), author: "alice".to_owned(), time: NOW }), ..job };
    let jobs = [
        labelled(job(1, "b", "report"), &[("team", "x"), ("tier", "1")]),
        labelled(job(2, "a", "report"), &[("team", "x")]),
        job(3, "a", "rep"),
        labelled(job(4, "a", "clean-up"), &[("team", "y"), ("x", "team"), ("it's \"odd\"", "%_$")]),
        Job { delete_time: Some(seconds_after(1)), ..job(5, "a", "report") },
        job(6, "a", "reports"),
        paused(job(7, "s", "paused")),
        disabled(job(8, "s", "disabled")),
        paused(disabled(job(9, "s", "both"))),
        job(10, "s", "running"),
        Job { delete_time: Some(seconds_after(1)), ..paused(job(11, "s", "deleted")) },
    ];
    term.commit_jobs(jobs.map(created)).await;
    let all = JobFilter::default;
    let in_states =
        |states: &[JobState]| JobFilter { namespace: Some("s".to_owned()), states: states.to_vec(), ..all() };
    use JobState::{Active, Completed, Deleted, Disabled, Paused};
    let a = || JobFilter { namespace: Some("a".to_owned()), ..all() };
    let with = |pairs| JobFilter { labels: labels(pairs), ..all() };
    let cases: [(&str, JobFilter, &[u128]); 19] = [
        ("all, by namespace and name", all(), &[4, 3, 2, 6, 1, 9, 8, 7, 10]),
        ("running", in_states(&[Active]), &[10]),
        ("completed or not", in_states(&[Completed]), &[10]),
        ("paused", in_states(&[Paused]), &[7]),
        ("disabled", in_states(&[Disabled]), &[9, 8]),
        ("halted", in_states(&[Disabled, Paused]), &[9, 8, 7]),
        ("running or paused", in_states(&[Active, Paused]), &[7, 10]),
        ("deleted", in_states(&[Deleted]), &[11]),
        ("states say all of it", JobFilter { show_deleted: true, ..in_states(&[Active, Completed]) }, &[10]),
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
            let order = JobOrder::ByName { after: after.take() };
            let PageOf { items, more } = term.ledger.jobs(&filter, &order, size).await.unwrap();
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

pub(crate) async fn lists_by_update_time_have_the_latest_change_first(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let at = |n, namespace, seconds| Job { update_time: seconds_after(seconds), ..job(n, namespace, &format!("j{n}")) };
    let jobs = [at(1, "a", 5), at(2, "a", 9), at(3, "b", 7), at(4, "a", 5), at(5, "a", 5)];
    term.commit_jobs(jobs.map(created)).await;
    let a = || JobFilter { namespace: Some("a".to_owned()), ..JobFilter::default() };
    for (filter, expected) in [(a(), vec![2, 5, 4, 1]), (JobFilter::default(), vec![2, 3, 5, 4, 1])] {
        for size in [1, 2, 10] {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let order = JobOrder::ByUpdateTime { after: after.take() };
                let PageOf { items, more } = term.ledger.jobs(&filter, &order, size).await.unwrap();
                after = items.last().map(|job| (job.update_time, job.uid));
                seen.extend(items.into_iter().map(|job| job.uid));
                if !more {
                    break;
                }
            }
            assert_eq!(seen, expected.iter().map(|&n| uid(n)).collect::<Vec<_>>(), "pages of {size}");
        }
    }
}

pub(crate) async fn revisions_are_kept_as_each_change_left_the_job(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let first = job(1, "default", "a");
    let at = |revision: i64, job: Job| Job {
        revision,
        update_time: seconds_after(revision.unsigned_abs()),
        effective_from: seconds_after(revision.unsigned_abs()),
        ..job
    };
    let pause = Pause { note: "why".to_owned(), author: "bob".to_owned(), time: NOW };
    let edited = at(3, labelled(first.clone(), &[("k", "v")]));
    let written = [
        (Change::Create, "alice", "", at(1, first.clone())),
        (Change::Pause, "bob", "why", at(2, Job { pause: Some(pause), ..first.clone() })),
        (Change::Update, "alice", "", edited.clone()),
        (Change::Delete, "eve", "", at(4, Job { delete_time: Some(seconds_after(4)), ..edited })),
    ];
    for (change, author, note, job) in written.clone() {
        let (author, note) = (author.to_owned(), note.to_owned());
        term.commit_jobs([JobWrite { job, change, author, note }]).await;
    }
    let expected: Vec<Revision> = written
        .into_iter()
        .rev()
        .map(|(change, author, note, job)| Revision { job, change, author: author.to_owned(), note: note.to_owned() })
        .collect();
    for (size, after, part, more) in [(9, None, 0..4, false), (2, None, 0..2, true), (2, Some(3), 2..4, false)] {
        let page = term.ledger.revisions(first.uid, &Page { size, after }).await.unwrap();
        assert_eq!(page, PageOf { items: expected[part].to_vec(), more });
    }
    let none = term.ledger.revisions(uid(9), &Page { size: 2, after: None }).await.unwrap();
    assert_eq!(none.items, []);
}

pub(crate) async fn namespaces_are_those_that_a_job_or_calendar_named(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let deleted = Job { delete_time: Some(seconds_after(1)), ..job(4, "d", "a") };
    term.commit_jobs([job(1, "b", "a"), job(2, "b", "b"), job(3, "a", "a"), deleted].map(created)).await;
    term.commit(|transaction| transaction.calendars.push(CalendarWrite::Put(calendar("c", "x")))).await;
    let expected = [("a", 1), ("b", 2), ("c", 0), ("d", 0)];
    let expected = expected.map(|(name, jobs)| Namespace { name: name.to_owned(), jobs });
    let page = |size, after: Option<&str>| Page { size, after: after.map(str::to_owned) };
    let all = term.ledger.namespaces(&page(9, None)).await.unwrap();
    assert_eq!(all, PageOf { items: expected.to_vec(), more: false });
    let some = term.ledger.namespaces(&page(2, Some("a"))).await.unwrap();
    assert_eq!(some, PageOf { items: expected[1..3].to_vec(), more: true });
}
