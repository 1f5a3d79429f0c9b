//! A ledger that was restored from a backup, before the next leader has it.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::{Config, IdleLocks, LedgerClock, Restored, restored};
use crate::ids::NodeId;
use crate::job::{Definition, Job};
use crate::run::{AttemptState, Reason, RunState, Trigger};
use crate::schedule::Schedule;
use crate::txn::{Call, Done, TakeOver};

use super::world::{LEASE, World, every, hello, job, seconds, trigger};

/// What `migrate --restored` does, on a ledger that was left as it is a minute ago.
fn settle(world: &mut World) -> Restored {
    world.now.wall = world.now.wall.saturating_add(seconds(60));
    let clock = world.now.wall;
    let take_over = TakeOver {
        node: NodeId::from("restore"),
        agent_ttl: seconds(1),
        schedule_version: "1".to_owned(),
        election: None,
        instead_of: None,
    };
    let began = match world.ledger.call(&Call::TakeOver(take_over), clock) {
        Ok(Done::TookOver(began)) => began,
        other => panic!("{other:?}"),
    };
    let load =
        Call::Load { epoch: began.epoch, entered_since: began.watermark.saturating_sub(seconds(5)), known: None };
    let snapshot = match world.ledger.call(&load, clock) {
        Ok(Done::Loaded(snapshot)) => *snapshot,
        other => panic!("{other:?}"),
    };
    let config = Config {
        node: NodeId::from("restore"),
        agent_ttl: seconds(1),
        lease: Some(LEASE),
        min_every: Duration::ZERO,
        idle_locks: IdleLocks::default(),
        ledger_clock: LedgerClock::ThisMachines,
        seed: 4_711,
    };
    let made = restored(config, &began, snapshot, world.now);
    for transaction in &made.transactions {
        world.ledger.call(&Call::Commit(Arc::new(transaction.clone())), clock).unwrap();
    }
    made
}

fn of(world: &World, job: &Job, state: RunState) -> Vec<crate::run::Run> {
    world.rows(state).into_iter().filter(|run| run.job_uid == job.uid).collect()
}

#[test]
fn what_a_restored_ledger_does_not_know_is_entered_as_unknown() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 8));
    let tick = world.create("tick", every(10));
    let waits = world.create("waits", Definition { pause_after_failures: 1, ..job() });
    world.request(trigger("waits")).unwrap();
    let after = Schedule { after_completion: Some(seconds(7)), ..Schedule::default() };
    let after = world.create("after", Definition { schedule: after, ..job() });
    world.pass_beating(2, &[1]);
    let handed_out = world.assigned().len();
    assert_eq!(handed_out, 2, "one of each that waits for nothing");

    let made = settle(&mut world);
    assert_eq!((made.fires, made.runs), (6, 2));
    assert!(made.alerts.is_empty());
    let [missed] = &of(&world, &tick, RunState::Missed)[..] else { panic!("one row for all") };
    assert_eq!((missed.reason, missed.coalesced_count), (Some(Reason::LedgerRestored), 6));
    assert_eq!(world.ledger.watermark, world.now.wall);
    for job in [&waits, &after] {
        let [ended] = &of(&world, job, RunState::Failed)[..] else { panic!("its run has ended") };
        assert_eq!(ended.reason, Some(Reason::LedgerRestored));
        let attempt = ended.first_attempt.as_ref().unwrap();
        assert_eq!((attempt.state, attempt.reason), (AttemptState::Lost, Some(Reason::LedgerRestored)));
    }
    assert_eq!(world.ledger.jobs[&waits.uid].pause, None, "nobody knows that it failed");
    let [next] = &of(&world, &after, RunState::Pending)[..] else { panic!("exactly one next run") };
    assert_eq!((next.trigger, next.not_before), (Trigger::Schedule, world.now.wall.saturating_add(seconds(7))));

    let again = settle(&mut world);
    assert_eq!(again.runs, 1, "what has ended stays so");
    world.crash();
    world.join(2, hello("a", 9, 8));
    world.pass_beating(12, &[2]);
    assert!(world.assigned().iter().all(|(_, assign)| assign.scheduled_time > missed.scheduled_time));
    assert!(!of(&world, &tick, RunState::Pending).is_empty() || !of(&world, &tick, RunState::Running).is_empty());
}
