use crate::agent::{FromAgent, Inventory, Outcome, StreamId, ToAgent};
use crate::engine::{Alert, Answer, Command, Input, Refusal};
use crate::ids::Epoch;
use crate::run::RunState;
use crate::txn::{Call, Done, Failure};

use super::world::{World, every, hello, job, seconds, trigger};

#[test]
fn a_new_leader_decides_nothing_again_that_was_entered_after_the_watermark() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 8));
    world.create("tick", every(1));
    let before = world.ledger.watermark;
    world.pass_beating(3, &[1]);
    world.execute_all();
    world.ledger.watermark = before;
    let entered = world.ledger.runs.len();
    world.crash();
    assert_eq!(world.ledger.runs.len(), entered);
    world.join(1, hello("a", 1, 8));
    world.pass_beating(2, &[1]);
    world.execute_all();
    let covered: u64 = world.ledger.runs.values().map(|run| run.coalesced_count).sum();
    assert_eq!(covered, 5, "each instant once");
}

#[test]
fn an_attempt_that_its_agent_still_holds_goes_on_under_the_new_leader() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.create("one", job());
    world.trigger("one");
    let attempt = world.assigned()[0].1.attempt;
    world.skip(seconds(20));
    world.crash();
    world.input(Input::Hello(StreamId(5), hello("a", 1, 1)));
    world.heard(5, FromAgent::Inventory(Inventory { held: vec![attempt], reports: vec![] }));
    world.pass_beating(30, &[5]);
    assert!(world.assigned().is_empty());
    world.finish(5, attempt, Outcome::Succeeded);
    let done = world.rows(RunState::Succeeded);
    assert_eq!((done.len(), done[0].attempt), (1, 1));
}

#[test]
fn an_agent_that_never_comes_back_is_lost_one_ttl_after_the_take_over() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.create("one", job());
    world.trigger("one");
    world.skip(seconds(60));
    world.crash();
    world.pass(seconds(9));
    assert!(world.rows(RunState::Failed).is_empty());
    world.pass(seconds(2));
    assert_eq!(world.rows(RunState::Failed).len(), 1);
}

#[test]
fn an_unknown_outcome_is_asked_for_again_to_the_letter() {
    let mut world = World::leading();
    world.create("one", job());
    world.ledger_works = false;
    let handle = world.begin(None, trigger("one"));
    let (id, transaction) = world.commits().remove(0);
    world.ledger.call(&world.calls.remove(0).1, world.now.wall).unwrap();
    world.answer_call(id, Err(Failure::Unknown("connection lost".into())));
    assert!(!world.answers.contains_key(&handle));
    let refused = world.begin(None, trigger("one"));
    assert!(matches!(world.answers.remove(&refused), Some(Err(Refusal::Unavailable(_)))));
    world.pass(seconds(1));
    let again = world.commits();
    assert_eq!(again[0].1, transaction);
    world.ledger_catches_up();
    assert!(world.answers.remove(&handle).unwrap().is_ok());
    assert_eq!(world.ledger.runs.len(), 1);
}

#[test]
fn a_deposed_leader_forgets_everything_and_answers_nobody_with_success() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.create("one", job());
    world.ledger_works = false;
    let handle = world.begin(None, trigger("one"));
    world.ledger.epoch = Epoch(i64::MAX >> 20);
    world.ledger_catches_up();
    assert!(!world.engine.is_leading());
    assert_eq!(world.answers.remove(&handle), Some(Err(Refusal::OutcomeUnknown)));
    assert_eq!(world.closed, [StreamId(1)]);
    assert!(world.alerts.iter().any(|alert| matches!(alert, Alert::Deposed(_))));
}

#[test]
fn requests_and_agents_that_come_early_are_served_when_there_is_a_leader() {
    let mut world = World::new();
    world.ledger_works = false;
    world.elect();
    let handle = world.begin(None, trigger("none"));
    world.input(Input::Hello(StreamId(1), hello("a", 1, 1)));
    assert!(world.sent.is_empty());
    world.ledger_catches_up();
    world.ledger_catches_up();
    assert!(matches!(world.answers.remove(&handle), Some(Err(Refusal::JobNotFound(_)))));
    assert_eq!(world.sent.len(), 1);
}

#[test]
fn a_request_without_a_leader_is_refused_after_ten_seconds() {
    let mut world = World::new();
    let handle = world.begin(None, trigger("none"));
    world.pass(seconds(9));
    assert!(world.answers.is_empty());
    world.pass(seconds(2));
    assert!(matches!(world.answers.remove(&handle), Some(Err(Refusal::Unavailable(_)))));
}

#[test]
fn a_failed_take_over_is_tried_again() {
    let mut world = World::new();
    world.ledger_works = false;
    world.elect();
    let (id, _) = world.calls.remove(0);
    world.answer_call(id, Err(Failure::Unavailable("locked".into())));
    assert!(!world.engine.is_leading());
    world.ledger_works = true;
    world.pass(seconds(1));
    assert!(world.engine.is_leading());
}

#[test]
fn an_answer_that_nobody_asked_for_changes_nothing() {
    let mut world = World::leading();
    world.answer_call(crate::txn::CallId(999), Ok(Done::Committed));
    assert!(world.engine.is_leading());
}

#[test]
fn an_idle_engine_sleeps() {
    let mut world = World::leading();
    for _ in 0..50 {
        world.input(Input::Wake);
    }
    let wait = world.engine.next_wakeup().unwrap().since(world.now.boot);
    assert!(wait > seconds(1), "{wait:?}");
}

#[test]
fn a_disagreement_with_the_ledger_begins_a_new_term_and_deposes_nobody() {
    let mut world = World::leading();
    let job_uid = world.create("one", job()).uid;
    world.ledger_works = false;
    let handle = world.begin(None, trigger("one"));
    let (id, _) = world.commits().remove(0);
    world.calls.clear();
    world.answer_call(id, Err(Failure::Conflict { job_uid, scheduled_time: world.now.wall }));
    assert_eq!(world.answers.remove(&handle), Some(Err(Refusal::OutcomeUnknown)));
    assert!(!world.alerts.iter().any(|alert| matches!(alert, Alert::Deposed(_))));
    world.ledger_works = true;
    world.pass(seconds(1));
    assert!(world.engine.is_leading());
    world.trigger("one");
}

#[test]
fn a_resent_report_is_not_acknowledged_before_the_first_is_in_the_ledger() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.create("one", job());
    world.trigger("one");
    let attempt = world.assigned()[0].1.attempt;
    world.ledger_works = false;
    world.finish(1, attempt, Outcome::Succeeded);
    world.sent.clear();
    world.finish(1, attempt, Outcome::Succeeded);
    assert!(world.sent.is_empty(), "{:?}", world.sent);
    world.ledger_catches_up();
    world.pass(seconds(1));
    assert_eq!(world.rows(RunState::Succeeded).len(), 1);
    assert!(!world.sent.is_empty());
}

#[test]
fn a_stop_begins_nothing_new_and_keeps_what_was_begun() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.create("tick", every(1));
    world.ledger_works = false;
    let begun = world.begin(None, trigger("tick"));
    let waiting = world.begin(None, trigger("tick"));
    world.input(Input::Stop);
    assert!(matches!(world.answers.remove(&waiting), Some(Err(Refusal::Unavailable(_)))));
    let calls = world.calls.len();
    world.pass(seconds(3));
    assert_eq!(world.calls.len(), calls);
    world.ledger_catches_up();
    assert!(world.answers.remove(&begun).unwrap().is_ok());
    assert!(world.calls.is_empty());
}

#[test]
fn while_the_ledger_fails_what_has_not_begun_is_refused_at_once() {
    let mut world = World::leading();
    world.create("one", job());
    world.ledger_works = false;
    let begun = world.begin(None, trigger("one"));
    let waiting = world.begin(None, trigger("one"));
    let (id, _) = world.commits().remove(0);
    world.answer_call(id, Err(Failure::Unavailable("full".into())));
    assert!(matches!(world.answers.remove(&waiting), Some(Err(Refusal::Unavailable(_)))));
    assert!(!world.answers.contains_key(&begun));
    let status = world.begin(None, crate::engine::Command::Status);
    assert!(world.answers.remove(&status).unwrap().is_ok());
}

#[test]
fn while_the_ledger_says_nothing_what_has_not_begun_is_refused() {
    let mut world = World::leading();
    world.create("one", job());
    world.ledger_works = false;
    let begun = world.begin(None, trigger("one"));
    let waiting = world.begin(None, trigger("one"));
    world.pass(seconds(3));
    assert!(!world.answers.contains_key(&waiting), "it may only be slow");
    world.pass(seconds(2));
    assert!(matches!(world.answers.remove(&waiting), Some(Err(Refusal::Unavailable(_)))));
    let late = world.begin(None, trigger("one"));
    assert!(matches!(world.answers.remove(&late), Some(Err(Refusal::Unavailable(_)))));
    world.ledger_catches_up();
    assert!(world.answers.remove(&begun).unwrap().is_ok());
    let after = world.begin(None, trigger("one"));
    world.ledger_catches_up();
    assert!(world.answers.remove(&after).unwrap().is_ok());
}

#[test]
fn a_leader_behind_the_watermark_waits_for_it() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.create("tick", every(1));
    for _ in 0..5 {
        world.pass_beating(1, &[1]);
        world.execute_all();
    }
    // The next leader's clock is 30 s behind.
    let decided = world.ledger.watermark;
    world.now.wall = world.now.wall.saturating_sub(seconds(30));
    world.crash();
    world.join(2, hello("a", 1, 8));
    world.pass_beating(25, &[2]);
    assert!(world.assigned().is_empty(), "nothing fires again");
    assert_eq!(world.ledger.watermark, decided);
    let created = world.create("late", every(1));
    assert!(created.effective_from >= decided, "a change holds from where nothing is decided");
    for _ in 0..10 {
        world.pass_beating(1, &[2]);
        world.execute_all();
    }
    let ran = |job: &str| world.rows(RunState::Succeeded).iter().filter(|run| run.job_key.job_id == job).count();
    assert_eq!((ran("tick"), ran("late")), (10, 5));
}

#[test]
fn a_clock_that_jumps_ahead_and_back_fires_nothing_early_or_twice() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.create("tick", every(1));
    world.now.wall = world.now.wall.saturating_add(seconds(3_600));
    for _ in 0..9 {
        world.pass_beating(1, &[1]);
        world.execute_all();
    }
    world.now.wall = world.now.wall.saturating_sub(seconds(3_600));
    for _ in 0..5 {
        world.pass_beating(1, &[1]);
        world.execute_all();
    }
    assert_eq!(world.rows(RunState::Succeeded).len(), 14);
    assert_eq!(world.ledger.runs.len(), 14, "and nothing was missed");
}

#[test]
fn what_was_decided_by_a_clock_that_was_put_back_holds_nothing_up() {
    let mut world = World::leading();
    world.create("work", job());
    world.ledger_works = false;
    world.begin(None, trigger("work"));
    let (id, _) = world.commits().remove(0);
    world.calls.clear();
    world.now.wall = world.now.wall.saturating_sub(seconds(600));
    world.answer_call(id, Err(Failure::Clock { ledger_time: world.now.wall }));
    world.ledger_works = true;
    world.pass(seconds(1));
    world.trigger("work");
}

#[test]
fn a_cancel_that_is_repeated_is_not_answered_before_it_is_in_the_ledger() {
    let mut world = World::leading();
    world.create("work", job());
    let run = world.trigger("work").id;
    let cancel = || Command::CancelRun { namespace: "default".into(), run, note: String::new() };
    world.ledger_works = false;
    let first = world.begin(Some("one"), cancel());
    let again = world.begin(Some("one"), cancel());
    let looked_up: Vec<_> = world.calls.extract_if(.., |(_, call)| matches!(call, Call::FindRequests(_))).collect();
    for (id, call) in looked_up {
        let found = world.ledger.call(&call, world.now.wall);
        world.answer_call(id, found);
    }
    assert!(!world.answers.contains_key(&first) && !world.answers.contains_key(&again));
    world.ledger_catches_up();
    assert!(matches!(world.answers[&first], Ok(Answer::Run(_))));
    assert!(matches!(world.answers[&again], Ok(Answer::Repeated(_))));
}

/// As while the ledger is away: what agents run goes on.
#[test]
fn an_elected_node_confirms_heartbeats_by_its_key_and_does_nothing_more_before_its_take_over() {
    let mut world = World::leading_in_cluster();
    world.input(Input::Unelected(world.candidacy.unwrap()));
    world.pass(seconds(1));
    world.ledger_works = false;
    world.input(Input::Hello(StreamId(5), hello("a", 1, 1)));
    assert_eq!(world.sent, [], "a standby holds the Hello");
    world.elect();
    world.pass(seconds(1));
    let welcomes = |world: &World| {
        let welcome = |(_, message): &(StreamId, ToAgent)| match message {
            ToAgent::Welcome(welcome) => Some(welcome.epoch),
            _ => None,
        };
        world.sent.iter().filter_map(welcome).collect::<Vec<_>>()
    };
    assert_eq!(welcomes(&world), [None]);
    world.sent.clear();
    world.heard(5, FromAgent::Heartbeat { n: 3, sent_time: None });
    let confirmed = |world: &World| {
        world.sent.iter().filter(|(_, message)| matches!(message, ToAgent::HeartbeatConfirmed { n: 3, .. })).count()
    };
    assert_eq!(confirmed(&world), 1);
    world.heard(5, FromAgent::Inventory(Inventory::default()));
    assert_eq!(world.closed, [], "what else it says is passed over");
    world.sent.clear();
    world.ledger_catches_up();
    assert_eq!(welcomes(&world).len(), 1);
    assert!(welcomes(&world)[0].is_some());
}

/// Who decides that an agent is lost has to know of what it was told.
#[test]
fn nobody_tells_agents_of_more_time_than_the_ledger_knows_of_before_the_take_over() {
    let mut world = World::in_cluster();
    world.ledger_works = false;
    world.input(Input::Hello(StreamId(5), hello("a", 1, 1)));
    world.elect();
    world.pass(seconds(2));
    assert_eq!(world.sent, [], "nobody has told agents anything yet");
}

/// What a lease would not outlive is done a part at a time.
#[test]
fn a_leader_of_many_jobs_begins_its_term_in_slices_between_which_it_renews_its_lease() {
    let mut world = World::leading_in_cluster();
    for number in 0..2_500 {
        world.create(&format!("job-{number}"), every(3_600));
    }
    world.input(Input::Unelected(world.candidacy.unwrap()));
    world.pass(seconds(1));
    world.elect();
    assert!(!world.engine.is_leading());
    assert_eq!(world.engine.next_wakeup(), Some(world.now.boot), "it goes on at once");
    world.coordinator_works = false;
    world.skip(seconds(1));
    world.input(Input::Wake);
    assert!(!world.engine.is_leading());
    assert_eq!(world.keep_alives.len(), 1);
    world.input(Input::Wake);
    assert!(world.engine.is_leading());
    assert!(world.alerts.iter().any(|alert| matches!(alert, Alert::TookOver { jobs: 2_500, .. })));
}
