//! Terms of leaders: epochs, tokens, the fence and the clock (PROTOCOL.md, rules 4, 6, 12, 19).

use std::time::Duration;

use scheduler_core::ids::{AttemptId, Epoch, FencingToken, RunId};
use scheduler_core::time::Timestamp;
use scheduler_core::txn::{Election, Failure, LateOutcome, Survey, TakeOver, Transaction};

use super::samples::{self, NOW, assigned, created, full_attempt, job, request, run, seconds_after};
use super::{Backend, Term, take_over};

pub(crate) async fn a_new_ledger_begins_at_its_own_clock(backend: &dyn Backend) {
    let began = Term::begin(backend).await.began;
    assert_eq!(began.watermark, NOW);
    assert_eq!(began.epoch, Epoch(NOW.as_millis()));
    assert_eq!(began.longest_agent_ttl, Duration::from_secs(10));
    assert!(began.token_ceiling >= FencingToken::nth(began.epoch, 1), "the new leader could hand nothing out");
}

pub(crate) async fn epochs_and_tokens_grow_when_the_clock_steps_back(backend: &dyn Backend) {
    let first = Term::begin(backend).await.began;
    backend.set_clock(NOW.saturating_sub(Duration::from_secs(3600))).await;
    let second = Term::begin(backend).await.began;
    assert!(second.epoch > first.epoch, "{:?} after {:?}", second.epoch, first.epoch);
    assert!(FencingToken::nth(second.epoch, 0) > first.token_ceiling);
    assert!(second.token_ceiling > first.token_ceiling);
    assert_eq!(second.watermark, first.watermark, "a take-over must not move the watermark");
}

pub(crate) async fn an_epoch_is_above_the_tokens_of_the_last(backend: &dyn Backend) {
    let first = Term::begin(backend).await;
    // So many attempts that their count has run into the epoch's bits.
    let ceiling = FencingToken::nth(first.epoch(), 5 << 20);
    first.commit(|transaction| transaction.token_ceiling = Some(ceiling)).await;
    let second = Term::begin(backend).await.began;
    assert!(FencingToken::nth(second.epoch, 0) > ceiling);
}

pub(crate) async fn the_longest_agent_ttl_is_never_forgotten(backend: &dyn Backend) {
    let ledger = backend.connect().await;
    let ttl = |seconds| TakeOver { agent_ttl: Duration::from_secs(seconds), ..take_over("a") };
    for (own, longest) in [(20, 20), (60, 60), (10, 60)] {
        let began = ledger.take_over(&ttl(own)).await.unwrap();
        assert_eq!(began.longest_agent_ttl, Duration::from_secs(longest));
    }
}

pub(crate) async fn a_survey_tells_the_ledgers_clock_and_the_last_leaders_schedule_version(backend: &dyn Backend) {
    let ledger = backend.connect().await;
    let clock = seconds_after(3);
    backend.set_clock(clock).await;
    let nothing =
        Survey { ledger_time: clock, schedule_version: None, longest_agent_ttl: Duration::ZERO, watermark: None };
    assert_eq!(ledger.survey().await.unwrap(), nothing);
    for (version, own, longest) in [("2026a-001", 20, 20), ("2025b-001", 10, 20)] {
        let agent_ttl = Duration::from_secs(own);
        let take_over = TakeOver { schedule_version: version.to_owned(), agent_ttl, ..take_over("a") };
        ledger.take_over(&take_over).await.unwrap();
        let longest_agent_ttl = Duration::from_secs(longest);
        let schedule_version = Some(version.to_owned());
        let watermark = Some(clock);
        let expected = Survey { ledger_time: clock, schedule_version, longest_agent_ttl, watermark };
        assert_eq!(ledger.survey().await.unwrap(), expected);
    }
}

pub(crate) async fn who_was_elected_before_the_last_leader_does_not_take_over(backend: &dyn Backend) {
    let ledger = backend.connect().await;
    let election = |coordinator: &str, revision| Election { coordinator: coordinator.to_owned(), revision };
    let elected =
        |coordinator: &str, revision| TakeOver { election: Some(election(coordinator, revision)), ..take_over("a") };
    let first = ledger.take_over(&elected("etcd", 7)).await.unwrap();
    let refused = ledger.take_over(&elected("etcd", 6)).await;
    assert_eq!(refused, Err(Failure::LaterElection(election("etcd", 7))));
    ledger.commit(&Transaction::new(first.epoch, NOW)).await.expect("because nobody has taken over");
    // Whoever asks again because it did not hear the answer, and who was elected later.
    ledger.take_over(&elected("etcd", 7)).await.unwrap();
    ledger.take_over(&elected("etcd", 8)).await.unwrap();
    // Another coordinator's revisions say nothing.
    ledger.take_over(&elected("rebuilt", 3)).await.unwrap();
}

pub(crate) async fn an_election_of_a_new_history_replaces_the_one_that_it_judged_and_no_other(backend: &dyn Backend) {
    let ledger = backend.connect().await;
    let election = |revision| Some(Election { coordinator: "etcd".to_owned(), revision });
    let elected = |revision, instead_of| TakeOver { election: election(revision), instead_of, ..take_over("a") };
    ledger.take_over(&elected(70, None)).await.unwrap();
    ledger.take_over(&elected(80, None)).await.unwrap();
    let refused = ledger.take_over(&elected(5, election(70))).await;
    assert_eq!(refused, Err(Failure::LaterElection(election(80).unwrap())));
    ledger.take_over(&elected(5, election(80))).await.unwrap();
    ledger.take_over(&elected(6, None)).await.unwrap();
}

pub(crate) async fn a_deposed_leader_writes_nothing(backend: &dyn Backend) {
    let old = Term::begin(backend).await;
    let job = job(1, "default", "a");
    old.commit(|transaction| {
        transaction.jobs.push(created(job.clone()));
        transaction.entered.push(assigned(run(1, &job), "agent"));
    })
    .await;
    let new = Term::begin(backend).await;
    let before = new.load().await;

    let mut everything = old.transaction();
    everything.requests.push(request("r"));
    everything.jobs.push(created(samples::job(2, "default", "b")));
    everything.entered.push(run(2, &job));
    everything.updated.push(assigned(run(1, &job), "other"));
    everything.attempts.push((samples::run_id(1), full_attempt(2, "other")));
    everything.watermark = Some(seconds_after(1));
    everything.token_ceiling = Some(FencingToken(i64::MAX));
    let refused = old.ledger.commit(&everything).await;
    assert_eq!(refused, Err(Failure::Deposed { current: new.epoch() }));

    assert_eq!(new.load().await, before);
    assert_eq!(new.ledger.find_requests(&[request("r").key]).await, Ok(vec![]));
    let third = Term::begin(backend).await.began;
    assert_eq!(third.watermark, NOW);
    assert!(third.token_ceiling < FencingToken(i64::MAX));
}

pub(crate) async fn a_deposed_leader_loads_nothing(backend: &dyn Backend) {
    let old = Term::begin(backend).await;
    let new = Term::begin(backend).await;
    let refused = old.ledger.load(old.epoch(), Timestamp::from_micros(0), None).await;
    assert_eq!(refused, Err(Failure::Deposed { current: new.epoch() }));
}

pub(crate) async fn nobody_writes_before_the_first_take_over(backend: &dyn Backend) {
    let ledger = backend.connect().await;
    let refused = ledger.commit(&Transaction::new(Epoch(1), NOW)).await;
    assert_eq!(refused, Err(Failure::Deposed { current: Epoch(0) }));
}

pub(crate) async fn a_watermark_beyond_the_clock_is_refused(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let allowed = NOW.saturating_add(Duration::from_millis(5_250));
    term.commit(|transaction| transaction.watermark = Some(allowed)).await;
    let mut beyond = term.transaction();
    beyond.watermark = Some(allowed.saturating_add(Duration::from_micros(1)));
    assert_eq!(term.ledger.commit(&beyond).await, Err(Failure::Clock { ledger_time: NOW }));
    assert_eq!(Term::begin(backend).await.began.watermark, allowed);
}

pub(crate) async fn a_decision_beyond_the_clock_is_refused(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let job = job(1, "default", "a");
    let mut ahead = Transaction::new(term.epoch(), seconds_after(6));
    ahead.jobs.push(created(job));
    assert_eq!(term.ledger.commit(&ahead).await, Err(Failure::Clock { ledger_time: NOW }));
    assert_eq!(term.load().await.jobs, []);
    backend.set_clock(seconds_after(1)).await;
    assert_eq!(term.ledger.commit(&ahead).await, Ok(()), "the ledger's clock has caught up");
}

pub(crate) async fn the_token_ceiling_is_never_lowered(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let high = FencingToken::nth(term.epoch(), 3 << 20);
    term.commit(|transaction| transaction.token_ceiling = Some(high)).await;
    term.commit(|transaction| transaction.token_ceiling = Some(term.began.token_ceiling)).await;
    // A watermark may be lowered (rule 7), and must not take the ceiling with it.
    term.commit(|transaction| transaction.watermark = Some(NOW.saturating_sub(Duration::from_secs(1)))).await;
    let next = Term::begin(backend).await.began;
    assert!(FencingToken::nth(next.epoch, 0) > high);
    assert_eq!(next.watermark, NOW.saturating_sub(Duration::from_secs(1)));
}

/// For cases about agents' late words.
pub(crate) fn late(run: RunId, number: u32) -> LateOutcome {
    LateOutcome { attempt: AttemptId { run, number }, outcome: "FAILED EXIT_1".to_owned(), time: seconds_after(50) }
}
