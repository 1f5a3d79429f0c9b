//! Reads of runs, attempts and logs.

use ledger::{LoggedChunk, Page, PageOf, RunFilter, StoredRun};
use scheduler_core::agent::{LogChunk, LogSource};
use scheduler_core::ids::{AgentId, AttemptId, RunId};
use scheduler_core::job::Job;
use scheduler_core::run::{Run, RunState, Trigger};
use scheduler_core::time::Timestamp;

use super::samples::{
    assigned, attempt, created, ended, full_attempt, full_run, job, labels, manual_run, run, run_id, seconds_after, uid,
};
use super::{Backend, Ledger, Term};

async fn list(ledger: &dyn Ledger, filter: &RunFilter) -> Vec<RunId> {
    let page = ledger.runs(filter, &Page { size: 100, after: None }).await.unwrap();
    assert!(!page.more);
    page.items.into_iter().map(|stored| stored.run.id).collect()
}

fn ids(numbers: &[u128]) -> Vec<RunId> {
    numbers.iter().map(|&n| run_id(n)).collect()
}

pub(crate) async fn runs_are_read_back_whole(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let job = job(1, "default", "a");
    let attempts = vec![full_attempt(2, "second"), full_attempt(3, "third")];
    let stored = StoredRun { run: full_run(1, &job), later_attempts: attempts.clone() };
    term.commit(|transaction| {
        transaction.jobs.push(created(job.clone()));
        transaction.entered = vec![stored.run.clone(), run(2, &job)];
        transaction.attempts = attempts.iter().rev().map(|attempt| (stored.run.id, attempt.clone())).collect();
    })
    .await;
    assert_eq!(term.ledger.run(run_id(1)).await.unwrap(), Some(stored.clone()));
    assert_eq!(term.ledger.run(run_id(9)).await.unwrap(), None);
    let page = term.ledger.runs(&RunFilter::default(), &Page { size: 10, after: None }).await.unwrap();
    let plain = StoredRun { run: run(2, &job), later_attempts: vec![] };
    assert_eq!(page, PageOf { items: vec![plain, stored], more: false });
}

pub(crate) async fn lists_of_runs_hold_what_the_filter_names(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let (a, b, other) = (job(1, "default", "a"), job(2, "default", "b"), job(3, "team-a", "a"));
    let labelled = Run { labels: labels(&[("k", "v"), ("l", "w")]), ..manual_run(2, &a) };
    term.commit(|transaction| {
        transaction.jobs = [&a, &b, &other].map(|job| created(job.clone())).into();
        transaction.entered = vec![
            run(1, &a),
            labelled,
            ended(assigned(run(3, &a), "x"), RunState::Failed),
            ended(assigned(run(4, &b), "x"), RunState::Succeeded),
            Run { state: RunState::Running, ..assigned(run(5, &other), "y") },
            ended(run(6, &b), RunState::Missed),
        ];
    })
    .await;
    let all = RunFilter::default;
    let default = || RunFilter { namespace: Some("default".to_owned()), ..all() };
    let of_job = |namespace: Option<&str>, job_id: &str| RunFilter {
        namespace: namespace.map(str::to_owned),
        job_id: Some(job_id.to_owned()),
        ..all()
    };
    let states = |states: &[RunState]| RunFilter { states: states.to_vec(), ..all() };
    let agent = |agent: &str| RunFilter { agent_id: Some(AgentId::from(agent)), ..all() };
    use RunState::{Failed, Missed, Pending, Running, Succeeded};
    let cases: [(&str, RunFilter, &[u128]); 21] = [
        ("all, the newest first", all(), &[6, 5, 4, 3, 2, 1]),
        ("a namespace", default(), &[6, 4, 3, 2, 1]),
        ("a job", of_job(Some("default"), "a"), &[3, 2, 1]),
        ("a job's name in all namespaces", of_job(None, "a"), &[5, 3, 2, 1]),
        ("no such job", of_job(Some("default"), "c"), &[]),
        ("a job of another namespace", of_job(Some("team-a"), "b"), &[]),
        ("unended", states(&[Pending, Running]), &[5, 2, 1]),
        ("one state", states(&[Running]), &[5]),
        ("failures", states(&[Failed, Missed]), &[6, 3]),
        ("ended and unended", states(&[Succeeded, Pending]), &[4, 2, 1]),
        ("a job's failures", RunFilter { states: vec![Failed], ..of_job(Some("default"), "a") }, &[3]),
        ("a namespace's unended", RunFilter { states: vec![Pending, Running], ..default() }, &[2, 1]),
        ("a trigger", RunFilter { triggers: vec![Trigger::Manual, Trigger::Retry], ..all() }, &[2]),
        ("an agent", agent("x"), &[4, 3]),
        ("an agent's failures", RunFilter { states: vec![Failed], ..agent("x") }, &[3]),
        ("an agent in a namespace", RunFilter { agent_id: Some(AgentId::from("y")), ..default() }, &[]),
        ("labels", RunFilter { labels: labels(&[("l", "w"), ("k", "v")]), ..all() }, &[2]),
        ("another label's value", RunFilter { labels: labels(&[("l", "v")]), ..all() }, &[]),
        ("from an instant on", RunFilter { scheduled_after: Some(seconds_after(4)), ..all() }, &[6, 5, 4]),
        ("before an instant", RunFilter { scheduled_before: Some(seconds_after(4)), ..all() }, &[3, 2, 1]),
        (
            "a half-open span of a job",
            RunFilter {
                scheduled_after: Some(seconds_after(2)),
                scheduled_before: Some(seconds_after(3)),
                ..of_job(Some("default"), "a")
            },
            &[2],
        ),
    ];
    for (name, filter, expected) in cases {
        assert_eq!(list(&*term.ledger, &filter).await, ids(expected), "{name}");
    }
}

pub(crate) async fn the_agent_of_a_run_is_that_of_its_latest_attempt(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let job = job(1, "default", "a");
    let on = |agent: &str| RunFilter { agent_id: Some(AgentId::from(agent)), ..RunFilter::default() };
    term.commit(|transaction| {
        transaction.jobs.push(created(job.clone()));
        transaction.entered.push(run(1, &job));
    })
    .await;
    let first = assigned(run(1, &job), "x");
    term.commit(|transaction| transaction.updated.push(first.clone())).await;
    assert_eq!(list(&*term.ledger, &on("x")).await, ids(&[1]), "handed out after it was entered");

    let second = Run { attempt: 2, ..first };
    term.commit(|transaction| {
        transaction.updated.push(second.clone());
        transaction.attempts.push((run_id(1), attempt(2, "y")));
    })
    .await;
    assert_eq!(list(&*term.ledger, &on("x")).await, ids(&[]));
    assert_eq!(list(&*term.ledger, &on("y")).await, ids(&[1]));

    // An update of the run alone, and a late change of an earlier attempt, leave that as it is.
    term.commit(|transaction| transaction.updated.push(ended(second.clone(), RunState::Succeeded))).await;
    assert_eq!(list(&*term.ledger, &on("y")).await, ids(&[1]));
    let third = Run { attempt: 3, ..second };
    term.commit(|transaction| {
        transaction.updated.push(third);
        transaction.attempts = vec![(run_id(1), attempt(3, "z")), (run_id(1), full_attempt(2, "y"))];
    })
    .await;
    assert_eq!(list(&*term.ledger, &on("y")).await, ids(&[]));
    assert_eq!(list(&*term.ledger, &on("z")).await, ids(&[1]));
}

pub(crate) async fn pages_of_runs_neither_skip_nor_repeat(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let old = Job { delete_time: Some(seconds_after(1)), ..job(1, "default", "a") };
    let (new, other) = (job(2, "default", "a"), job(3, "default", "b"));
    term.commit(|transaction| {
        transaction.jobs = [&old, &new, &other].map(|job| created(job.clone())).into();
        transaction.entered = (1..=30).map(|n| run(n, [&old, &new, &other][n as usize % 3])).collect();
    })
    .await;
    let of_job =
        RunFilter { namespace: Some("default".to_owned()), job_id: Some("a".to_owned()), ..RunFilter::default() };
    for (filter, count) in [(RunFilter::default(), 30), (of_job, 20)] {
        let expected = list(&*term.ledger, &filter).await;
        assert!(expected.len() >= count);
        for size in [1, 7, 10, 30] {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let PageOf { items, more } = term.ledger.runs(&filter, &Page { size, after }).await.unwrap();
                assert!(items.len() <= size as usize);
                seen.extend(items.iter().map(|stored| stored.run.id));
                after = seen.last().copied();
                if !more {
                    break;
                }
                // What is entered meanwhile is newer and on no later page.
                let late = 1_000 + seen.len() as u128 + 100 * u128::from(size) + 10_000 * count as u128;
                let newer = Run { id: RunId::at(seconds_after(1), late), ..manual_run(late, &new) };
                term.commit(|transaction| transaction.entered.push(newer)).await;
            }
            let seen: Vec<RunId> = seen.into_iter().filter(|id| expected.contains(id)).collect();
            assert_eq!(seen, expected, "pages of {size}");
        }
    }
}

pub(crate) async fn the_history_of_a_name_includes_deleted_jobs(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let old = Job { delete_time: Some(seconds_after(1)), ..job(1, "default", "a") };
    let new = job(2, "default", "a");
    term.commit(|transaction| {
        transaction.jobs = [&old, &new].map(|job| created(job.clone())).into();
        // In turn, as an old job's run that outlives it is retried.
        transaction.entered = vec![run(1, &old), run(2, &new), run(3, &old), run(4, &new)];
    })
    .await;
    let history =
        RunFilter { namespace: Some("default".to_owned()), job_id: Some("a".to_owned()), ..RunFilter::default() };
    assert_eq!(list(&*term.ledger, &history).await, ids(&[4, 3, 2, 1]));
}

pub(crate) async fn the_last_run_of_each_job_is_found(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let (a, b, idle) = (job(1, "default", "a"), job(2, "default", "b"), job(3, "default", "idle"));
    // The newest by entry, not by scheduled time.
    let newest = Run { scheduled_time: Timestamp::from_secs(5), ..manual_run(3, &a) };
    let missed = ended(run(4, &b), RunState::Missed);
    term.commit(|transaction| {
        transaction.jobs = [&a, &b, &idle].map(|job| created(job.clone())).into();
        transaction.entered = vec![run(1, &a), run(2, &b), newest.clone(), missed.clone()];
    })
    .await;
    let last = term.ledger.last_runs(&[a.uid, b.uid, idle.uid, uid(9)]).await.unwrap();
    assert_eq!(last, [(a.uid, newest), (b.uid, missed.clone())].into());
    assert_eq!(term.ledger.last_runs(&[b.uid]).await.unwrap(), [(b.uid, missed)].into());
    assert_eq!(term.ledger.last_runs(&[]).await.unwrap(), [].into());
}

pub(crate) async fn logs_are_read_in_order(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let job = job(1, "default", "a");
    let sent = |attempt: u32, sequence: u64| LogChunk {
        attempt: AttemptId { run: run_id(1), number: attempt },
        sequence,
        source: if sequence.is_multiple_of(2) { LogSource::Stderr } else { LogSource::Stdout },
        time: seconds_after(sequence),
        data: format!("{attempt}/{sequence}\0\u{fffd}").into_bytes(),
        cut_bytes: sequence * 10,
    };
    let order = [(1, 1), (1, 2), (1, 10), (2, 1), (2, 3), (10, 1)];
    term.commit(|transaction| {
        transaction.jobs.push(created(job.clone()));
        transaction.entered = vec![run(1, &job), run(2, &job)];
        transaction.logs = order.iter().rev().map(|&(attempt, sequence)| sent(attempt, sequence)).collect();
        let other = AttemptId { run: run_id(2), number: 1 };
        transaction.logs.push(LogChunk { attempt: other, ..sent(1, 5) });
    })
    .await;
    let read = |(attempt, sequence): (u32, u64)| {
        let LogChunk { source, time, data, cut_bytes, .. } = sent(attempt, sequence);
        LoggedChunk { attempt, sequence, source, time, data, cut_bytes }
    };
    let all: Vec<LoggedChunk> = order.into_iter().map(read).collect();
    let logs = |after, size| term.ledger.logs(run_id(1), after, size);
    assert_eq!(logs(None, 10).await.unwrap(), PageOf { items: all.clone(), more: false });
    assert_eq!(logs(None, 2).await.unwrap(), PageOf { items: all[..2].to_vec(), more: true });
    assert_eq!(logs(Some((1, 2)), 3).await.unwrap(), PageOf { items: all[2..5].to_vec(), more: true });
    assert_eq!(logs(Some((1, 3)), 100).await.unwrap(), PageOf { items: all[2..].to_vec(), more: false });
    assert_eq!(logs(Some((10, 1)), 1).await.unwrap(), PageOf { items: vec![], more: false });
}

pub(crate) async fn a_ledger_answers_before_it_has_a_leader(backend: &dyn Backend) {
    let ledger = backend.connect().await;
    ledger.ping().await.unwrap();
    assert_eq!(list(&*ledger, &RunFilter::default()).await, []);
    assert_eq!(ledger.count_jobs().await.unwrap(), 0);
}
