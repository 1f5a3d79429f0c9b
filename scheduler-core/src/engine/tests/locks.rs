//! Locks of slots, in a cluster.

use std::time::Duration;

use crate::agent::{FromAgent, Inventory, Outcome, StreamId};
use crate::engine::{Command, Effect, IdleLocks, Input};
use crate::ids::{Epoch, FencingToken};
use crate::job::{Definition, OnLost, Retry};
use crate::lock::{HeldLock, Holder, LockName};
use crate::run::{AttemptState, Reason, RunState};

use super::ledger::Ledger;
use super::world::{LEASE, TTL, World, every, hello, instance, job, key, seconds, trigger};

/// A leader with an agent of so many slots.
fn leading(slots: u32) -> World {
    let mut world = World::leading_in_cluster();
    world.join(1, hello("a", 1, slots));
    world
}

/// Lets a job of every second run for so long, each run a moment.
fn run_for(world: &mut World, secs: u64) {
    for _ in 0..secs * 2 {
        world.pass_half_a_second(&[1]);
        world.execute_all();
    }
}

impl World {
    fn pass_half_a_second(&mut self, streams: &[u64]) {
        for stream in streams {
            self.heard(*stream, FromAgent::Heartbeat { n: 7, sent_time: None });
        }
        self.pass(Duration::from_millis(500));
    }

    fn only_lock(&self) -> (LockName, Holder) {
        assert_eq!(self.locks.len(), 1);
        self.locks.iter().next().map(|(name, holder)| (*name, *holder)).unwrap()
    }

    /// Somebody has the lock of a job's first slot, and this leader does not know.
    fn steal(&mut self, name: LockName, agent: u128) {
        let holder = Holder { instance: instance(agent), epoch: Epoch(1), token: FencingToken(1) };
        self.locks.insert(name, holder);
    }
}

#[test]
fn nothing_is_sent_before_both_its_commit_and_its_lock_are_confirmed() {
    for lock_first in [true, false] {
        let mut world = leading(1);
        world.create("one", job());
        (world.ledger_works, world.locks_work) = (false, false);
        world.begin(None, trigger("one"));
        // The run is entered with its attempt, beside the taking.
        assert_eq!((world.commits().len(), world.lock_calls.len()), (1, 1));
        if lock_first {
            world.locks_catch_up();
        } else {
            world.ledger_catches_up();
        }
        assert_eq!(world.assigned().len(), 0);
        world.ledger_catches_up();
        world.locks_catch_up();
        let assigned = world.assigned();
        assert_eq!(assigned.len(), 1);
        let (name, holder) = world.only_lock();
        assert_eq!((name.slot, holder.instance), (assigned[0].1.slot, instance(1)));
        assert_eq!(holder.token, assigned[0].1.fencing_token);
    }
}

#[test]
fn an_attempt_whose_lock_is_refused_is_never_sent_and_its_run_gets_another() {
    let mut world = leading(1);
    let name = LockName { job: world.create("one", job()).uid, slot: 0 };
    world.steal(name, 9);
    let run = world.trigger("one");
    assert_eq!(world.assigned().len(), 0);
    let first = world.ledger.runs[&run.id].first_attempt.clone().unwrap();
    assert_eq!((first.state, first.reason), (AttemptState::Lost, Some(Reason::LockNotTaken)));
    world.pass_beating(1, &[1]);
    let assigned = world.assigned();
    assert_eq!(assigned.len(), 1);
    assert_eq!(assigned[0].1.attempt.number, 2);
    assert_eq!(world.only_lock().1.instance, instance(1), "what nobody needed is released, and taken");
    assert_eq!(world.ledger.runs[&run.id].counted_attempts(), 1);
}

/// Sequence 23.
#[test]
fn an_attempt_whose_agent_has_no_lease_is_never_sent_and_its_run_gets_another() {
    let mut world = leading(1);
    world.create("one", job());
    world.locks_work = false;
    let run = world.trigger("one");
    let Some(Effect::TakeLocks(_, id, _)) = world.lock_calls.pop() else { panic!("no taking") };
    let loans = world.loans.len();
    world.locks_work = true;
    world.input(Input::LocksNotTaken(id));
    assert_eq!(world.loans.len(), loans + 1, "it lives, and gets another");
    let first = world.ledger.runs[&run.id].first_attempt.clone().unwrap();
    assert_eq!(first.reason, Some(Reason::LockNotTaken));
    assert_eq!(world.assigned().len(), 0);
    world.pass_beating(1, &[1]);
    assert_eq!(world.assigned().len(), 1);
}

#[test]
fn a_job_that_fires_again_soon_keeps_its_lock_and_one_that_does_not_leaves_none() {
    let mut world = leading(4);
    world.create("often", every(1));
    world.create("seldom", every(3_600));
    run_for(&mut world, 10);
    assert_eq!((world.locks_taken, world.locks_released), (1, 0));
    world.trigger("seldom");
    assert_eq!(world.execute_all(), 1);
    assert_eq!((world.locks_taken, world.locks_released), (2, 1));
}

#[test]
fn a_lock_is_not_released_before_the_end_of_its_attempt_is_in_the_ledger() {
    let mut world = leading(1);
    world.create("one", job());
    world.trigger("one");
    world.ledger_works = false;
    world.execute_all();
    assert_eq!(world.locks_released, 0);
    world.ledger_catches_up();
    assert_eq!((world.locks_released, world.locks.len()), (1, 0));
}

#[test]
fn an_idle_lock_is_given_up_when_its_time_has_passed() {
    let mut world = leading(1);
    world.create("often", every(1));
    run_for(&mut world, 3);
    world.request(Command::PauseJob { job: key("often"), note: String::new() }).unwrap();
    run_for(&mut world, 88);
    assert_eq!(world.locks.len(), 1);
    run_for(&mut world, 3);
    assert_eq!(world.locks.len(), 0);
}

#[test]
fn a_job_runs_where_its_lock_is_and_elsewhere_when_that_agent_takes_nothing() {
    let mut world = leading(4);
    world.create("often", every(1));
    run_for(&mut world, 2);
    world.join(2, hello("b", 2, 5));
    run_for(&mut world, 2);
    assert_eq!((world.locks_taken, world.only_lock().1.instance), (1, instance(1)));
    world.input(Input::StreamClosed(StreamId(1)));
    for _ in 0..4 {
        world.pass_half_a_second(&[2]);
        world.execute_all();
    }
    assert_eq!((world.locks_taken, world.locks_released), (2, 1));
    assert_eq!(world.only_lock().1.instance, instance(2));
    assert_eq!(world.rows(RunState::Pending), []);
}

#[test]
fn the_next_leader_hands_nothing_out_before_it_knows_the_locks_and_uses_those_that_are_idle() {
    let mut world = leading(1);
    world.create("often", every(1));
    run_for(&mut world, 2);
    world.input(Input::Unelected(world.candidacy.unwrap()));
    world.pass(seconds(1));
    world.locks_work = false;
    world.elect();
    world.join(2, hello("a", 1, 1));
    world.pass_half_a_second(&[2]);
    world.pass_half_a_second(&[2]);
    assert_eq!(world.assigned().len(), 0);
    world.locks_catch_up();
    assert_eq!(world.assigned().len(), 1);
    assert_eq!(world.locks_taken, 1, "by the leader of before");
}

#[test]
fn the_next_leader_takes_the_locks_that_attempts_lack_and_releases_those_of_others() {
    let mut world = leading(2);
    let lasting = Definition { max_instances: 2, ..job() };
    let uid = world.create("one", lasting).uid;
    world.trigger("one");
    world.trigger("one");
    let before = world.assigned();
    world.input(Input::Unelected(world.candidacy.unwrap()));
    world.locks.remove(&LockName { job: uid, slot: 0 });
    world.steal(LockName { job: uid, slot: 1 }, 9);
    world.pass(seconds(1));
    world.elect();
    world.pass(seconds(1));
    let holders: Vec<_> = world.locks.values().collect();
    assert_eq!(holders.len(), 2);
    assert!(holders.iter().all(|holder| holder.instance == instance(1)), "{holders:?}");
    assert!(before.iter().all(|(_, assign)| holders.iter().any(|holder| holder.token == assign.fencing_token)));
}

#[test]
fn locks_that_were_read_before_a_lease_ended_are_read_again() {
    let mut world = leading(2);
    world.create("often", every(1));
    run_for(&mut world, 2);
    let held = world.locks.iter().map(|(name, holder)| HeldLock { name: *name, holder: *holder });
    let held: Vec<_> = held.collect();
    assert_eq!(held.len(), 1, "an idle one");
    world.input(Input::Unelected(world.candidacy.unwrap()));
    world.locks_work = false;
    world.pass(seconds(1));
    world.elect();
    let Some(Effect::ReadLocks(_, id)) = world.lock_calls.pop() else { panic!("nothing is read") };
    world.end_lease(instance(1));
    world.input(Input::LocksRead(id, held));
    world.join(2, hello("a", 1, 2));
    world.assigned();
    (0..4).for_each(|_| world.pass_half_a_second(&[2]));
    assert_eq!(world.assigned(), [], "the locks are not known");
    world.locks_work = true;
    world.pass_half_a_second(&[2]);
    world.pass_half_a_second(&[2]);
    assert_eq!((world.assigned().len(), world.locks.len()), (1, 1), "they are read, and this one is taken");
}

/// Sequence 30.
#[test]
fn after_a_lease_that_ended_early_the_slots_are_taken_again_and_what_runs_goes_on() {
    let mut world = leading(2);
    world.create("one", job());
    world.create("often", every(1));
    let run = world.trigger("one");
    let held = world.assigned();
    run_for(&mut world, 2);
    world.end_lease(instance(1));
    assert_eq!(world.locks.len(), 1, "the idle one is gone: {:?}", world.locks);
    run_for(&mut world, 2);
    world.finish(1, held[0].1.attempt, Outcome::Succeeded);
    assert_eq!(world.ledger.runs[&run.id].state, RunState::Succeeded);
    assert_eq!(world.rows(RunState::Succeeded).iter().filter(|run| run.attempt > 1).count(), 0);
}

#[test]
fn an_idle_lock_is_not_used_on_a_lease_that_may_have_ended() {
    let mut world = World::leading_in_cluster();
    world.leases_last = seconds(2);
    world.join(1, hello("a", 1, 1));
    world.create("often", every(1));
    run_for(&mut world, 3);
    assert_eq!(world.locks_taken, 1);
    (world.coordinator_works, world.ledger_works) = (false, false);
    world.pass_half_a_second(&[1]);
    world.pass_half_a_second(&[1]);
    assert_eq!(world.commits().iter().filter(|(_, commit)| !commit.entered.is_empty()).count(), 1);
    world.pass(Duration::from_millis(1_200));
    world.ledger_catches_up();
    assert_eq!(world.assigned().len(), 0, "committed in time, and nobody knows whether its lock is there");
    world.coordinator_works = true;
    world.heard(1, FromAgent::Heartbeat { n: 8, sent_time: None });
    world.questions.clear();
    world.pass_beating(2, &[1]);
    assert!(!world.assigned().is_empty());
    assert_eq!(world.locks_taken, 1);
}

#[test]
fn a_taking_that_is_not_answered_is_asked_for_again_and_its_first_answer_counts() {
    let mut world = leading(1);
    world.create("one", job());
    world.locks_work = false;
    world.trigger("one");
    world.pass_beating(1, &[1]);
    let asked: Vec<Effect> = std::mem::take(&mut world.lock_calls);
    let [Effect::TakeLocks(_, first, locks), Effect::TakeLocks(_, second, same)] = &asked[..] else {
        panic!("{asked:?}")
    };
    assert!(first < second && locks == same, "the same, to the letter");
    let answer = world.do_lock_call(asked[0].clone());
    world.input(answer);
    assert_eq!(world.assigned().len(), 1);
    let late = world.do_lock_call(asked[1].clone());
    world.input(late);
    assert_eq!(world.assigned().len(), 0);
}

#[test]
fn a_lock_that_nobody_needed_in_the_end_is_released() {
    let mut world = leading(1);
    world.create("one", job());
    world.locks_work = false;
    world.trigger("one");
    // Its attempt waits for the lock, and is taken back by the change.
    world.request(Command::DisableJob { job: key("one"), note: String::new() }).unwrap();
    assert_eq!(world.rows(RunState::Cancelled).len(), 1);
    world.locks_catch_up();
    assert_eq!((world.locks.len(), world.assigned().len()), (0, 0));
}

#[test]
fn a_suspended_leader_asks_nothing_about_locks() {
    let mut world = leading(1);
    world.create("one", job());
    world.trigger("one");
    world.coordinator_works = false;
    world.pass_beating(4, &[1]);
    world.execute_all();
    assert_eq!(world.locks_released, 0);
    world.coordinator_works = true;
    world.pass_beating(2, &[1]);
    assert_eq!(world.locks_released, 1);
}

#[test]
fn idle_locks_are_no_more_than_allowed() {
    let limits = IdleLocks { an_agent: 2, ..IdleLocks::default() };
    let mut world = World::with("n1", Some(LEASE), World::in_cluster().now, Ledger::default(), limits);
    world.elect();
    world.join(1, hello("a", 1, 8));
    for n in 0..5 {
        world.create(&format!("often-{n}"), every(2));
    }
    run_for(&mut world, 5);
    assert_eq!(world.locks.len(), 2);
}

#[test]
fn takings_are_asked_for_agent_by_agent_in_transactions_that_etcd_takes() {
    let mut world = World::leading_in_cluster();
    world.join(1, hello("a", 1, 200));
    world.join(2, hello("b", 2, 200));
    world.create("many", Definition { max_instances: 300, ..job() });
    (world.ledger_works, world.locks_work) = (false, false);
    for _ in 0..300 {
        world.begin(None, trigger("many"));
    }
    world.ledger_works = true;
    while !world.calls.is_empty() {
        world.ledger_catches_up();
    }
    let mut taken = 0;
    for call in &world.lock_calls {
        let Effect::TakeLocks(_, _, locks) = call else { panic!("{call:?}") };
        assert!(locks.len() <= 127 && locks.iter().all(|lock| lock.holder.instance == locks[0].holder.instance));
        taken += locks.len();
    }
    assert_eq!(taken, 300);
    world.locks_catch_up();
    assert_eq!(world.assigned().len(), 300);
}

#[test]
fn a_lost_agents_slots_are_taken_by_others_when_its_lease_has_ended() {
    let mut world = leading(1);
    let retry = Retry { max_attempts: 2, ..Retry::default() };
    world.create("one", Definition { retry, on_lost: OnLost::Retry, ..job() });
    world.trigger("one");
    assert_eq!(world.assigned().len(), 1);
    world.input(Input::StreamClosed(StreamId(1)));
    world.join(2, hello("b", 2, 1));
    world.pass_beating(TTL.as_secs() + 2, &[2]);
    assert_eq!(world.assigned().len(), 0);
    world.end_lease(instance(1));
    world.pass_beating(2, &[2]);
    assert_eq!(world.assigned().len(), 1);
    assert_eq!(world.only_lock().1.instance, instance(2));
}

#[test]
fn a_node_alone_asks_nothing_about_locks() {
    let mut world = World::leading();
    world.locks_work = false;
    world.join(1, hello("a", 1, 1));
    world.create("often", every(1));
    run_for(&mut world, 3);
    assert!(world.rows(RunState::Succeeded).len() >= 2);
    assert_eq!(world.lock_calls, []);
}

#[test]
fn an_agent_that_comes_back_is_sent_what_waited_for_its_lock_after_its_inventory() {
    let mut world = leading(1);
    world.create("one", job());
    world.locks_work = false;
    world.trigger("one");
    world.input(Input::StreamClosed(StreamId(1)));
    world.locks_catch_up();
    world.input(Input::Hello(StreamId(2), hello("a", 1, 1)));
    assert_eq!(world.assigned().len(), 0);
    world.heard(2, FromAgent::Inventory(Inventory::default()));
    assert_eq!(world.assigned().len(), 1);
}

#[test]
fn what_a_taking_brings_back_after_its_release_is_released_and_not_used() {
    let mut world = leading(1);
    world.create("one", job());
    world.trigger("one");
    let (name, first) = world.only_lock();
    world.execute_all();
    assert_eq!(world.locks.len(), 0);
    // The taking is done a second time, late: the same agent has the lock, under a token that was given up.
    world.locks.insert(name, first);
    let run = world.trigger("one");
    assert_eq!(world.assigned().len(), 0);
    world.pass_beating(1, &[1]);
    assert_eq!(world.assigned().len(), 1);
    assert!(world.only_lock().1.token > first.token);
    assert_eq!(world.ledger.runs[&run.id].attempt, 2);
}

#[test]
fn a_lease_that_was_thought_to_have_ended_costs_no_lock_of_what_runs() {
    let mut world = leading(1);
    world.create("often", every(1));
    run_for(&mut world, 3);
    world.pass_half_a_second(&[1]);
    world.pass_half_a_second(&[1]);
    assert_eq!(world.assigned().len(), 1);
    let before = world.locks.clone();
    world.input(Input::LeasesEnded(vec![instance(1)]));
    assert_eq!((world.locks_released, &world.locks), (0, &before));
    run_for(&mut world, 3);
    assert_eq!(world.rows(RunState::Failed), []);
}

#[test]
fn an_attempt_that_gets_its_lock_after_all_before_its_commit_is_sent_and_goes_on() {
    let mut world = leading(1);
    world.create("one", job());
    (world.ledger_works, world.locks_work) = (false, false);
    world.begin(None, trigger("one"));
    let Some(Effect::TakeLocks(_, id, _)) = world.lock_calls.pop() else { panic!("no taking") };
    world.locks_work = true;
    world.input(Input::LocksNotTaken(id));
    assert_eq!(world.locks.len(), 1, "it got another lease, and took the lock");
    world.ledger_catches_up();
    assert_eq!(world.execute_all(), 1);
    assert_eq!(world.rows(RunState::Succeeded).len(), 1);
}
