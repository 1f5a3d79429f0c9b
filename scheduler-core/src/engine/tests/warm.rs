//! Standbys that know the jobs before they lead: what a leader tells them, and what they make of it.

use crate::engine::Command;
use crate::txn::CallId;

use super::world::{World, job, key};

fn pause(job_id: &str) -> Command {
    Command::PauseJob { job: key(job_id), note: String::new() }
}

/// The ledger carries out the call that waits at this place, and answers.
fn ledger_does(world: &mut World, place: usize) -> CallId {
    let (id, call) = world.calls.remove(place);
    let done = world.ledger.call(&call, world.now.wall);
    world.answer_call(id, done);
    id
}

#[test]
fn changes_are_told_up_to_the_first_that_may_not_be_in_the_ledger() {
    let mut world = World::leading();
    world.create("one", job());
    let last = world.create("two", job()).change_seq;
    assert_eq!(world.engine.changes_committed(), Some(last));
    world.ledger_works = false;
    world.begin(None, pause("one"));
    world.begin(None, pause("two"));
    assert_eq!(world.commits().len(), 2);
    ledger_does(&mut world, 1);
    assert_eq!(world.engine.changes_committed(), Some(last), "the first of the two is on its way");
    ledger_does(&mut world, 0);
    assert_eq!(world.engine.changes_committed(), Some(last + 2));
}

#[test]
fn the_number_of_a_change_is_given_once_though_what_had_it_is_gone() {
    let mut world = World::leading();
    world.create("one", job());
    let told = world.create("two", job()).change_seq;
    world.ledger.jobs.pop_last();
    world.crash();
    assert!(world.create("three", job()).change_seq > told);
}
