//! What those who watch are told.

use std::sync::Arc;

use crate::agent::{FromAgent, LogChunk, LogSource, Outcome, ToAgent};
use crate::engine::Publication;
use crate::ids::{AttemptId, RunId};
use crate::job::Definition;
use crate::run::RunState;
use crate::time::Timestamp;

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

fn chunk(attempt: AttemptId, sequence: u64, data: &str) -> FromAgent {
    let (source, time) = (LogSource::Stdout, Timestamp::from_secs(1));
    FromAgent::Logs(vec![LogChunk { attempt, sequence, source, time, data: data.into(), cut_bytes: 0 }])
}

#[test]
fn output_is_in_the_ledger_in_its_order_and_before_the_end() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 4));
    world.create("one", Definition { max_instances: 9, ..job() });
    let run = world.trigger("one").id;
    let other = world.trigger("one").id;
    let [(_, assign), (_, another)] = world.assigned().try_into().unwrap();
    world.ledger_works = false;
    world.heard(1, chunk(assign.attempt, 1, "hello"));
    world.heard(1, chunk(assign.attempt, 2, "again"));
    world.finish(1, assign.attempt, Outcome::Succeeded);
    let told = |world: &World| world.published.last().unwrap().logs_under_way.iter().copied().collect::<Vec<_>>();
    let held = |world: &World| world.commits().iter().flat_map(|(_, held)| held.logs.clone()).collect::<Vec<_>>();
    assert_eq!(held(&world).iter().map(|chunk| chunk.sequence).collect::<Vec<_>>(), [1], "the rest waits for it");
    assert_eq!(world.commits().len(), 1);
    // What another run says does not.
    world.heard(1, chunk(another.attempt, 1, "other"));
    world.finish(1, another.attempt, Outcome::Succeeded);
    let first = world.calls.remove(0);
    world.ledger_catches_up();
    assert_eq!(told(&world), [run], "{other} has all of its output");
    assert_eq!(world.rows(RunState::Succeeded).iter().map(|run| run.id).collect::<Vec<_>>(), [other]);
    world.calls.push(first);
    world.ledger_catches_up();
    assert_eq!(told(&world), []);
    assert_eq!(world.rows(RunState::Succeeded).len(), 2);
    let acked = |sent: &ToAgent| match sent {
        ToAgent::LogAck(acks) => acks.iter().filter(|ack| ack.attempt == assign.attempt).map(|ack| ack.sequence).next(),
        _ => None,
    };
    assert_eq!(world.sent.iter().filter_map(|(_, sent)| acked(sent)).collect::<Vec<_>>(), [1, 2]);
}
