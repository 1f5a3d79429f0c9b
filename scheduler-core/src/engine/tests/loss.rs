//! A ledger that has lost what it had confirmed.

use crate::agent::{FromAgent, Inventory, Outcome, StreamId};
use crate::engine::{Alert, Input, Refusal};
use crate::job::{Definition, OnLost, Retry};
use crate::run::{Reason, RunState};

use super::world::{TTL, World, every, hello, job, key, seconds, trigger};

/// Sequence 42: another database takes the place of the ledger's and has not received the last commits.
#[test]
fn a_ledger_that_has_lost_what_it_had_confirmed_is_taken_over_anew() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 8));
    world.create("tick", every(1));
    world.pass_beating(3, &[1]);
    world.execute_all();
    let copy = world.ledger.copy();
    world.pass_beating(3, &[1]);
    world.execute_all();
    let (epoch, lost) = (world.ledger.epoch, world.ledger.runs.len() - copy.runs.len());
    assert!(lost >= 2, "nothing was lost: {lost}");

    world.ledger = copy;
    world.pass_beating(2, &[1]);
    let lost = |alert: &Alert| matches!(alert, Alert::Disagreement(why) if why.contains("has lost transaction"));
    assert!(world.alerts.iter().any(lost), "{:?}", world.alerts);
    assert!(world.engine.is_leading() && world.ledger.epoch > epoch);
    world.join(2, hello("a", 1, 8));
    world.pass_beating(1, &[2]);
    let covered: u64 = world.ledger.runs.values().map(|run| run.coalesced_count).sum();
    assert_eq!(covered, 9, "each instant once, those that were lost too");
}

#[test]
fn a_loss_is_noticed_though_nothing_is_due() {
    let mut world = World::leading();
    let copy = world.ledger.copy();
    world.create("one", job());
    let epoch = world.ledger.epoch;
    world.ledger = copy;
    world.pass(seconds(6));
    assert!(world.ledger.epoch > epoch);
    assert_eq!(world.request(trigger("one")), Err(Refusal::JobNotFound(key("one"))));
}

/// Its agent has reported its end, which was acknowledged, and has forgotten it: that it lacks it does not say that it never ran.
#[test]
fn an_attempt_whose_end_the_ledger_has_lost_counts_as_lost() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 8));
    for (id, on_lost) in [("again", OnLost::Retry), ("once", OnLost::Fail)] {
        world.create(id, Definition { on_lost, retry: Retry { max_attempts: 2, ..Retry::default() }, ..job() });
        world.trigger(id);
    }
    let copy = world.ledger.copy();
    assert_eq!(world.execute_all(), 2);
    assert_eq!(world.rows(RunState::Succeeded).len(), 2);

    world.ledger = copy;
    world.pass_beating(6, &[1]);
    assert!(world.alerts.iter().any(|alert| matches!(alert, Alert::Disagreement(_))));
    world.join(2, hello("a", 1, 8));
    world.pass_beating(2, &[2]);
    assert_eq!(world.execute_all(), 1, "the one that may be started twice");
    let [failed] = &world.rows(RunState::Failed)[..] else { panic!("one of them") };
    assert_eq!((&*failed.job_key.job_id, failed.reason, failed.attempt), ("once", Some(Reason::LedgerRestored), 1));
    let [again] = &world.rows(RunState::Succeeded)[..] else { panic!("the other") };
    assert_eq!((again.attempt, again.uncounted_attempts), (2, 0));
}

/// What an agent runs that the ledger has lost holds a slot that the ledger takes to be free.
#[test]
fn after_a_loss_nothing_is_handed_out_before_agents_have_said_what_they_run_and_it_is_over() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 8));
    world.create("one", job());
    let copy = world.ledger.copy();
    let lost = world.trigger("one").id;
    let attempt = world.assigned()[0].1.attempt;
    assert_eq!(attempt.run, lost);

    world.ledger = copy;
    world.pass_beating(6, &[1]);
    assert!(world.alerts.iter().any(|alert| matches!(alert, Alert::Disagreement(_))));
    world.join(2, hello("b", 2, 8));
    world.trigger("one");
    world.pass_beating(1, &[2]);
    assert!(world.assigned().is_empty(), "the agent of before has said nothing yet");

    world.input(Input::Hello(StreamId(3), hello("a", 1, 8)));
    world.heard(3, FromAgent::Inventory(Inventory { held: vec![attempt], reports: vec![] }));
    world.pass_beating(1, &[2, 3]);
    assert!(world.assigned().is_empty(), "what it was told to cancel is not over");
    world.finish(3, attempt, Outcome::Cancelled);
    world.pass_beating(1, &[2, 3]);
    assert_eq!(world.execute_all(), 1);
}

#[test]
fn after_a_loss_an_agent_that_does_not_come_back_is_waited_for_as_long_as_it_may_go_on() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 8));
    world.create("one", job());
    let copy = world.ledger.copy();
    world.trigger("one");
    world.ledger = copy;
    world.pass(seconds(6));
    assert!(world.alerts.iter().any(|alert| matches!(alert, Alert::Disagreement(_))));
    world.assigned();
    world.join(2, hello("b", 2, 8));
    world.trigger("one");
    world.pass_beating(TTL.as_secs() - 2, &[2]);
    assert!(world.assigned().is_empty());
    world.pass_beating(3, &[2]);
    assert_eq!(world.execute_all(), 1);
}

#[test]
fn a_ledger_from_before_the_term_is_no_other_leaders() {
    let mut world = World::leading();
    world.create("one", job());
    let copy = world.ledger.copy();
    world.crash();
    let epoch = world.ledger.epoch;
    world.ledger = copy;
    world.pass(seconds(6));
    assert!(!world.alerts.iter().any(|alert| matches!(alert, Alert::Deposed(_))), "{:?}", world.alerts);
    assert!(world.engine.is_leading() && world.ledger.epoch > epoch);
}
