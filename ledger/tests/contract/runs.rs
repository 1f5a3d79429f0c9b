//! Reads of runs, attempts and logs.

use std::collections::BTreeMap;
use std::time::Duration;

use ledger::{Bucket, LoggedChunk, Page, PageOf, Quantiles, RunFilter, Since, Span, StateCount, StoredRun};
use scheduler_core::agent::{LogChunk, LogSource};
use scheduler_core::ids::{AgentId, AttemptId, RunId};
use scheduler_core::job::Job;
use scheduler_core::run::{AttemptState, Run, RunState, Trigger};
use scheduler_core::time::Timestamp;
use scheduler_core::txn::LateOutcome;

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
    let stored = StoredRun { run: full_run(1, &job), later_attempts: attempts.clone(), late_outcomes: BTreeMap::new() };
    term.commit(|transaction| {
        transaction.jobs.push(created(job.clone()));
        transaction.entered = vec![stored.run.clone(), run(2, &job)];
        transaction.attempts = attempts.iter().rev().map(|attempt| (stored.run.id, attempt.clone())).collect();
    })
    .await;
    assert_eq!(term.ledger.run(run_id(1)).await.unwrap(), Some(stored.clone()));
    assert_eq!(term.ledger.run(run_id(9)).await.unwrap(), None);
    let page = term.ledger.runs(&RunFilter::default(), &Page { size: 10, after: None }).await.unwrap();
    let plain = StoredRun { run: run(2, &job), later_attempts: vec![], late_outcomes: BTreeMap::new() };
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
    let query = |query: &str| RunFilter { query: query.to_owned(), ..all() };
    let cases: [(&str, RunFilter, &[u128]); 26] = [
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
        ("a prefix", query("b"), &[6, 4]),
        ("a prefix in a namespace", RunFilter { namespace: Some("team-a".to_owned()), ..query("a") }, &[5]),
        ("a prefix of nothing", query("ab"), &[]),
        (
            "triggers and the schedule",
            RunFilter { triggers: vec![Trigger::Manual, Trigger::Schedule], ..query("a") },
            &[5, 3, 2, 1],
        ),
        ("an agent's since an instant", RunFilter { scheduled_after: Some(seconds_after(4)), ..agent("x") }, &[4]),
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

pub(crate) async fn runs_that_may_have_changed_are_found(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let (a, b) = (job(1, "default", "a"), job(2, "default", "b"));
    let ended = |n, second, job| Run { end_time: Some(seconds_after(second)), ..ended(run(n, job), RunState::Failed) };
    term.commit(|transaction| {
        transaction.jobs = [&a, &b].map(|job| created(job.clone())).into();
        transaction.entered = vec![run(1, &a), ended(2, 9, &a), ended(3, 10, &a), run(4, &b), ended(5, 11, &b)];
    })
    .await;
    let since = |n| Some(Since { floor: run_id(n), ended: seconds_after(10) });
    let changed = |n| RunFilter { changed_since: since(n), ..RunFilter::default() };
    assert_eq!(list(&*term.ledger, &changed(1)).await, ids(&[5, 4, 3, 1]));
    assert_eq!(list(&*term.ledger, &changed(4)).await, ids(&[5, 4]));
    let of_job = RunFilter { job_id: Some("a".to_owned()), namespace: Some("default".to_owned()), ..changed(2) };
    assert_eq!(list(&*term.ledger, &of_job).await, ids(&[3]));
    let page = Page { size: 2, after: Some(run_id(5)) };
    let found = term.ledger.runs(&changed(1), &page).await.unwrap();
    assert_eq!(found.items.iter().map(|stored| stored.run.id).collect::<Vec<_>>(), ids(&[4, 3]));
    assert!(found.more);

    for (floor, most, counted) in [(1, 100, 5), (3, 100, 3), (1, 2, 2), (6, 100, 0)] {
        assert_eq!(term.ledger.count_runs_from(run_id(floor), most).await.unwrap(), counted, "{floor} {most}");
    }
    let asked = ids(&[4, 9, 2]);
    let found = term.ledger.runs_by_id(&asked).await.unwrap();
    assert_eq!(found.iter().map(|stored| stored.run.id).collect::<Vec<_>>(), ids(&[2, 4]));
    assert_eq!(term.ledger.run(run_id(2)).await.unwrap().as_ref(), found.first());
    assert_eq!(term.ledger.runs_by_id(&[]).await.unwrap(), []);
}

pub(crate) async fn a_run_entered_ahead_of_its_time_is_found_by_its_time(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let job = job(1, "default", "a");
    let ahead = Run { scheduled_time: seconds_after(3_600), ..manual_run(1, &job) };
    let now = Run { id: RunId::at(seconds_after(3_000), 2), decided_at: seconds_after(3_000), ..run(3_000, &job) };
    term.commit(|transaction| {
        transaction.jobs.push(created(job.clone()));
        transaction.entered = vec![ahead.clone(), now.clone()];
    })
    .await;
    for (after, expected) in [(2_000, vec![now.id, ahead.id]), (3_500, vec![ahead.id]), (3_601, vec![])] {
        let namespace = Some("default".to_owned());
        let filter = RunFilter { namespace, scheduled_after: Some(seconds_after(after)), ..RunFilter::default() };
        assert_eq!(list(&*term.ledger, &filter).await, expected, "{after}");
        for size in [1, 2] {
            let page = term.ledger.runs(&filter, &Page { size, after: None }).await.unwrap();
            assert_eq!(page.more, expected.len() > size as usize);
        }
    }
}

pub(crate) async fn the_prefix_of_many_jobs_finds_their_runs(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let jobs: Vec<Job> = (1..=80).map(|n| job(n, "default", &format!("job-{n}"))).collect();
    term.commit(|transaction| {
        transaction.jobs = jobs.iter().cloned().map(created).collect();
        transaction.entered = (1..=80).map(|n| run(n, &jobs[n as usize - 1])).collect();
    })
    .await;
    let query = |query: &str| RunFilter { query: query.to_owned(), ..RunFilter::default() };
    assert_eq!(list(&*term.ledger, &query("job-")).await.len(), 80, "too many to look at each");
    assert_eq!(list(&*term.ledger, &query("job-7")).await.len(), 11);
}

pub(crate) async fn what_is_said_too_late_is_kept_with_its_attempt(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let job = job(1, "default", "a");
    let mut first = assigned(run(1, &job), "x");
    first.first_attempt.as_mut().unwrap().state = AttemptState::Lost;
    let second = scheduler_core::run::Attempt { state: AttemptState::Lost, ..attempt(2, "y") };
    let note = |number, outcome: &str| LateOutcome {
        attempt: AttemptId { run: run_id(1), number },
        outcome: outcome.to_owned(),
        time: seconds_after(9),
    };
    term.commit(|transaction| {
        transaction.jobs.push(created(job.clone()));
        transaction.entered = vec![Run { attempt: 2, ..first }];
        transaction.attempts.push((run_id(1), second));
        transaction.late_outcomes = vec![note(1, "SUCCEEDED"), note(2, "FAILED EXIT_1")];
    })
    .await;
    let stored = term.ledger.run(run_id(1)).await.unwrap().unwrap();
    assert_eq!(stored.late_outcomes, [(1, "SUCCEEDED".to_owned()), (2, "FAILED EXIT_1".to_owned())].into());
}

pub(crate) async fn stats_count_and_measure_the_runs_of_a_span(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let (a, other) = (job(1, "default", "a"), job(2, "team-a", "b"));
    let ran = |n: u128, job: &Job, seconds: u64| {
        let run = ended(assigned(run(n, job), "x"), RunState::Succeeded);
        let start = run.not_before.saturating_add(Duration::from_millis(10));
        let mut run = Run { end_time: Some(start.saturating_add(Duration::from_secs(seconds))), ..run };
        run.first_attempt.as_mut().unwrap().start_time = Some(start);
        Run { start_time: Some(start), ..run }
    };
    let missed = Run { coalesced_count: 7, ..ended(run(130, &a), RunState::Missed) };
    term.commit(|transaction| {
        transaction.jobs = [&a, &other].map(|job| created(job.clone())).into();
        transaction.entered = vec![ran(10, &a, 1), ran(20, &a, 3), ran(70, &a, 2), missed, ran(30, &other, 50)];
    })
    .await;
    let count = |state, runs, fires| StateCount { state, runs, fires };
    let span = Span {
        namespace: Some("default".to_owned()),
        job_id: None,
        start: seconds_after(0),
        end: seconds_after(1_000),
        bucket: Some(Duration::from_secs(60)),
    };
    let second = Duration::from_secs(1);
    for job_id in [None, Some("a".to_owned())] {
        let stats = term.ledger.run_stats(&Span { job_id, ..span.clone() }).await.unwrap();
        assert_eq!(stats.counts, [count(RunState::Succeeded, 3, 3), count(RunState::Missed, 1, 7)]);
        let quantiles = Quantiles { p50: second * 2, p95: second * 3, p99: second * 3, max: second * 3 };
        assert_eq!(stats.duration, Some(quantiles));
        assert_eq!(stats.lateness.unwrap().max, Duration::from_millis(10));
        let buckets = [
            (0, count(RunState::Succeeded, 2, 2)),
            (60, count(RunState::Succeeded, 1, 1)),
            (120, count(RunState::Missed, 1, 7)),
        ];
        let buckets = buckets.map(|(start, count)| Bucket { start: seconds_after(start), counts: vec![count] });
        assert_eq!(stats.buckets, buckets);
    }
    let ledger = &term.ledger;
    let of = |span: Span| async move { ledger.run_stats(&span).await.unwrap() };
    let half_open = Span { start: seconds_after(20), end: seconds_after(70), bucket: None, ..span.clone() };
    assert_eq!(of(half_open).await.counts, [count(RunState::Succeeded, 1, 1)]);
    assert_eq!(of(Span { namespace: None, ..span.clone() }).await.counts[0], count(RunState::Succeeded, 4, 4));
    let nothing = of(Span { job_id: Some("b".to_owned()), ..span }).await;
    assert_eq!((nothing.counts.len(), nothing.duration, nothing.buckets.len()), (0, None, 0));
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
