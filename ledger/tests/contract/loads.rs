//! What a new leader reads is what the last one wrote (PROTOCOL.md, rules 6, 12).

use std::time::Duration;

use scheduler_core::agent::Cordon;
use scheduler_core::ids::{AgentId, JobUid, RunId};
use scheduler_core::job::Job;
use scheduler_core::run::{Run, RunState};
use scheduler_core::time::Timestamp;
use scheduler_core::txn::{Change, CordonWrite, JobWrite};

use super::samples::{
    NOW, assigned, attempt, changed, created, ended, full_attempt, full_job, full_run, job, manual_run, run, run_id,
    seconds_after,
};
use super::{Backend, Term};

pub(crate) async fn jobs_come_back_as_they_were_committed(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let (plain, full) = (job(1, "default", "a"), full_job(2));
    term.commit_jobs([created(plain.clone()), created(full.clone())]).await;
    let loaded = term.load().await;
    assert_eq!(loaded.jobs.len(), 2);
    assert!(loaded.jobs.contains(&plain));
    assert!(loaded.jobs.contains(&full));
    assert_eq!(loaded.last_change_seq, 77);

    // From every field set to none, and the other way round.
    let emptied = Job { uid: full.uid, key: full.key.clone(), change_seq: 78, ..job(2, "", "") };
    let filled = Job { uid: plain.uid, key: plain.key.clone(), ..full };
    let update = |job: &Job| JobWrite { change: Change::Update, ..created(job.clone()) };
    term.commit_jobs([update(&emptied), update(&filled)]).await;
    let loaded = term.load().await;
    assert_eq!(loaded.jobs.len(), 2);
    assert!(loaded.jobs.contains(&emptied), "{:?}", loaded.jobs);
    assert!(loaded.jobs.contains(&filled), "{:?}", loaded.jobs);
    assert_eq!(loaded.last_change_seq, 78);
}

pub(crate) async fn cordons_stay_until_they_are_lifted(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let cordon = |note: &str| Cordon { note: note.to_owned(), author: "ops".to_owned(), time: NOW };
    let write = |agent: &str, cordon| CordonWrite { agent: AgentId::from(agent), cordon };
    let both = vec![write("a", Some(cordon("why"))), write("b", Some(cordon("")))];
    term.commit(|transaction| transaction.cordons = both.clone()).await;
    term.commit(|transaction| transaction.cordons = both).await;
    let loaded = || async { term.load().await.cordons };
    assert_eq!(loaded().await, [(AgentId::from("a"), cordon("why")), (AgentId::from("b"), cordon(""))]);
    let changes = vec![write("a", Some(cordon("again"))), write("b", None), write("c", None)];
    term.commit(|transaction| transaction.cordons = changes).await;
    assert_eq!(loaded().await, [(AgentId::from("a"), cordon("again"))]);
}

pub(crate) async fn runs_come_back_as_they_were_committed(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let job = job(1, "default", "a");
    let (plain, full) = (run(1, &job), full_run(2, &job));
    term.commit(|transaction| {
        transaction.jobs.push(created(job.clone()));
        transaction.entered = vec![plain.clone(), full.clone()];
    })
    .await;
    assert_eq!(term.load().await.unended, [(plain.clone(), None), (full.clone(), None)]);

    let (filled, altered) = (changed(&plain), changed(&full));
    term.commit(|transaction| transaction.updated = vec![filled.clone(), altered.clone()]).await;
    assert_eq!(term.load().await.unended, [(filled, None), (altered, None)]);

    let emptied = Run { id: full.id, ..full.clone() };
    let emptied = Run {
        reason: None,
        reason_message: String::new(),
        next_attempt_time: None,
        first_attempt: None,
        payload: None,
        cancel_requested_time: None,
        start_time: None,
        end_time: None,
        progress: None,
        result: None,
        error: None,
        exit_code: None,
        ..emptied
    };
    term.commit(|transaction| transaction.updated = vec![plain.clone(), emptied.clone()]).await;
    assert_eq!(term.load().await.unended, [(plain, None), (emptied, None)]);
}

pub(crate) async fn only_unended_runs_are_loaded(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let job = job(1, "default", "a");
    let in_state = |n: usize, state| Run { state, ..run(n as u128 + 1, &job) };
    let runs: Vec<Run> = RunState::ALL.iter().enumerate().map(|(n, &state)| in_state(n, state)).collect();
    term.commit(|transaction| {
        transaction.jobs.push(created(job.clone()));
        transaction.entered.clone_from(&runs);
    })
    .await;
    let unended: Vec<_> = runs.into_iter().filter(|run| !run.state.is_ended()).map(|run| (run, None)).collect();
    assert_eq!(unended.len(), 2);
    assert_eq!(term.load().await.unended, unended);
    let over = ended(unended[0].0.clone(), RunState::Succeeded);
    term.commit(|transaction| transaction.updated.push(over)).await;
    assert_eq!(term.load().await.unended, unended[1..]);
}

pub(crate) async fn unended_runs_come_with_their_latest_attempt(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let job = job(1, "default", "a");
    let never = run(1, &job);
    let once = assigned(run(2, &job), "one");
    let thrice = Run { attempt: 3, ..assigned(run(3, &job), "one") };
    term.commit(|transaction| {
        transaction.jobs.push(created(job.clone()));
        transaction.entered = vec![never.clone(), once.clone(), thrice.clone()];
        transaction.attempts = vec![(run_id(3), full_attempt(2, "two")), (run_id(3), attempt(3, "three"))];
    })
    .await;
    let loaded = term.load().await.unended;
    assert_eq!(loaded, [(never.clone(), None), (once.clone(), None), (thrice.clone(), Some(attempt(3, "three")))]);

    let third = full_attempt(3, "three");
    term.commit(|transaction| transaction.attempts.push((run_id(3), third.clone()))).await;
    assert_eq!(term.load().await.unended, [(never, None), (once, None), (thrice, Some(third))]);
}

pub(crate) async fn covered_instants_are_those_of_rows_entered_since(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let (a, b, c) = (job(1, "default", "a"), job(2, "default", "b"), job(3, "default", "c"));
    let entered_at = |seconds: u64, run: Run| Run { id: RunId::at(seconds_after(seconds), run.id.0.as_u128()), ..run };
    term.commit(|transaction| {
        transaction.jobs = [&a, &b, &c].map(|job| created(job.clone())).into();
        transaction.entered = vec![
            // Later instants of `a` and `c` were entered earlier.
            entered_at(1, run(50, &a)),
            entered_at(2, ended(run(10, &a), RunState::Missed)),
            entered_at(3, run(11, &a)),
            entered_at(2, ended(run(20, &b), RunState::Succeeded)),
            entered_at(3, manual_run(60, &b)),
            entered_at(1, run(70, &c)),
        ];
    })
    .await;
    let covered = |since: Timestamp| async move {
        let mut covered = term.ledger.load(term.epoch(), since).await.unwrap().covered;
        covered.sort();
        covered
    };
    let mut expected: Vec<(JobUid, Timestamp)> = vec![(a.uid, seconds_after(11)), (b.uid, seconds_after(20))];
    expected.sort();
    assert_eq!(covered(seconds_after(2)).await, expected);
}

pub(crate) async fn deleted_jobs_are_loaded_until_they_expire(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let deleted = Job { delete_time: Some(NOW), change_seq: 9, ..job(1, "default", "a") };
    let live = job(2, "default", "b");
    term.commit_jobs([created(deleted.clone()), created(live.clone())]).await;
    let expiry = NOW.saturating_add(Duration::from_secs(30 * 24 * 3600));
    backend.set_clock(expiry.saturating_sub(Duration::from_micros(1))).await;
    assert_eq!(term.load().await.jobs.len(), 2);
    backend.set_clock(expiry).await;
    let loaded = term.load().await;
    assert_eq!(loaded.jobs, [live]);
    assert_eq!(loaded.last_change_seq, 9, "numbers of changes must not be used again");
}

pub(crate) async fn one_job_is_loaded_like_all_and_without_the_others(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let (one, other) = (job(1, "default", "a"), job(2, "default", "b"));
    let mine = Run { covers_from: Some(NOW), occurrence: 0, ..run(1, &one) };
    let retried = Run { attempt: 2, ..manual_run(2, &one) };
    let second = attempt(2, "agent");
    term.commit(|transaction| {
        transaction.jobs = vec![created(one.clone()), created(other.clone())];
        transaction.entered = vec![mine.clone(), retried.clone(), run(3, &other)];
        transaction.attempts = vec![(retried.id, second.clone())];
    })
    .await;
    let since = NOW.saturating_sub(Duration::from_secs(60));
    let loaded = term.ledger.load_job(term.epoch(), one.uid, since).await.unwrap();
    assert_eq!(loaded.jobs, std::slice::from_ref(&one));
    assert_eq!(loaded.covered, [(one.uid, mine.scheduled_time)]);
    assert_eq!(loaded.unended, [(mine, None), (retried, Some(second))]);
    let nobody = term.ledger.load_job(term.epoch(), super::samples::uid(9), since).await.unwrap();
    assert!(nobody.jobs.is_empty() && nobody.unended.is_empty());
}
