//! What a new leader reads is what the last one wrote (PROTOCOL.md, rules 6, 12).

use std::time::Duration;

use scheduler_core::agent::Cordon;
use scheduler_core::ids::{AgentId, JobUid, RunId};
use scheduler_core::job::{Counts, Job};
use scheduler_core::run::{Run, RunState};
use scheduler_core::time::Timestamp;
use scheduler_core::txn::{CalendarWrite, Change, CordonWrite, JobWrite, Known, Tally};

use super::samples::{
    NOW, assigned, attempt, calendar, changed, created, ended, full_attempt, full_job, full_run, job, manual_run, run,
    run_id, seconds_after,
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
        let mut covered = term.ledger.load(term.epoch(), since, None).await.unwrap().covered;
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

fn update(job: &Job, change_seq: i64) -> JobWrite {
    let job = Job { revision: job.revision + 1, change_seq, ..job.clone() };
    JobWrite { change: Change::Update, ..created(job) }
}

pub(crate) async fn changes_are_read_in_their_order_a_page_at_a_time_and_calendars_with_each(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let jobs = [job(1, "default", "a"), job(2, "default", "b"), job(3, "default", "c"), job(4, "default", "d")];
    let holidays = calendar("default", "holidays");
    term.commit_jobs(jobs.iter().cloned().map(created)).await;
    term.commit(|transaction| transaction.calendars.push(CalendarWrite::Put(holidays.clone()))).await;
    // The first is the last to have changed, and the second is deleted.
    let deleted = Job { delete_time: Some(NOW), ..jobs[1].clone() };
    term.commit_jobs([update(&deleted, 6), update(&jobs[0], 7)]).await;
    let numbers = |above, most| {
        let ledger = &term.ledger;
        let holidays = &holidays;
        async move {
            let read = ledger.load_changes(above, most).await.unwrap();
            assert_eq!(read.calendars, std::slice::from_ref(holidays));
            (read.jobs.iter().map(|job| job.change_seq).collect::<Vec<_>>(), read.more)
        }
    };
    assert_eq!(numbers(0, 10).await, (vec![3, 4, 6, 7], false));
    assert_eq!(numbers(0, 2).await, (vec![3, 4], true));
    assert_eq!(numbers(4, 3).await, (vec![6, 7], false));
    assert_eq!(numbers(7, 3).await, (vec![], false));
    let read = term.ledger.load_changes(4, 1).await.unwrap();
    assert_eq!(read.jobs, [update(&deleted, 6).job]);
}

pub(crate) async fn who_knows_jobs_loads_those_that_changed_since_and_the_counts_of_others(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let (a, b, c) = (job(1, "default", "a"), job(2, "default", "b"), job(3, "default", "c"));
    let holidays = calendar("default", "holidays");
    let mine = Run { covers_from: Some(NOW), occurrence: 0, ..run(1, &a) };
    term.commit(|transaction| {
        transaction.jobs = [&a, &b, &c].map(|job| created(job.clone())).into();
        transaction.calendars.push(CalendarWrite::Put(holidays.clone()));
        transaction.entered.push(mine.clone());
    })
    .await;
    let known = Known { up_to: 3, counted: vec![a.uid, c.uid] };
    let loaded = term.load_since(&known).await;
    assert_eq!(loaded.jobs, []);
    assert_eq!(loaded.calendars, std::slice::from_ref(&holidays));
    assert_eq!(loaded.unended, [(mine, None)]);
    assert_eq!(loaded.last_change_seq, 3);

    // A count is no change; what is counted of others is not asked about.
    let counted = |fires, failures| Counts { fires, failures };
    term.commit_jobs([update(&b, 9)]).await;
    term.commit(|transaction| transaction.counts = vec![(a.uid, counted(7, 1)), (b.uid, counted(8, 2))]).await;
    let loaded = term.load_since(&known).await;
    assert_eq!(loaded.jobs, [Job { counts: counted(8, 2), ..update(&b, 9).job }]);
    let mut counts = loaded.since.unwrap().counts;
    counts.sort_by_key(|(uid, _)| *uid);
    assert_eq!(counts, [(a.uid, counted(7, 1)), (c.uid, counted(0, 0))]);
    assert!(term.load().await.since.is_none(), "who knows nothing reads all there is");
}

pub(crate) async fn what_a_leader_knows_of_jobs_is_told_from_another_history_by_what_they_add_up_to(
    backend: &dyn Backend,
) {
    let term = Term::begin(backend).await;
    let tally = || async {
        let loaded = term.load_since(&Known { up_to: i64::MAX, counted: Vec::new() }).await;
        let since = loaded.since.unwrap();
        (since.tally, since.expired_until)
    };
    let of = |changes: &[i64]| {
        let mut tally = Tally::default();
        changes.iter().for_each(|change| tally.add(*change));
        tally
    };
    let expiry = Duration::from_secs(30 * 24 * 3600);
    assert_eq!(tally().await, (of(&[]), NOW.saturating_sub(expiry)));
    // As large as numbers of changes are.
    let large = |n: i64| (1_i64 << 61) + n;
    let numbered = |n: u128, change_seq| Job { change_seq, ..job(n, "default", &format!("job-{n}")) };
    let (a, b) = (numbered(1, large(1)), numbered(2, large(u32::MAX.into())));
    let deleted = Job { delete_time: Some(NOW), ..numbered(3, large(3)) };
    term.commit_jobs([&a, &b, &deleted].map(|job| created(job.clone()))).await;
    assert_eq!(tally().await.0, of(&[large(1), large(u32::MAX.into()), large(3)]));
    term.commit_jobs([update(&a, large(4))]).await;
    assert_eq!(tally().await.0, of(&[large(4), large(u32::MAX.into()), large(3)]));
    let expired = NOW.saturating_add(expiry);
    backend.set_clock(expired).await;
    assert_eq!(tally().await, (of(&[large(4), large(u32::MAX.into())]), NOW));
}
