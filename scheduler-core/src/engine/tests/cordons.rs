//! Agents that are to get no new work.

use crate::agent::{Outcome, ToAgent};
use crate::engine::{AgentStatus, Answer, Command, Refusal};
use crate::ids::AgentId;
use crate::job::Definition;
use crate::run::{Reason, RunState};

use super::world::{World, hello, job, seconds};

fn cordon(agent: &str) -> Command {
    Command::CordonAgent { agent: AgentId::from(agent), note: "disk".to_owned() }
}

fn uncordon(agent: &str) -> Command {
    Command::UncordonAgent { agent: AgentId::from(agent) }
}

fn drain(agent: &str) -> Command {
    Command::DrainAgent { agent: AgentId::from(agent) }
}

fn told(world: &mut World, command: Command) -> AgentStatus {
    match world.request(command).unwrap() {
        Answer::Agents(agents) => agents.into_iter().next().unwrap(),
        other => panic!("{other:?}"),
    }
}

fn drains(world: &World) -> usize {
    world.sent.iter().filter(|(_, message)| *message == ToAgent::Drain).count()
}

#[test]
fn a_cordoned_agent_gets_no_new_work_until_it_is_uncordoned_and_finishes_what_it_has() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 2));
    world.create("one", Definition { max_instances: 9, ..job() });
    world.trigger("one");
    let (_, held) = world.assigned().remove(0);
    let cordoned = told(&mut world, cordon("a"));
    assert_eq!(cordoned.cordon.map(|cordon| (cordon.note, cordon.author)), Some(("disk".into(), "tester".into())));
    let waiting = world.trigger("one");
    world.pass_beating(2, &[1]);
    assert!(world.assigned().is_empty());
    assert_eq!(world.ledger.runs[&waiting.id].reason, Some(Reason::NoAgent));
    world.finish(1, held.attempt, Outcome::Succeeded);
    assert_eq!(world.rows(RunState::Succeeded).len(), 1);
    assert_eq!(told(&mut world, uncordon("a")).cordon, None);
    assert_eq!(world.assigned().len(), 1);
}

#[test]
fn a_cordon_outlives_its_leader_and_its_agent() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 2));
    told(&mut world, cordon("a"));
    world.crash();
    world.pass(seconds(1));
    world.create("one", job());
    let gone = told(&mut world, Command::Agents);
    assert_eq!((gone.id.as_str(), gone.instance, gone.cordon.is_some()), ("a", None, true));
    world.join(2, hello("a", 2, 2));
    world.trigger("one");
    assert!(world.assigned().is_empty());
    told(&mut world, uncordon("a"));
    assert_eq!(world.assigned().len(), 1);
}

#[test]
fn two_changes_of_a_cordon_are_not_in_flight_together() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 2));
    world.ledger_works = false;
    world.begin(None, cordon("a"));
    world.begin(None, uncordon("a"));
    world.begin(None, cordon("a"));
    assert_eq!(world.commits().len(), 1);
    world.ledger_catches_up();
    assert!(world.ledger.cordons.contains_key(&AgentId::from("a")));
}

#[test]
fn a_drained_agent_is_told_on_its_next_stream_too() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 2));
    world.create("one", job());
    assert!(told(&mut world, drain("a")).draining);
    assert_eq!(drains(&world), 1);
    world.trigger("one");
    assert!(world.assigned().is_empty());
    world.join(2, hello("a", 1, 2));
    assert_eq!(drains(&world), 2);
    assert!(world.assigned().is_empty());
}

#[test]
fn nothing_is_asked_of_agents_that_are_not_there() {
    let mut world = World::leading();
    for command in [cordon("b"), uncordon("b"), drain("b")] {
        assert_eq!(world.request(command), Err(Refusal::AgentNotFound(AgentId::from("b"))));
    }
    world.join(1, hello("a", 1, 2));
    world.input(crate::engine::Input::StreamClosed(crate::agent::StreamId(1)));
    assert_eq!(world.request(drain("a")), Err(Refusal::AgentAway(AgentId::from("a"))));
    assert_eq!(told(&mut world, uncordon("a")).cordon, None, "nothing to lift");
}
