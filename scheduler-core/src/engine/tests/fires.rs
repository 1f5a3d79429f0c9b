use crate::agent::Outcome;
use crate::job::{Definition, OverlapPolicy};
use crate::run::{Reason, RunState};

use super::world::{World, every, hello, job, seconds};

#[test]
fn every_fire_runs_once_with_its_attempt_in_one_insert() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 8));
    let created = world.create("tick", every(1));
    for _ in 0..10 {
        world.pass_beating(1, &[1]);
        assert_eq!(world.execute_all(), 1);
    }
    let runs = world.rows(RunState::Succeeded);
    assert_eq!(runs.len(), 10);
    for (k, run) in runs.iter().enumerate() {
        assert_eq!(run.scheduled_time, created.create_time.saturating_add(seconds(k as u64 + 1)));
        assert_eq!((run.attempt, run.occurrence), (1, 0));
    }
}

#[test]
fn nothing_is_sent_before_its_commit() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 8));
    world.create("tick", every(1));
    world.ledger_works = false;
    world.pass(seconds(1));
    assert!(world.assigned().is_empty());
    let entered: usize = world.commits().iter().map(|(_, transaction)| transaction.entered.len()).sum();
    assert_eq!(entered, 1);
    world.ledger_catches_up();
    assert_eq!(world.assigned().len(), 1);
}

#[test]
fn without_an_agent_a_fire_is_held_and_then_entered_with_what_it_waits_for() {
    let mut world = World::leading();
    world.create("tick", every(60));
    world.pass(seconds(60));
    assert!(world.ledger.runs.is_empty());
    world.pass(seconds(1));
    let waiting = world.rows(RunState::Pending);
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].reason, Some(Reason::UnknownTaskType));
    assert_eq!(waiting[0].attempt, 0);
    world.join(1, hello("a", 1, 8));
    assert_eq!(world.execute_all(), 1);
    assert_eq!(world.rows(RunState::Succeeded).len(), 1);
}

#[test]
fn fires_found_late_are_one_missed_row_and_those_within_grace_one_run() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 8));
    let grace = Definition { misfire_grace_time: seconds(10), ..every(1) };
    let created = world.create("tick", grace);
    world.skip(seconds(47));
    world.pass_beating(1, &[1]);
    world.execute_all();
    let missed = world.rows(RunState::Missed);
    assert_eq!(missed.len(), 1);
    assert_eq!(missed[0].reason, Some(Reason::Late));
    assert_eq!(missed[0].first_scheduled_time, Some(created.create_time.saturating_add(seconds(1))));
    let counted: u64 = world.ledger.runs.values().map(|run| run.coalesced_count).sum();
    assert_eq!(counted, 48);
}

#[test]
fn without_coalescing_each_fire_runs() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 8));
    world.create("tick", Definition { coalesce: false, max_instances: 10, ..every(1) });
    world.skip(seconds(5));
    world.heard(1, crate::agent::FromAgent::Heartbeat { n: 2, sent_time: None });
    assert_eq!(world.execute_all(), 5);
    assert_eq!(world.rows(RunState::Succeeded).len(), 5);
}

#[test]
fn a_fire_beside_a_running_one_is_skipped() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 8));
    world.create("tick", every(1));
    world.pass_beating(3, &[1]);
    assert_eq!(world.assigned().len(), 1);
    let skipped = world.rows(RunState::Skipped);
    assert_eq!(skipped.len(), 2);
    assert!(skipped.iter().all(|run| run.reason == Some(Reason::Overlap) && run.coalesced_count == 1));
}

#[test]
fn a_queued_fire_waits_for_the_slot_and_no_more_than_max_queued_do() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 8));
    world.create("tick", Definition { overlap_policy: OverlapPolicy::Queue, max_queued: 2, ..every(1) });
    world.pass_beating(5, &[1]);
    let assigned = world.assigned();
    assert_eq!(assigned.len(), 1);
    assert_eq!(world.rows(RunState::Pending).len(), 3);
    assert!(world.rows(RunState::Skipped).iter().all(|run| run.reason == Some(Reason::QueueFull)));
    world.finish(1, assigned[0].1.attempt, Outcome::Succeeded);
    assert_eq!(world.assigned().len(), 1);
}

#[test]
fn no_more_is_assigned_than_an_agent_has_slots_nor_than_max_instances() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 3));
    world.create("wide", Definition { max_instances: 2, ..job() });
    world.create("other", Definition { max_instances: 9, ..job() });
    for _ in 0..4 {
        world.trigger("wide");
        world.trigger("other");
    }
    let assigned = world.assigned();
    assert_eq!(assigned.len(), 3);
    assert!(assigned.iter().filter(|(_, assign)| assign.job.job_id == "wide").count() <= 2);
    for (_, assign) in assigned {
        world.finish(1, assign.attempt, Outcome::Succeeded);
    }
    while world.execute_all() > 0 {}
    assert_eq!(world.rows(RunState::Succeeded).len(), 8);
}

#[test]
fn the_watermark_never_passes_a_fire_that_is_not_entered() {
    let mut world = World::leading();
    world.create("tick", every(7));
    let created = world.now.wall;
    world.ledger_works = false;
    world.pass(seconds(30));
    for (_, transaction) in world.commits() {
        let watermark = transaction.watermark.unwrap_or_default();
        assert!(
            transaction.entered.iter().any(|run| run.scheduled_time >= created)
                || watermark < created.saturating_add(seconds(7))
        );
    }
    world.ledger_catches_up();
    world.pass(seconds(10));
    assert!(world.ledger.watermark > created.saturating_add(seconds(30)));
}

#[test]
fn a_burst_is_entered_with_its_attempts_in_one_insert_each() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 500));
    for n in 0..200 {
        world.create(&format!("job-{n}"), every(60));
    }
    world.pass_beating(59, &[1]);
    world.ledger_works = false;
    world.pass(seconds(1));
    let entered: Vec<_> = world.commits().iter().flat_map(|(_, transaction)| transaction.entered.clone()).collect();
    assert!(entered.len() >= 128, "{}", entered.len());
    assert!(entered.iter().all(|run| run.attempt == 1));
    world.ledger_catches_up();
    let mut executed = 0;
    while executed < 200 {
        let more = world.execute_all();
        assert!(more > 0);
        executed += more;
    }
    assert!(world.ledger.runs.values().all(|run| run.state == RunState::Succeeded && run.attempt == 1));
}
