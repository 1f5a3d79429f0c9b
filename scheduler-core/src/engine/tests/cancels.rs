//! Runs that were asked to stop, wherever they are.

use crate::agent::{Outcome, StreamId};
use crate::engine::{Command, Input};
use crate::ids::{AttemptId, RunId};
use crate::job::{Definition, Retry};
use crate::run::{AttemptState, Reason, RunState};

use super::world::{TTL, World, hello, job, seconds};

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
