//! More due at once than one decision makes runs of (DESIGN.md, section 5).

use std::time::Duration;

use crate::engine::Command;
use crate::job::{Definition, Job};
use crate::run::{Reason, RunState};
use crate::schedule::Schedule;

use super::world::{World, job, key, seconds};

const PERIOD: Duration = Duration::from_millis(100);

fn frequent() -> Definition {
    let schedule = Schedule { every: vec![PERIOD], ..Schedule::default() };
    Definition { schedule, coalesce: false, misfire_grace_time: seconds(3_600), max_instances: 2_000, ..job() }
}

/// Of 1,500 fires the latest 1,000 are runs, one each; the others are one MISSED row.
fn assert_the_latest_are_runs(world: &World, created: &Job) {
    let instant = |k: u32| created.create_time.saturating_add(PERIOD * k);
    let missed = world.rows(RunState::Missed);
    assert_eq!(missed.len(), 1);
    let missed = &missed[0];
    assert_eq!((missed.reason, missed.coalesced_count), (Some(Reason::TooManyDue), 500));
    assert_eq!((missed.first_scheduled_time, missed.scheduled_time), (Some(instant(1)), instant(500)));
    let words = "500 fires were due at once with more than 1000 later ones, which alone became runs";
    assert_eq!(missed.reason_message, words);
    let runs: Vec<_> = world.rows(RunState::Pending).iter().map(|run| run.scheduled_time).collect();
    assert_eq!(runs, (501..=1_500).map(instant).collect::<Vec<_>>());
    assert_eq!(world.ledger.runs.len(), 1_001);
}

#[test]
fn of_more_than_a_thousand_due_fires_the_latest_thousand_run_and_the_rest_is_one_missed_row() {
    let mut world = World::leading();
    let created = world.create("tick", frequent());
    world.skip(seconds(150));
    world.crash();
    assert_the_latest_are_runs(&world, &created);
}

#[test]
fn catch_up_makes_no_more_than_a_thousand_runs_either() {
    let mut world = World::leading();
    let created = world.create("tick", frequent());
    world.request(Command::PauseJob { job: key("tick"), note: String::new() }).unwrap();
    world.skip(seconds(150));
    world.request(Command::ResumeJob { job: key("tick"), catch_up: true, note: String::new() }).unwrap();
    assert_the_latest_are_runs(&world, &created);
}
