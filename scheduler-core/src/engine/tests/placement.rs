//! Who gets a run, and which run goes first.

use std::collections::BTreeMap;

use crate::agent::{Hello, Outcome, StreamId, TaskType};
use crate::job::Definition;
use crate::run::{Reason, RunState};

use super::world::{World, hello, job, seconds};

/// An agent of one queue with a label `zone`.
fn in_zone(id: &str, n: u128, slots: u32, queue: &str, zone: &str) -> Hello {
    let labels = BTreeMap::from([("zone".to_owned(), zone.to_owned())]);
    Hello { labels, queues: vec![queue.to_owned()], ..hello(id, n, slots) }
}

fn for_queue_and_zone() -> Definition {
    let agent_selector = BTreeMap::from([("zone".to_owned(), "a".to_owned())]);
    Definition { queue: "q".into(), agent_selector, max_instances: 9, ..job() }
}

/// Three agents with more room than the one that fits, each of which lacks something.
fn join_those_that_do_not_fit(world: &mut World) {
    world.join(1, in_zone("other-queue", 1, 9, "default", "a"));
    world.join(2, in_zone("other-zone", 2, 9, "q", "b"));
    let elsewhere = vec![TaskType { name: "process".into(), payload_schema: None }];
    world.join(3, Hello { task_types: elsewhere, ..in_zone("other-work", 3, 9, "q", "a") });
    world.join(4, Hello { queues: vec!["q".into()], ..hello("no-zone", 4, 9) });
}

#[test]
fn a_run_goes_only_to_an_agent_of_its_queue_with_its_labels_and_task_type() {
    let mut world = World::leading();
    join_those_that_do_not_fit(&mut world);
    world.join(5, in_zone("fits", 5, 2, "q", "a"));
    world.create("picky", for_queue_and_zone());
    for _ in 0..3 {
        world.trigger("picky");
    }
    let streams: Vec<StreamId> = world.assigned().iter().map(|(stream, _)| *stream).collect();
    assert_eq!(streams, [StreamId(5), StreamId(5)]);
    assert_eq!(world.rows(RunState::Pending)[2].reason, Some(Reason::AgentsBusy));
}

#[test]
fn a_run_that_no_agent_fits_says_so_and_goes_to_the_first_that_does() {
    let mut world = World::leading();
    join_those_that_do_not_fit(&mut world);
    world.create("picky", for_queue_and_zone());
    let run = world.trigger("picky").id;
    assert!(world.assigned().is_empty());
    assert_eq!(world.ledger.runs[&run].reason, Some(Reason::NoAgent));
    let words = "no agent that offers noop is in queue q with the labels asked for";
    assert_eq!(world.ledger.runs[&run].reason_message, words);
    world.join(5, in_zone("fits", 5, 1, "q", "a"));
    let assigned = world.assigned();
    assert_eq!((assigned.len(), assigned[0].0, assigned[0].1.attempt.run), (1, StreamId(5), run));
}

#[test]
fn a_higher_priority_goes_first_when_room_is_scarce() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.create("blocks", job());
    world.trigger("blocks");
    let mut assigned = world.assigned();
    for (job_id, priority) in [("plain", 0), ("urgent", 5), ("idle", -3)] {
        world.create(job_id, Definition { priority, ..job() });
        world.trigger(job_id);
        world.pass(seconds(1));
    }
    let mut order = Vec::new();
    while let Some((_, assign)) = assigned.pop() {
        order.push(assign.job.job_id);
        world.finish(1, assign.attempt, Outcome::Succeeded);
        assigned = world.assigned();
        assert!(assigned.len() <= 1, "there is one slot");
    }
    assert_eq!(order, ["blocks", "urgent", "plain", "idle"]);
}
