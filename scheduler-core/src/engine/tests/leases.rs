//! Agents' leases, in a cluster.

use crate::agent::{FromAgent, Inventory, StreamId, ToAgent};
use crate::engine::Input;
use crate::run::{Reason, RunState};

use super::world::{TTL, World, hello, instance, job, seconds};

/// A leader with an agent that has an attempt.
fn busy() -> World {
    busy_on(World::leading_in_cluster())
}

fn busy_on(mut world: World) -> World {
    world.join(1, hello("a", 1, 1));
    world.create("one", job());
    world.trigger("one");
    assert_eq!(world.assigned().len(), 1);
    world
}

#[test]
fn an_agent_is_lost_only_when_its_lease_has_ended_too() {
    let mut world = busy();
    world.input(Input::StreamClosed(StreamId(1)));
    world.pass(TTL + TTL);
    assert_eq!(world.rows(RunState::Failed), []);
    world.input(Input::LeasesEnded(vec![instance(1)]));
    let failed = world.rows(RunState::Failed);
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].reason, Some(Reason::AgentLost));
}

#[test]
fn an_agent_whose_lease_ends_early_is_lost_no_earlier() {
    let mut world = busy();
    world.input(Input::StreamClosed(StreamId(1)));
    world.input(Input::LeasesEnded(vec![instance(1)]));
    world.pass(TTL - seconds(1));
    assert_eq!(world.rows(RunState::Failed), []);
    world.pass(seconds(2));
    assert_eq!(world.rows(RunState::Failed).len(), 1);
}

/// The next leader tells less than the one before: what that had told counts until it is over, and then no more.
#[test]
fn after_the_longer_time_of_before_an_agent_is_given_up_by_the_time_that_it_was_told() {
    let gone_after = |beats: u64| {
        let mut world = World::in_cluster();
        world.ledger.longest_agent_ttl = seconds(60);
        world.elect();
        let mut world = busy_on(world);
        world.pass_beating(beats, &[1]);
        world.input(Input::StreamClosed(StreamId(1)));
        world.input(Input::LeasesEnded(vec![instance(1)]));
        (1..).find(|_| {
            world.pass(seconds(1));
            !world.rows(RunState::Failed).is_empty()
        })
    };
    assert_eq!(gone_after(5), Some(60 - 5));
    assert_eq!(gone_after(49), Some(60 - 49));
    assert_eq!(gone_after(100), Some(TTL.as_secs()));
}

/// The ledger has gone back to before it was told so long a time, but this node has seen it there.
#[test]
fn a_longer_time_that_the_ledger_has_lost_counts_for_who_has_seen_it() {
    let mut world = World::in_cluster();
    world.ledger.longest_agent_ttl = seconds(60);
    world.pass(seconds(1));
    world.ledger.longest_agent_ttl = seconds(1);
    world.elect();
    let mut world = busy_on(world);
    world.input(Input::StreamClosed(StreamId(1)));
    world.input(Input::LeasesEnded(vec![instance(1)]));
    world.pass(seconds(58));
    assert_eq!(world.rows(RunState::Failed), []);
    world.pass(seconds(3));
    assert_eq!(world.rows(RunState::Failed).len(), 1);
}

#[test]
fn an_agent_that_lives_gets_another_lease() {
    let mut world = busy();
    assert_eq!(world.loans.len(), 1);
    world.input(Input::LeasesEnded(vec![instance(1)]));
    assert_eq!(world.loans.len(), 2);
    assert_eq!(world.loans[1].1, instance(1));
    world.pass_beating(TTL.as_secs() + 1, &[1]);
    assert_eq!(world.rows(RunState::Failed), [], "it beats");
}

#[test]
fn an_agent_whose_stream_is_half_open_is_lost_all_the_same_and_one_that_beats_again_is_not() {
    let mut world = busy();
    world.pass(seconds(5));
    world.input(Input::LeasesEnded(vec![instance(1)]));
    assert_eq!(world.loans.len(), 1, "nothing is heard of it");
    world.pass_beating(2, &[1]);
    assert_eq!(world.loans.len(), 2);
    world.pass(seconds(5));
    world.input(Input::LeasesEnded(vec![instance(1)]));
    world.pass(TTL);
    assert_eq!(world.rows(RunState::Failed).len(), 1);
}

#[test]
fn leases_are_renewed_with_the_proofs_that_confirm_heartbeats() {
    let mut world = busy();
    let before = world.renewed.len();
    world.pass_beating(3, &[1]);
    let renewed = &world.renewed[before..];
    assert!(renewed.len() >= 3 && renewed.iter().all(|agent| *agent == instance(1)), "{renewed:?}");
}

#[test]
fn an_agent_whose_lease_was_not_renewed_is_not_confirmed_and_keeps_nobody_else_from_it() {
    let mut world = World::leading_in_cluster();
    world.join(1, hello("a", 1, 1));
    world.join(2, hello("b", 2, 1));
    world.pass(seconds(2));
    world.coordinator_works = false;
    // The first is asked about alone, the others together when that is answered.
    world.heard(1, FromAgent::Heartbeat { n: 9, sent_time: None });
    world.heard(2, FromAgent::Heartbeat { n: 9, sent_time: None });
    world.heard(1, FromAgent::Heartbeat { n: 10, sent_time: None });
    let first = world.questions.pop().unwrap();
    world.input(Input::LeadershipProved(first, None));
    world.sent.clear();
    let last = world.questions.pop().unwrap();
    world.input(Input::LeasesUnrenewed(last, vec![instance(1)]));
    world.input(Input::LeadershipProved(last, None));
    let confirmed = |(stream, message): &(StreamId, ToAgent)| {
        matches!(message, ToAgent::HeartbeatConfirmed { .. }).then_some(*stream)
    };
    assert_eq!(world.sent.iter().filter_map(confirmed).collect::<Vec<_>>(), [StreamId(2)]);
}

#[test]
fn a_loan_that_is_not_answered_is_asked_for_again_and_a_late_answer_is_none() {
    let mut world = World::leading_in_cluster();
    world.lends = false;
    world.join(1, hello("a", 1, 1));
    let (first, agent) = world.loans[0];
    world.input(Input::LeasesEnded(vec![agent]));
    world.input(Input::LeaseLent(first, agent, TTL));
    world.pass_beating(2, &[1]);
    assert_eq!(world.renewed, [], "the coordinator has lent nothing that lasts");
    let (last, _) = *world.loans.last().unwrap();
    assert!(last > first);
    world.input(Input::LeaseLent(last, agent, TTL));
    world.pass_beating(2, &[1]);
    assert!(!world.renewed.is_empty());
}

#[test]
fn the_next_leader_lends_to_agents_that_it_knows_by_their_attempts_only() {
    let mut world = busy();
    world.input(Input::Unelected(world.candidacy.unwrap()));
    world.loans.clear();
    world.pass(seconds(1));
    world.elect();
    assert_eq!(world.loans.iter().map(|(_, agent)| *agent).collect::<Vec<_>>(), [instance(1)]);
    world.pass(TTL + seconds(1));
    assert_eq!(world.rows(RunState::Failed), [], "its lease lasts");
    world.input(Input::LeasesEnded(vec![instance(1)]));
    assert_eq!(world.rows(RunState::Failed).len(), 1);
}

#[test]
fn a_suspended_leader_lends_nothing() {
    let mut world = World::leading_in_cluster();
    world.coordinator_works = false;
    world.pass(seconds(4));
    world.input(Input::Hello(StreamId(1), hello("a", 1, 1)));
    world.heard(1, FromAgent::Inventory(Inventory::default()));
    assert_eq!(world.loans, []);
    world.coordinator_works = true;
    world.pass(seconds(2));
    assert_eq!(world.loans.len(), 1);
}

#[test]
fn a_node_alone_lends_nothing() {
    let mut world = World::leading();
    world.join(1, hello("a", 1, 1));
    world.pass_beating(3, &[1]);
    assert_eq!((world.loans, world.renewed), (vec![], vec![]));
}
