use crate::agent::{FromAgent, Inventory, Outcome, Report, ReportEvent, StreamId, ToAgent};
use crate::engine::Input;
use crate::job::{Definition, OnLost, Retry};
use crate::run::{AttemptState, Reason, RunState};

use super::world::{TTL, World, finished, hello, instance, job, seconds};

fn retrying() -> Definition {
    Definition { retry: Retry { max_attempts: 2, ..Retry::default() }, ..job() }
}

#[test]
fn a_heartbeat_is_confirmed_only_when_leadership_is_proved_after_it() {
    let mut world = World::leading();
    world.coordinator_works = false;
    world.join(1, hello("a", 1, 1));
    let confirmed = |world: &World| {
        world.sent.iter().filter(|(_, message)| matches!(message, ToAgent::HeartbeatConfirmed { .. })).count()
    };
    assert_eq!(confirmed(&world), 0);
    world.create("one", job());
    world.trigger("one");
    assert!(world.assigned().is_empty(), "an agent without a confirmed heartbeat has no right to run");
    world.coordinator_works = true;
    let question = world.questions.remove(0);
    world.input(Input::LeadershipProved(question, None));
    assert_eq!(confirmed(&world), 1);
    assert_eq!(world.assigned().len(), 1);
}

#[test]
fn a_silent_agents_attempt_is_retried_elsewhere_but_not_before_its_right_has_ended() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.create("one", retrying());
    let run = world.trigger("one");
    assert_eq!(world.assigned().len(), 1);
    world.join(2, hello("b", 2, 1));
    world.input(Input::StreamClosed(StreamId(1)));
    world.pass_beating(TTL.as_secs() - 1, &[2]);
    assert!(world.assigned().is_empty());
    world.pass_beating(4, &[2]);
    let again = world.assigned();
    assert_eq!(again.len(), 1);
    assert_eq!((again[0].0, again[0].1.attempt.number), (StreamId(2), 2));
    let first = world.ledger.runs[&run.id].first_attempt.clone().unwrap();
    assert_eq!((first.state, first.reason), (AttemptState::Lost, Some(Reason::AgentLost)));
    world.finish(2, again[0].1.attempt, Outcome::Succeeded);
    assert_eq!(world.rows(RunState::Succeeded).len(), 1);
}

#[test]
fn a_lost_attempt_fails_its_run_when_the_job_says_so_or_has_no_attempt_left() {
    for definition in [Definition { on_lost: OnLost::Fail, ..retrying() }, job()] {
        let mut world = World::leading();
        world.join(1, hello("a", 1, 1));
        world.create("one", definition);
        world.trigger("one");
        world.pass(TTL + seconds(1));
        let failed = world.rows(RunState::Failed);
        assert_eq!(failed.len(), 1);
        assert_eq!(failed[0].reason, Some(Reason::AgentLost));
    }
}

#[test]
fn what_an_agent_never_got_is_given_a_new_number_that_does_not_count() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.create("one", job());
    let run = world.trigger("one");
    assert_eq!(world.assigned().len(), 1);
    world.join(2, hello("a", 1, 1));
    assert_eq!(world.closed, [StreamId(1)]);
    world.pass_beating(1, &[2]);
    let again = world.assigned();
    assert_eq!(again[0].1.attempt.number, 2);
    world.finish(2, again[0].1.attempt, Outcome::Succeeded);
    let row = &world.ledger.runs[&run.id];
    assert_eq!((row.state, row.uncounted_attempts), (RunState::Succeeded, 1));
}

#[test]
fn nothing_is_assigned_on_a_new_stream_before_its_inventory() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.create("one", job());
    world.input(Input::Hello(StreamId(2), hello("a", 1, 1)));
    world.trigger("one");
    assert!(world.assigned().is_empty());
    world.heard(2, FromAgent::Inventory(Inventory::default()));
    assert_eq!(world.assigned().len(), 1);
}

#[test]
fn a_hello_that_was_held_up_does_not_replace_the_agents_newer_stream() {
    let mut world = World::leading();
    world.join(2, hello("a", 1, 1));
    world.input(Input::Hello(StreamId(1), hello("a", 1, 1)));
    assert_eq!(world.closed, [StreamId(1)]);
    world.create("one", job());
    world.trigger("one");
    assert_eq!(world.assigned()[0].0, StreamId(2), "which works as before");
}

#[test]
fn an_attempt_committed_while_its_agent_was_away_is_sent_once_after_the_inventory() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.create("one", job());
    world.ledger_works = false;
    world.begin(None, super::world::trigger("one"));
    world.input(Input::StreamClosed(StreamId(1)));
    world.ledger_catches_up();
    assert!(world.assigned().is_empty());
    world.join(2, hello("a", 1, 1));
    let assigned = world.assigned();
    assert_eq!(assigned.len(), 1);
    assert_eq!(assigned[0].1.attempt.number, 1);
}

#[test]
fn a_report_kept_over_a_reconnect_counts_and_the_same_one_again_is_only_acknowledged() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.create("one", job());
    world.trigger("one");
    let attempt = world.assigned()[0].1.attempt;
    let event = ReportEvent::Finished(finished(Outcome::Succeeded));
    let report = Report { attempt, sequence: 1, time: world.now.wall, event };
    world.input(Input::Hello(StreamId(2), hello("a", 1, 1)));
    world.heard(2, FromAgent::Inventory(Inventory { held: vec![], reports: vec![report.clone()] }));
    assert_eq!(world.rows(RunState::Succeeded).len(), 1);
    world.heard(2, FromAgent::Reports(vec![report]));
    assert_eq!(world.rows(RunState::Succeeded).len(), 1);
    let acks = world.sent.iter().filter_map(|(_, message)| match message {
        ToAgent::Ack(acks) => Some(acks[0].refused),
        _ => None,
    });
    assert_eq!(acks.collect::<Vec<_>>(), [false, true]);
}

#[test]
fn a_report_of_another_instance_ends_nothing() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.join(2, hello("b", 2, 1));
    world.create("one", job());
    world.trigger("one");
    let (holder, assign) = world.assigned()[0].clone();
    let other = if holder == StreamId(1) { 2 } else { 1 };
    world.finish(other, assign.attempt, Outcome::Failed);
    assert!(world.rows(RunState::Failed).is_empty());
    world.finish(holder.0, assign.attempt, Outcome::Succeeded);
    assert_eq!(world.rows(RunState::Succeeded).len(), 1);
}

#[test]
fn a_second_instance_of_a_beating_id_is_refused_unless_it_proves_the_first_gone() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.create("one", retrying());
    world.trigger("one");
    assert_eq!(world.assigned().len(), 1);
    world.join(2, hello("a", 2, 1));
    assert_eq!(world.closed, [StreamId(2)]);
    let mut proven = hello("a", 3, 1);
    proven.instances_proved_gone = vec![instance(1)];
    world.join(3, proven);
    world.pass_beating(2, &[3]);
    assert_eq!(world.assigned().len(), 1, "the proof makes waiting for the TTL superfluous");
}

#[test]
fn an_attempt_that_the_ledger_has_ended_is_cancelled_and_keeps_its_room() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.create("one", job());
    world.trigger("one");
    let attempt = world.assigned()[0].1.attempt;
    world.pass(TTL + seconds(1));
    assert_eq!(world.rows(RunState::Failed).len(), 1);
    world.input(Input::Hello(StreamId(2), hello("a", 1, 1)));
    world.heard(2, FromAgent::Inventory(Inventory { held: vec![attempt], reports: vec![] }));
    world.heard(2, FromAgent::Heartbeat { n: 9, sent_time: None });
    assert!(world.sent.iter().any(|(_, message)| matches!(message, ToAgent::Cancel { .. })));
    world.trigger("one");
    assert!(world.assigned().is_empty(), "its only slot is still taken");
    world.finish(2, attempt, Outcome::Cancelled);
    assert_eq!(world.assigned().len(), 1);
}

#[test]
fn failures_are_retried_with_backoff_up_to_max_attempts_and_not_for_final_codes() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.create("one", retrying());
    world.trigger("one");
    let first = world.assigned()[0].1.attempt;
    world.finish(1, first, Outcome::Failed);
    assert_eq!(world.rows(RunState::Pending)[0].reason, Some(Reason::RetryBackoff));
    assert!(world.assigned().is_empty());
    world.pass_beating(2, &[1]);
    let second = world.assigned()[0].1.attempt;
    assert_eq!(second.number, 2);
    world.finish(1, second, Outcome::Failed);
    let failed = world.rows(RunState::Failed);
    assert_eq!(failed[0].error.as_ref().unwrap().code, "EXIT_1");

    let retry = Retry { max_attempts: 5, non_retryable_codes: vec!["EXIT_1".into()], ..Retry::default() };
    world.create("final", Definition { retry, ..job() });
    world.trigger("final");
    let only = world.assigned()[0].1.attempt;
    world.finish(1, only, Outcome::Failed);
    assert_eq!(world.rows(RunState::Failed).len(), 2);
}

#[test]
fn started_is_stored_only_for_runs_that_outlive_the_group() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 2));
    world.create("long", job());
    world.trigger("long");
    let attempt = world.assigned()[0].1.attempt;
    world.report(1, attempt, 1, ReportEvent::Started);
    assert!(world.rows(RunState::Running).is_empty());
    world.pass(std::time::Duration::from_millis(30));
    assert_eq!(world.rows(RunState::Running).len(), 1);
}

#[test]
fn an_attempt_that_never_started_says_why() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.create("work", job());
    let run = world.trigger("work").id;
    let first = world.assigned()[0].1.attempt;
    world.heard(1, FromAgent::Rejected { attempt: first, reason: "no right".into() });
    let reason = |world: &World| world.ledger.runs[&run].first_attempt.as_ref().unwrap().reason;
    assert_eq!(reason(&world), Some(Reason::RefusedByAgent));
    world.pass_beating(2, &[1]);
    let second = world.assigned()[0].1.attempt;
    world.heard(1, FromAgent::Revoked { attempt: second, not_started: true });
    assert_eq!(world.ledger.attempts[&(run, 2)].reason, Some(Reason::Revoked));
}

#[test]
fn a_report_without_a_time_is_one_of_now() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.create("work", job());
    let run = world.trigger("work").id;
    let attempt = world.assigned()[0].1.attempt;
    let event = ReportEvent::Finished(finished(Outcome::Succeeded));
    let time = crate::time::Timestamp::MIN;
    world.heard(1, FromAgent::Reports(vec![Report { attempt, sequence: 1, time, event }]));
    let ended = world.ledger.runs[&run].first_attempt.as_ref().unwrap().end_time;
    assert_eq!(ended, Some(world.now.wall));
}

#[test]
fn an_instance_of_one_agent_is_not_taken_over_by_another() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.input(Input::Hello(StreamId(2), hello("b", 1, 1)));
    assert_eq!(world.closed, [StreamId(2)]);
    world.create("one", job());
    world.trigger("one");
    assert_eq!(world.assigned().len(), 1, "the first goes on");
}
