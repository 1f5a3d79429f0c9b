//! A leader that cannot confirm its lease.

use std::time::Duration;

use crate::agent::{FromAgent, Outcome, StreamId, ToAgent};
use crate::engine::{Alert, Answer, Away, Command, Input, Refusal};
use crate::run::RunState;

use super::world::{LEASE, TTL, World, every, hello, instance, job, key, seconds, trigger};

/// A leader with an agent that beats; the coordinator has fallen silent, and the lease has run out.
fn suspended(prepare: impl FnOnce(&mut World)) -> World {
    let mut world = World::leading_in_cluster();
    world.join(1, hello("a", 1, 4));
    prepare(&mut world);
    world.coordinator_works = false;
    world.pass_beating(LEASE.as_secs(), &[1]);
    assert!(world.alerts.contains(&Alert::Suspended));
    world
}

fn resume(world: &mut World) {
    world.coordinator_works = true;
    world.pass_beating(2, &[1]);
    assert!(world.alerts.contains(&Alert::Resumed));
}

#[test]
fn a_lease_counts_from_the_sending_of_the_keep_alive() {
    let mut world = World::leading_in_cluster();
    world.coordinator_works = false;
    world.pass(seconds(1));
    let sent = world.keep_alives.pop().unwrap();
    world.pass(Duration::from_millis(1_900));
    assert!(!world.alerts.contains(&Alert::Suspended));
    // Its answer was 1.9 s on its way: so much of the lease has passed.
    world.input(Input::KeptAlive(sent));
    world.pass(Duration::from_millis(1_050));
    assert!(!world.alerts.contains(&Alert::Suspended));
    world.pass(seconds(1));
    assert!(world.alerts.contains(&Alert::Suspended));
}

#[test]
fn a_leader_that_wakes_from_a_freeze_is_suspended_before_it_does_anything() {
    let mut world = World::leading_in_cluster();
    world.join(1, hello("a", 1, 4));
    world.create("tick", every(1));
    world.coordinator_works = false;
    world.skip(seconds(4));
    world.heard(1, FromAgent::Heartbeat { n: 9, sent_time: None });
    assert!(world.assigned().is_empty() && world.ledger.runs.is_empty());
    assert!(world.alerts.contains(&Alert::Suspended));
}

#[test]
fn a_suspended_leader_decides_no_fires_and_loses_none() {
    let mut world = suspended(|world| drop(world.create("tick", every(1))));
    world.execute_all();
    let entered = world.ledger.runs.len();
    let (decided, begun) = (world.ledger.watermark, world.now.wall);
    world.pass_beating(5, &[1]);
    assert_eq!(world.ledger.runs.len(), entered);
    assert!(world.ledger.watermark <= begun.saturating_add(seconds(1)) && world.ledger.watermark >= decided);
    assert!(world.assigned().is_empty());
    resume(&mut world);
    world.pass_beating(1, &[1]);
    let covered: u64 = world.ledger.runs.values().map(|run| run.coalesced_count).sum();
    assert_eq!(covered, 11, "each instant once");
}

#[test]
fn what_was_committed_on_the_way_into_suspension_is_sent_after_it() {
    let mut world = suspended(|world| {
        world.create("one", job());
        world.ledger_works = false;
        world.begin(None, trigger("one"));
    });
    world.ledger_catches_up();
    assert!(world.assigned().is_empty());
    resume(&mut world);
    assert_eq!(world.assigned().len(), 1);
}

#[test]
fn what_is_cancelled_before_it_was_sent_is_never_sent() {
    let mut world = suspended(|world| {
        world.create("one", job());
        world.ledger_works = false;
        world.begin(None, trigger("one"));
    });
    world.ledger_catches_up();
    let run = *world.ledger.runs.keys().next().unwrap();
    world.request(Command::CancelRun { namespace: "default".into(), run, note: String::new() }).unwrap();
    assert_eq!(world.rows(RunState::Cancelled).len(), 1);
    resume(&mut world);
    assert!(world.assigned().is_empty());
}

#[test]
fn triggers_are_refused_while_changes_and_reports_go_on() {
    let mut world = suspended(|world| {
        world.create("one", job());
        world.trigger("one");
    });
    let attempt = world.assigned()[0].1.attempt;
    assert_eq!(world.request(trigger("one")), Err(Refusal::Unavailable(Away::Suspended)));
    let backfill = Command::BackfillJob {
        job: key("one"),
        start_time: world.now.wall.saturating_sub(seconds(9)),
        end_time: world.now.wall,
        max_runs: 9,
        concurrency: 1,
        validate_only: false,
    };
    assert_eq!(world.request(backfill), Err(Refusal::Unavailable(Away::Suspended)));
    world.finish(1, attempt, Outcome::Succeeded);
    assert_eq!(world.rows(RunState::Succeeded).len(), 1);
    world.request(Command::PauseJob { job: key("one"), note: String::new() }).unwrap();
    let Ok(Answer::Status(status)) = world.request(Command::Status) else { panic!("it answers") };
    assert!(status.suspended);
}

#[test]
fn a_suspended_leader_confirms_heartbeats_by_its_epoch_in_the_ledger() {
    let mut world = suspended(|_| {});
    world.sent.clear();
    world.heard(1, FromAgent::Heartbeat { n: 77, sent_time: None });
    world.pass(seconds(1));
    world.heard(1, FromAgent::Heartbeat { n: 78, sent_time: None });
    let confirmed = |n| move |m: &ToAgent| matches!(m, ToAgent::HeartbeatConfirmed { n: told, .. } if *told == n);
    assert!(world.sent.iter().any(|(_, message)| confirmed(78)(message)));
    world.sent.clear();
    world.ledger.epoch.0 += 1;
    world.pass(seconds(1));
    world.heard(1, FromAgent::Heartbeat { n: 79, sent_time: None });
    assert!(!world.sent.iter().any(|(_, message)| confirmed(79)(message)), "another leads");
    assert!(!world.engine.is_leading());
}

#[test]
fn a_suspended_leader_sleeps() {
    let mut world = suspended(|world| drop(world.create("tick", every(1))));
    world.pass(seconds(2));
    let before = world.now.boot;
    let wakeup = world.engine.next_wakeup().unwrap();
    assert!(wakeup > before);
}

/// Somebody else may be elected by then, and confirm its heartbeats.
#[test]
fn no_agent_is_given_up_by_a_suspended_leader() {
    let mut world = World::leading_in_cluster();
    world.join(1, hello("a", 1, 4));
    world.create("one", job());
    world.trigger("one");
    world.input(Input::StreamClosed(StreamId(1)));
    world.input(Input::LeasesEnded(vec![instance(1)]));
    world.coordinator_works = false;
    world.pass(TTL + TTL);
    assert_eq!(world.rows(RunState::Failed), []);
    world.coordinator_works = true;
    world.pass(seconds(2));
    assert_eq!(world.rows(RunState::Failed).len(), 1);
}

/// As an etcd that has just lost its quorum: it renews leases, and proves nothing.
#[test]
fn where_the_coordinator_only_renews_the_ledger_confirms_heartbeats() {
    let mut world = World::leading_in_cluster();
    world.join(1, hello("a", 1, 4));
    world.coordinator_works = false;
    world.sent.clear();
    for n in 1..=10 {
        world.heard(1, FromAgent::Heartbeat { n, sent_time: None });
        world.pass(Duration::from_millis(500));
        for renewed in std::mem::take(&mut world.keep_alives) {
            world.input(Input::KeptAlive(renewed));
        }
    }
    assert!(!world.alerts.contains(&Alert::Suspended));
    let confirmed = world.sent.iter().filter(|(_, sent)| matches!(sent, ToAgent::HeartbeatConfirmed { .. })).count();
    assert!((2..10).contains(&confirmed), "{confirmed} in 5 s");
}
