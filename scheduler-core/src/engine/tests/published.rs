//! What those who watch are told.

use std::sync::Arc;

use crate::agent::{FromAgent, LogChunk, LogSource, Outcome};
use crate::engine::Publication;
use crate::ids::RunId;
use crate::job::Definition;
use crate::run::RunState;

use super::world::{World, hello, job, seconds, trigger};

fn states(publication: &Publication) -> Vec<RunState> {
    let transaction = publication.committed.as_ref().expect("a commit");
    transaction.entered.iter().chain(&transaction.updated).map(|run| run.state).collect()
}

#[test]
fn each_commit_is_published_once_and_after_it_is_there() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 2));
    world.create("one", job());
    assert!(world.published[0].committed.is_none(), "a term begins");
    world.published.clear();
    world.ledger_works = false;
    world.begin(None, trigger("one"));
    assert!(world.published.is_empty());
    let commits = world.commits();
    world.ledger_catches_up();
    assert!(Arc::ptr_eq(world.published[0].committed.as_ref().unwrap(), &commits[0].1));
    assert_eq!(world.execute_all(), 1);
    let told: Vec<_> = world.published.iter().map(states).filter(|states| !states.is_empty()).collect();
    assert_eq!(told, [[RunState::Pending], [RunState::Succeeded]]);
}

#[test]
fn the_floor_waits_for_the_oldest_run_until_its_end_is_there() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 4));
    world.create("long", job());
    world.create("short", Definition { max_instances: 9, ..job() });
    let oldest = world.trigger("long").id;
    let (_, long) = world.assigned().remove(0);
    world.pass_beating(5, &[1]);
    let floor = |world: &World| world.published.last().unwrap().floor;
    world.trigger("short");
    assert!(floor(&world) <= oldest);
    world.ledger_works = false;
    world.finish(1, long.attempt, Outcome::Succeeded);
    let end = world.calls.remove(0);
    world.begin(None, trigger("short"));
    world.ledger_catches_up();
    assert!(floor(&world) <= oldest, "its end may still be lost");
    world.calls.push(end);
    world.ledger_catches_up();
    assert!(floor(&world) > oldest);
}

#[test]
fn ids_go_on_above_the_floor_when_the_clock_is_put_back() {
    let mut world = World::leading();
    world.create("one", job());
    let floor = world.published.last().unwrap().floor;
    assert_eq!(floor, RunId::at(world.now.wall, 0));
    world.now.wall = world.now.wall.saturating_sub(seconds(3_600));
    assert!(world.trigger("one").id > floor);
}

#[test]
fn output_that_is_not_there_yet_is_told() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 4));
    world.create("one", Definition { max_instances: 9, ..job() });
    let run = world.trigger("one").id;
    let (_, assign) = world.assigned().remove(0);
    world.ledger_works = false;
    let chunk = LogChunk {
        attempt: assign.attempt,
        sequence: 1,
        source: LogSource::Stdout,
        time: world.now.wall,
        data: b"hello".to_vec(),
        cut_bytes: 0,
    };
    world.heard(1, FromAgent::Logs(vec![chunk]));
    let log = world.calls.remove(0);
    world.finish(1, assign.attempt, Outcome::Succeeded);
    world.ledger_catches_up();
    let last = world.published.last().unwrap();
    assert_eq!(states(last), [RunState::Succeeded]);
    assert_eq!(last.logs_under_way.iter().copied().collect::<Vec<_>>(), [run]);
    world.calls.push(log);
    world.ledger_catches_up();
    assert!(world.published.last().unwrap().logs_under_way.is_empty());
}
