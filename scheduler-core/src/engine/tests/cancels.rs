//! Runs that were asked to stop, wherever they are.

use std::collections::BTreeMap;

use crate::agent::{CancelReason, FromAgent, Inventory, Outcome, StreamId, ToAgent};
use crate::engine::{Answer, Command, Input};
use crate::ids::{AttemptId, RunId};
use crate::job::{Definition, OverlapPolicy, Retry};
use crate::run::{AttemptState, Reason, RunState};

use super::world::{TTL, World, every, hello, job, key, seconds};

fn cancel(run: RunId) -> Command {
    Command::CancelRun { namespace: "default".into(), run, note: "enough".into() }
}

/// One that would be tried again, and a failure of which would pause its job.
fn fragile() -> Definition {
    Definition { retry: Retry { max_attempts: 3, ..Retry::default() }, pause_after_failures: 1, ..job() }
}

/// An agent has a run of such a job, which somebody has asked to stop.
fn asked_to_stop() -> (World, AttemptId) {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.create("one", fragile());
    let run = world.trigger("one").id;
    let attempt = world.assigned()[0].1.attempt;
    world.request(cancel(run)).unwrap();
    (world, attempt)
}

fn assert_cancelled(world: &World, attempt: AttemptId, why_lost: Reason) {
    let run = &world.ledger.runs[&attempt.run];
    assert_eq!((run.state, run.reason), (RunState::Cancelled, Some(Reason::CancelledByUser)));
    assert_eq!(run.reason_message, "cancelled by tester: enough");
    let lost = run.first_attempt.as_ref().unwrap();
    assert_eq!((lost.state, lost.reason), (AttemptState::Lost, Some(why_lost)));
    let job = &world.ledger.jobs[&run.job_uid];
    assert_eq!((job.counts.failures, &job.pause), (0, &None), "a cancel is no failure");
}

#[test]
fn a_cancelled_run_whose_agent_is_lost_is_cancelled_and_no_failure() {
    for dies in [false, true] {
        let (mut world, attempt) = asked_to_stop();
        world.input(Input::StreamClosed(StreamId(1)));
        if dies {
            world.crash();
        }
        world.pass(TTL + seconds(1));
        assert_cancelled(&world, attempt, Reason::AgentLost);
    }
}

#[test]
fn a_cancelled_run_that_its_agent_gave_up_is_cancelled_and_no_failure() {
    let (mut world, attempt) = asked_to_stop();
    world.finish(1, attempt, Outcome::Lost);
    assert_cancelled(&world, attempt, Reason::RightToRunEnded);
}

#[test]
fn a_run_whose_time_has_not_come_is_cancelled_at_once_and_never_starts() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.create("one", job());
    let not_before = Some(world.now.wall.saturating_add(seconds(60)));
    let trigger = Command::TriggerJob { job: key("one"), payload: None, labels: BTreeMap::new(), not_before };
    let Ok(Answer::Run(run)) = world.request(trigger) else { panic!("it is entered") };
    assert_eq!(world.ledger.runs[&run.id].reason, Some(Reason::NotDue));
    world.request(cancel(run.id)).unwrap();
    assert_eq!(world.ledger.runs[&run.id].state, RunState::Cancelled);
    world.pass_beating(62, &[1]);
    assert!(world.assigned().is_empty());
    world.trigger("one");
    assert_eq!(world.execute_all(), 1, "it holds no slot");
}

#[test]
fn a_run_that_waits_for_its_next_attempt_is_cancelled_at_once_and_has_none() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.create("one", fragile());
    let run = world.trigger("one").id;
    let first = world.assigned()[0].1.attempt;
    world.finish(1, first, Outcome::Failed);
    assert_eq!(world.ledger.runs[&run].reason, Some(Reason::RetryBackoff));
    world.request(cancel(run)).unwrap();
    let cancelled = &world.ledger.runs[&run];
    assert_eq!((cancelled.state, cancelled.next_attempt_time), (RunState::Cancelled, None));
    assert_eq!(cancelled.first_attempt.as_ref().unwrap().state, AttemptState::Failed);
    world.pass_beating(5, &[1]);
    assert!(world.assigned().is_empty());
    world.trigger("one");
    assert_eq!(world.execute_all(), 1, "it holds no slot");
}

#[test]
fn an_agent_that_was_away_when_its_run_was_cancelled_is_told_when_it_is_back() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.create("one", job());
    let run = world.trigger("one").id;
    let attempt = world.assigned()[0].1.attempt;
    world.input(Input::StreamClosed(StreamId(1)));
    world.request(cancel(run)).unwrap();
    assert_eq!(world.ledger.runs[&run].state, RunState::Pending, "it may be running");
    assert!(world.ledger.runs[&run].cancel_requested_time.is_some());
    world.sent.clear();
    world.input(Input::Hello(StreamId(2), hello("a", 1, 1)));
    world.heard(2, FromAgent::Inventory(Inventory { held: vec![attempt], reports: vec![] }));
    let told = ToAgent::Cancel { attempt, reason: CancelReason::Requested };
    assert!(world.sent.contains(&(StreamId(2), told)));
    world.finish(2, attempt, Outcome::Cancelled);
    assert_eq!(world.ledger.runs[&run].state, RunState::Cancelled);
}

#[test]
fn cancel_running_ends_a_run_that_waits_for_an_agent_at_once() {
    let mut world = World::leading();
    let created = world.create("tick", Definition { overlap_policy: OverlapPolicy::CancelRunning, ..every(10) });
    world.pass(seconds(11));
    assert_eq!(world.rows(RunState::Pending).len(), 1);
    world.pass(seconds(10));
    let nth = |n: u64| created.create_time.saturating_add(seconds(10 * n));
    let (cancelled, waiting) = (world.rows(RunState::Cancelled), world.rows(RunState::Pending));
    assert_eq!((cancelled.len(), waiting.len()), (1, 1));
    assert_eq!((cancelled[0].scheduled_time, cancelled[0].reason), (nth(1), Some(Reason::CancelledByOverlap)));
    assert_eq!(waiting[0].scheduled_time, nth(2));
    world.join(1, hello("a", 1, 9));
    let assigned = world.assigned();
    assert_eq!((assigned.len(), assigned[0].1.attempt.run), (1, waiting[0].id));
}
