//! What the simulation found: each is the shortest way to the promise that was broken.

use crate::agent::{FromAgent, Hello, Inventory, Outcome, ReportEvent, StreamId};
use crate::engine::{Command, Effect, Input, ProofId};
use crate::job::{Definition, Retry};
use crate::run::{Reason, RunState};
use crate::schedule::Schedule;
use crate::txn::{Call, CallId, Failure};

use super::world::{World, every, hello, instance, job, key, seconds, trigger};

fn pause(job_id: &str) -> Command {
    Command::PauseJob { job: key(job_id), note: String::new() }
}

fn resume(job_id: &str, catch_up: bool) -> Command {
    Command::ResumeJob { job: key(job_id), catch_up, note: String::new() }
}

fn disable(job_id: &str) -> Command {
    Command::DisableJob { job: key(job_id), note: String::new() }
}

fn covered(world: &World) -> u64 {
    world.ledger.runs.values().filter(|run| run.covers_from.is_some()).map(|run| run.coalesced_count).sum()
}

#[test]
fn a_paused_span_is_made_up_though_the_leader_changed_meanwhile() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.create("tick", every(10));
    world.request(pause("tick")).unwrap();
    world.pass_beating(35, &[1]);
    world.crash();
    world.pass(seconds(30));
    world.request(resume("tick", true)).unwrap();
    assert_eq!(covered(&world), 6, "every fire since the pause");
}

#[test]
fn a_disabled_job_is_not_made_up_when_it_is_resumed() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.create("tick", every(10));
    world.request(pause("tick")).unwrap();
    world.pass_beating(35, &[1]);
    world.request(disable("tick")).unwrap();
    world.request(resume("tick", true)).unwrap();
    world.pass_beating(5, &[1]);
    assert!(world.assigned().is_empty());
    assert_eq!(world.rows(RunState::Pending), []);
}

#[test]
fn a_failed_attempt_of_a_disabled_job_is_not_followed_by_another() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.create("work", Definition { retry: Retry { max_attempts: 5, ..Retry::default() }, ..job() });
    world.trigger("work");
    let attempt = world.assigned()[0].1.attempt;
    world.request(disable("work")).unwrap();
    world.finish(1, attempt, Outcome::Failed);
    world.pass_beating(30, &[1]);
    assert!(world.assigned().is_empty());
    assert_eq!(world.rows(RunState::Cancelled)[0].reason, Some(Reason::Disabled));
}

#[test]
fn an_edit_that_disables_cancels_what_waits() {
    let mut world = World::leading();
    let created = world.create("work", job());
    world.trigger("work");
    let definition = Box::new(Definition { enabled: false, ..(*created.definition).clone() });
    let update = Command::UpdateJob { job: key("work"), definition, etag: None, validate_only: false };
    world.request(update).unwrap();
    assert_eq!(world.rows(RunState::Cancelled)[0].reason, Some(Reason::Disabled));
}

#[test]
fn a_fire_that_was_due_by_a_clock_that_went_back_is_decided_when_its_time_comes_again() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.create("tick", every(60));
    world.ledger_works = false;
    world.begin(None, trigger("tick"));
    world.jump_ahead(seconds(61));
    world.now.wall = world.now.wall.saturating_sub(seconds(61));
    world.ledger_catches_up();
    assert_eq!(covered(&world), 0);
    world.pass_beating(62, &[1]);
    assert_eq!(covered(&world), 1);
}

#[test]
fn heartbeats_are_confirmed_again_after_a_question_that_nobody_answered() {
    let mut world = World::leading();
    world.coordinator_works = false;
    world.join(1, hello("a", 1, 1));
    world.pass(seconds(2));
    world.coordinator_works = true;
    world.heard(1, FromAgent::Heartbeat { n: 2, sent_time: None });
    let confirmed =
        |message: &crate::agent::ToAgent| matches!(message, crate::agent::ToAgent::HeartbeatConfirmed { n: 2, .. });
    assert!(world.sent.iter().any(|(_, message)| confirmed(message)));
}

#[test]
fn the_answer_to_a_question_of_an_earlier_term_confirms_nothing() {
    let mut world = World::leading_in_cluster();
    let ask = |world: &mut World| -> ProofId {
        let mut out = Vec::new();
        world.engine.handle(
            world.now,
            Input::FromAgent(StreamId(1), FromAgent::Heartbeat { n: 1, sent_time: None }),
            &mut out,
        );
        let asked = out.iter().find_map(|effect| match effect {
            Effect::ProveLeadership(_, id, _) => Some(*id),
            _ => None,
        });
        asked.expect("a heartbeat asks")
    };
    world.input(Input::Hello(StreamId(1), hello("a", 1, 1)));
    let earlier = ask(&mut world);
    world.input(Input::Unelected(world.candidacy.unwrap()));
    world.pass(seconds(1));
    world.elect();
    world.input(Input::Hello(StreamId(1), hello("a", 1, 1)));
    let later = ask(&mut world);
    assert_ne!(earlier, later);
}

#[test]
fn the_watermark_waits_for_a_change_that_takes_a_definition_away() {
    let mut world = World::leading();
    world.create("fast", every(1));
    world.create("other", every(1));
    world.pass(seconds(5));
    world.ledger_works = false;
    let update =
        Command::UpdateJob { job: key("fast"), definition: Box::new(every(3_600)), etag: None, validate_only: false };
    world.begin(None, update);
    let (change, _) = world.commits().pop().expect("the change is on its way");
    let changed_at = world.now.wall;
    world.pass(seconds(3));
    // All but the change arrives.
    let others: Vec<_> = world.calls.extract_if(.., |(id, _)| *id != change).collect();
    let lost = std::mem::replace(&mut world.calls, others);
    world.ledger_catches_up();
    assert!(world.ledger.watermark <= changed_at, "the old definition's fires may still be owed");
    drop(lost);
}

#[test]
fn an_agent_that_was_lost_and_came_back_is_not_sent_what_was_committed_in_between() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.create("one", job());
    world.ledger_works = false;
    world.begin(None, trigger("one"));
    world.pass(seconds(11));
    world.input(Input::Hello(StreamId(2), hello("a", 1, 1)));
    world.heard(2, FromAgent::Inventory(Inventory::default()));
    world.heard(2, FromAgent::Heartbeat { n: 9, sent_time: None });
    let first = world.commits()[0].0;
    let calls = std::mem::take(&mut world.calls);
    world.ledger_works = true;
    for (id, call) in calls {
        if id == first {
            let result = world.ledger.call(&call, world.now.wall);
            world.answer_call(id, result);
        }
    }
    world.pass(seconds(3));
    assert!(world.assigned().iter().all(|(_, assign)| assign.attempt.number > 1), "attempt 1 is LOST");
}

#[test]
fn what_was_never_sent_is_not_handed_out_after_a_pause() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.create("tick", every(10));
    world.ledger_works = false;
    world.pass_beating(11, &[1]);
    world.input(Input::StreamClosed(StreamId(1)));
    world.ledger_catches_up();
    world.request(pause("tick")).unwrap();
    world.join(2, Hello { instance: instance(1), ..hello("a", 1, 1) });
    world.pass_beating(3, &[2]);
    assert!(world.assigned().is_empty());
    assert_eq!(world.rows(RunState::Skipped)[0].reason, Some(Reason::Paused));
}

#[test]
fn a_run_that_comes_due_while_its_job_is_changed_is_queued_once() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 2));
    let schedule = Schedule { after_completion: Some(seconds(5)), ..Schedule::default() };
    let definition = Definition { schedule, ..job() };
    world.create("chain", definition.clone());
    let attempt = world.assigned()[0].1.attempt;
    world.ledger_works = false;
    world.finish(1, attempt, Outcome::Succeeded);
    let update = Command::UpdateJob {
        job: key("chain"),
        definition: Box::new(Definition { max_instances: 2, ..definition }),
        etag: None,
        validate_only: false,
    };
    world.begin(None, update);
    world.pass_beating(6, &[1]);
    world.ledger_catches_up();
    assert_eq!(world.assigned().len(), 1);
}

#[test]
fn a_take_over_is_given_up_when_somebody_else_is_elected() {
    let mut world = World::new();
    world.ledger_works = false;
    world.elect();
    let (id, _) = world.calls.remove(0);
    world.answer_call(id, Err(Failure::Unavailable("no connection".into())));
    world.input(Input::Unelected(world.candidacy.unwrap()));
    world.pass(seconds(5));
    let asks = |(_, call): &(CallId, Call)| matches!(call, Call::TakeOver(_));
    assert!(!world.calls.iter().any(asks), "it asks for the ledger no more");
}

#[test]
fn a_run_that_is_cancelled_in_its_second_attempt_is_taken_over_as_it_was() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.create("work", Definition { retry: Retry { max_attempts: 5, ..Retry::default() }, ..job() });
    let run = world.trigger("work").id;
    let first = world.assigned()[0].1.attempt;
    world.finish(1, first, Outcome::Failed);
    world.pass_beating(3, &[1]);
    let second = world.assigned()[0].1.attempt;
    world.report(1, second, 1, ReportEvent::Started);
    world.request(Command::CancelRun { namespace: "default".into(), run, note: "enough".into() }).unwrap();
    world.crash();
    world.input(Input::Hello(StreamId(2), hello("a", 1, 1)));
    world.heard(2, FromAgent::Inventory(Inventory { held: vec![second], reports: vec![] }));
    world.report(2, second, 1, ReportEvent::Started);
    world.finish(2, second, Outcome::Cancelled);
    assert_eq!(world.rows(RunState::Cancelled).len(), 1);
}

#[test]
fn what_was_decided_by_a_clock_that_went_back_is_not_made_up_again() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.create("tick", every(10));
    world.jump_ahead(seconds(20));
    world.pass(seconds(1));
    world.now.wall = world.now.wall.saturating_sub(seconds(20));
    let watermark = world.ledger.watermark.saturating_sub(seconds(20));
    world.ledger.watermark = watermark;
    world.crash();
    world.request(pause("tick")).unwrap();
    world.pass(seconds(40));
    world.crash();
    world.request(resume("tick", true)).unwrap();
    world.pass(seconds(1));
    assert_eq!(covered(&world), 5, "each fire once");
}
