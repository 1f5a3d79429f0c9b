//! Nodes of a cluster: who stands, who takes over, and who gives leadership up.

use crate::agent::{FromAgent, StreamId, ToAgent};
use crate::engine::{Alert, Answer, Away, Bar, Command, Input, Other, ProofId, Refusal};
use crate::ids::{AgentId, Epoch, NodeId};
use crate::run::RunState;
use crate::schedule;
use crate::time::Skew;
use crate::txn::{Call, Election, Failure};

use super::ledger::Ledger;
use super::world::{LEASE, TTL, World, every, hello, instance, job, seconds, trigger};

fn other(version: &str) -> Input {
    Input::Others(vec![Other { node: NodeId::from("n2"), schedule_version: version.to_owned() }])
}

fn a_peer() -> Input {
    other(&schedule::VERSION)
}

fn starting(ledger: Ledger) -> World {
    World::of("n1", Some(LEASE), World::in_cluster().now, ledger)
}

fn step_down(node: Option<&str>) -> Command {
    Command::StepDown { node: node.map(NodeId::from) }
}

/// The ledger answers every call that there is with a failure, for a while.
fn ledger_fails_for(world: &mut World, secs: u64) {
    world.ledger_works = false;
    for _ in 0..secs * 10 {
        world.pass(seconds(1) / 10);
        for (id, _) in std::mem::take(&mut world.calls) {
            world.answer_call(id, Err(Failure::Unavailable("no route".into())));
        }
    }
}

#[test]
fn a_node_that_cannot_reach_the_ledger_does_not_stand() {
    let mut world = World::in_cluster();
    world.input(a_peer());
    let candidacy = world.candidacy.take().unwrap();
    ledger_fails_for(&mut world, 5);
    assert_eq!(world.resigned, [candidacy], "it withdraws");
    assert_eq!(world.candidacy, None);
    assert!(world.alerts.contains(&Alert::DoesNotStand(Bar::Ledger)));
    assert!(world.engine.ledger_fails(), "whoever asks whether it can serve is told");
    world.ledger_catches_up();
    world.input(Input::ChangesTold(1));
    world.pass(seconds(1));
    assert!(world.candidacy.is_some(), "it stands again");
    assert!(!world.engine.ledger_fails());
}

/// A node of a cluster that somebody has led, whose ledger is away.
fn without_the_ledger() -> World {
    let mut world = starting(Ledger { epoch: Epoch(1), longest_agent_ttl: TTL, ..Ledger::default() });
    world.input(a_peer());
    world.pass(seconds(2));
    ledger_fails_for(&mut world, 3);
    assert_eq!(world.resigned, Vec::from_iter(world.candidacy.take()), "somebody else leads");
    world.input(Input::Others(Vec::new()));
    ledger_fails_for(&mut world, 1);
    world
}

#[test]
fn where_nobody_else_stands_a_node_stands_without_the_ledger_and_agents_go_on() {
    let mut world = without_the_ledger();
    assert!(world.candidacy.is_some(), "the leader died while the ledger was away");
    world.input(Input::Hello(StreamId(5), hello("a", 1, 1)));
    world.elect();
    ledger_fails_for(&mut world, 1);
    let welcomed = |(stream, told): &(StreamId, ToAgent)| *stream == StreamId(5) && matches!(told, ToAgent::Welcome(_));
    assert!(world.sent.iter().any(welcomed), "{:?}", world.sent);
}

#[test]
fn of_two_that_stand_without_the_ledger_the_one_that_is_not_elected_goes() {
    let mut world = without_the_ledger();
    let before = world.resigned.len();
    world.input(a_peer());
    ledger_fails_for(&mut world, 2);
    assert_eq!(world.resigned.len(), before + 1);
    let mut elected = without_the_ledger();
    elected.elect();
    elected.input(a_peer());
    ledger_fails_for(&mut elected, 1);
    elected.input(Input::Others(Vec::new()));
    ledger_fails_for(&mut elected, 5);
    assert_eq!(elected.resigned.len(), before, "it stays");
}

#[test]
fn a_node_that_the_ledger_does_not_answer_at_all_withdraws() {
    let mut world = World::in_cluster();
    world.ledger_works = false;
    world.pass(seconds(5));
    assert_eq!(world.resigned.len(), 1);
}

#[test]
fn a_node_whose_clock_is_wrong_does_not_stand() {
    for ahead in [6_000_000, -6_000_000] {
        let mut world = starting(Ledger { ahead, ..Ledger::default() });
        world.pass(seconds(20));
        assert_eq!(world.candidacy, None);
        assert!(world.alerts.contains(&Alert::DoesNotStand(Bar::Clock(Skew(-ahead)))));
        world.ledger.ahead = ahead * 4 / 6;
        world.pass(seconds(2));
        assert!(world.candidacy.is_some());
    }
}

#[test]
fn a_node_of_an_earlier_schedule_version_waits_until_those_of_the_later_one_are_gone() {
    let mut world = starting(Ledger { schedule_version: Some("9999a-001".into()), ..Ledger::default() });
    world.input(other("9999a-001"));
    world.pass(seconds(100));
    world.input(Input::Others(Vec::new()));
    world.pass(seconds(59));
    assert_eq!(world.candidacy, None);
    world.pass(seconds(3));
    assert!(world.candidacy.is_some());
}

#[test]
fn a_node_of_a_later_schedule_version_stands_at_once() {
    let mut world = starting(Ledger { schedule_version: Some("2001a-001".into()), ..Ledger::default() });
    world.input(other("2001a-001"));
    assert!(world.candidacy.is_some());
}

#[test]
fn a_single_node_of_an_earlier_schedule_version_starts_at_once() {
    let ledger = Ledger { schedule_version: Some("9999a-001".into()), ..Ledger::default() };
    assert!(World::of("n1", None, World::new().now, ledger).candidacy.is_some());
}

#[test]
fn nobody_takes_over_on_a_lease_that_is_not_confirmed() {
    let mut world = World::in_cluster();
    world.coordinator_works = false;
    world.pass(seconds(4));
    world.ledger_works = false;
    world.elect();
    world.pass(seconds(1) / 2);
    assert!(!world.calls.iter().any(|(_, call)| matches!(call, Call::TakeOver(_))));
    world.ledger_catches_up();
    world.coordinator_works = true;
    world.pass(seconds(2));
    assert!(world.engine.is_leading());
}

#[test]
fn a_leader_whose_key_is_gone_steps_down_and_stands_again() {
    let mut world = World::leading_in_cluster();
    world.input(Input::Hello(StreamId(1), hello("a", 1, 1)));
    let first = world.candidacy.take().unwrap();
    world.input(Input::Unelected(first));
    assert!(!world.engine.is_leading());
    assert_eq!(world.closed, [StreamId(1)]);
    world.pass(seconds(1));
    assert!(world.candidacy.is_some_and(|candidacy| candidacy > first));
    world.input(Input::Elected(first, None));
    assert!(!world.engine.is_leading(), "that candidacy is over");
    world.elect();
    assert!(world.engine.is_leading());
}

#[test]
fn a_leader_that_the_ledger_deposes_gives_its_key_up_and_stands_again() {
    let mut world = World::leading_in_cluster();
    let first = world.candidacy.take();
    world.create("one", job());
    world.ledger.epoch = Epoch(i64::MAX >> 20);
    let handle = world.begin(None, trigger("one"));
    assert_eq!(world.answers.remove(&handle), Some(Err(Refusal::OutcomeUnknown)));
    assert_eq!(world.resigned, Vec::from_iter(first));
    world.pass(seconds(1));
    assert!(world.candidacy.is_some());
    assert_eq!(world.quit, None);
}

#[test]
fn a_single_node_that_the_ledger_deposes_ends() {
    let mut world = World::leading();
    world.create("one", job());
    world.ledger.epoch = Epoch(i64::MAX >> 20);
    world.begin(None, trigger("one"));
    assert!(world.quit.is_some() && world.engine.has_ended());
    let late = world.begin(None, trigger("one"));
    assert_eq!(world.answers.remove(&late), Some(Err(Refusal::Unavailable(Away::Stopping))));
}

#[test]
fn a_leader_without_the_ledger_gives_way_after_two_seconds_and_stands_back() {
    let mut world = World::leading_in_cluster();
    world.create("tick", every(1));
    world.input(a_peer());
    world.pass(seconds(2));
    let first = world.candidacy.take();
    ledger_fails_for(&mut world, 2);
    assert!(world.engine.is_leading());
    ledger_fails_for(&mut world, 2);
    assert!(!world.engine.is_leading());
    assert_eq!(world.resigned, Vec::from_iter(first));
    world.ledger_catches_up();
    world.pass(seconds(27));
    assert_eq!(world.candidacy, None);
    world.pass(seconds(5));
    assert!(world.candidacy.is_some());
}

#[test]
fn a_leader_stays_while_nobody_else_reaches_the_ledger_either() {
    let mut world = World::leading_in_cluster();
    world.create("tick", every(1));
    ledger_fails_for(&mut world, 20);
    assert!(world.engine.is_leading());
    // The ledger is back, and another node sees it first.
    world.input(a_peer());
    world.ledger_catches_up();
    world.pass(seconds(5));
    assert!(world.engine.is_leading());
}

#[test]
fn who_stands_back_for_nobody_stands_again() {
    let mut world = World::leading_in_cluster();
    world.input(a_peer());
    world.request(step_down(None)).unwrap();
    world.candidacy = None;
    world.input(Input::Others(Vec::new()));
    world.pass(seconds(2));
    assert!(world.candidacy.is_some());
}

#[test]
fn a_leader_that_is_told_to_step_down_finishes_what_it_began_and_resigns() {
    let mut world = World::leading_in_cluster();
    world.input(a_peer());
    world.create("one", job());
    let first = world.candidacy.take();
    world.ledger_works = false;
    let begun = world.begin(None, trigger("one"));
    let asked = world.begin(None, step_down(Some("n1")));
    let late = world.begin(None, trigger("one"));
    assert_eq!(world.answers.remove(&late), Some(Err(Refusal::Unavailable(Away::HandsOver))));
    assert!(world.resigned.is_empty() && !world.answers.contains_key(&asked));
    world.ledger_catches_up();
    assert!(world.answers.remove(&begun).unwrap().is_ok());
    assert!(matches!(world.answers.remove(&asked), Some(Ok(Answer::SteppedDown { .. }))));
    assert_eq!(world.resigned, Vec::from_iter(first));
    world.pass(seconds(28));
    assert_eq!(world.candidacy, None, "it stands back");
}

#[test]
fn a_leader_does_not_wait_for_ever_for_the_ledger_before_it_goes() {
    let mut world = World::leading_in_cluster();
    world.create("one", job());
    world.ledger_works = false;
    world.begin(None, trigger("one"));
    world.input(Input::Stop);
    assert!(!world.engine.has_ended());
    world.pass(seconds(5));
    assert!(world.engine.has_ended());
    assert_eq!(world.resigned.len(), 1);
}

#[test]
fn nobody_steps_down_for_another_leader_or_for_nobody() {
    let mut world = World::leading_in_cluster();
    assert_eq!(world.request(step_down(None)), Err(Refusal::NobodyElseStands));
    world.input(a_peer());
    assert!(matches!(world.request(step_down(Some("n7"))), Err(Refusal::AnotherLeads { .. })));
    assert!(world.engine.is_leading());
    assert_eq!(World::leading().request(step_down(None)), Err(Refusal::NobodyElseStands));
}

#[test]
fn a_stopped_node_resigns_and_asks_for_nothing_more() {
    let mut world = World::leading_in_cluster();
    world.input(Input::Stop);
    assert!(world.engine.has_ended());
    assert_eq!(world.resigned, [world.candidacy.unwrap()]);
    assert_eq!(world.engine.next_wakeup(), None);
    let mut candidate = World::in_cluster();
    candidate.input(Input::Stop);
    assert_eq!(candidate.resigned.len(), 1);
    candidate.elect();
    assert!(candidate.engine.has_ended());
}

/// A node in a cluster that is elected over a ledger with an election of revision 50.
fn doubting() -> (World, ProofId) {
    let mut world = World::in_cluster();
    world.pass(seconds(1));
    world.ledger.election = Some(Election { coordinator: "etcd".to_owned(), revision: 50 });
    world.coordinator_works = false;
    world.elect_by(7);
    assert!(!world.engine.is_leading(), "the ledger has a later election");
    let question = world.questions.pop().expect("a question about the key");
    (world, question)
}

#[test]
fn who_was_elected_before_the_ledgers_leader_stands_again() {
    let (mut world, question) = doubting();
    let first = world.candidacy.take();
    world.input(Input::LeadershipProved(question, Some(50)));
    assert_eq!(world.resigned, Vec::from_iter(first));
    world.coordinator_works = true;
    world.pass(seconds(1));
    assert!(world.candidacy > first);
    world.elect_by(51);
    assert!(world.engine.is_leading());
}

#[test]
fn an_election_of_a_new_history_of_the_coordinator_replaces_the_one_in_the_ledger() {
    let (mut world, question) = doubting();
    world.input(Input::LeadershipProved(question, Some(9)));
    assert!(world.engine.is_leading());
    assert_eq!(world.resigned, []);
}

#[test]
fn a_doubted_election_is_judged_anew_when_nobody_answers_or_the_ledger_has_another_by_then() {
    let (mut world, question) = doubting();
    world.pass(seconds(1) / 2);
    let again = world.questions.pop().expect("another question");
    assert!(again > question);
    world.ledger.election = Some(Election { coordinator: "etcd".to_owned(), revision: 60 });
    world.input(Input::LeadershipProved(again, Some(9)));
    assert!(!world.engine.is_leading(), "it judged another election");
    let third = world.questions.pop().expect("a question about the ledger's new election");
    world.input(Input::LeadershipProved(third, Some(10)));
    assert!(world.engine.is_leading());
}

fn died(world: &mut World, epoch: i64) {
    world.input(Input::LeaderDied { epoch: Epoch(epoch), instance: format!("leader of {epoch}") });
}

fn seen(world: &mut World, epoch: i64) {
    world.input(Input::LeaderSeen { instance: format!("leader of {epoch}") });
}

/// It is deposed if another was elected meanwhile, and would otherwise keep itself from standing for a while.
#[test]
fn a_leader_that_wakes_from_a_freeze_does_not_take_its_own_sleep_for_the_ledgers_silence() {
    let mut world = World::leading_in_cluster();
    world.input(a_peer());
    world.ledger_works = false;
    while world.calls.is_empty() {
        world.pass(seconds(1) / 2);
    }
    world.skip(seconds(10));
    world.input(Input::Wake);
    assert!(world.engine.is_leading());
    assert_eq!(world.resigned, []);
    world.pass(seconds(3));
    assert!(!world.engine.is_leading(), "now it is silent");
}

#[test]
fn a_leader_that_most_agents_cannot_reach_gives_way_if_others_stand() {
    let mut world = World::leading_in_cluster();
    for n in 1..=3_u32 {
        world.join(n.into(), hello(&format!("agent-{n}"), n.into(), 1));
    }
    let unreached = |world: &mut World, n: u32| {
        world.input(Input::StreamClosed(StreamId(n.into())));
        world.input(Input::Unreached(AgentId::from(format!("agent-{n}").as_str())));
    };
    unreached(&mut world, 1);
    unreached(&mut world, 1);
    assert!(world.engine.is_leading(), "one of three");
    unreached(&mut world, 2);
    assert!(world.engine.is_leading(), "nobody else could do better");
    world.input(a_peer());
    world.join(11, hello("agent-1", 1, 1));
    unreached(&mut world, 2);
    assert!(world.engine.is_leading(), "one of them has come");
    unreached(&mut world, 3);
    assert!(!world.engine.is_leading());
    assert!(world.alerts.contains(&Alert::Resigned("most agents cannot reach it")));
}

#[test]
fn agents_that_say_nothing_any_more_are_not_taken_for_reached() {
    let mut world = World::leading_in_cluster();
    world.input(a_peer());
    for n in 1..=3_u32 {
        world.join(n.into(), hello(&format!("agent-{n}"), n.into(), 1));
    }
    let unreached = |world: &mut World, n: u32| {
        world.input(Input::Unreached(AgentId::from(format!("agent-{n}").as_str())));
    };
    // Their streams are open all the while: nothing comes through that could close them.
    world.pass_beating(4, &[1, 2]);
    unreached(&mut world, 2);
    unreached(&mut world, 3);
    assert!(world.engine.is_leading(), "one of them beats, whatever was said in its name");
    world.pass_beating(4, &[1]);
    unreached(&mut world, 2);
    unreached(&mut world, 3);
    assert!(!world.engine.is_leading());
}

#[test]
fn a_leader_that_has_lost_all_its_agents_gives_way_once_if_others_stand() {
    let lost = Alert::Resigned("it has lost all its agents");
    let mut world = World::leading_in_cluster();
    world.input(a_peer());
    world.create("one", job());
    world.join(1, hello("busy", 1, 1));
    world.join(2, hello("idle", 2, 1));
    world.trigger("one");
    world.pass(TTL + seconds(1));
    world.input(Input::LeasesEnded(vec![instance(2)]));
    assert!(world.engine.is_leading(), "one is left");
    world.ledger_works = false;
    world.input(Input::LeasesEnded(vec![instance(1)]));
    assert!(world.engine.is_leading(), "what they leave is to be in the ledger before");
    world.ledger_catches_up();
    assert!(!world.engine.is_leading() && world.alerts.contains(&lost));
    assert_eq!(world.rows(RunState::Failed).len(), 1);

    // Nobody else has taken over.
    world.alerts.clear();
    world.pass(seconds(31));
    world.elect();
    world.pass(seconds(30));
    assert!(world.engine.is_leading(), "it has none to lose");
    world.join(3, hello("leaving", 3, 1));
    world.heard(3, FromAgent::Draining);
    world.pass(TTL + seconds(1));
    world.input(Input::LeasesEnded(vec![instance(3)]));
    assert!(world.engine.is_leading(), "who has said that it goes is not lost");
    assert!(!world.alerts.contains(&lost));
}

#[test]
fn a_dead_leader_is_buried_once_an_epoch() {
    let mut world = World::in_cluster();
    died(&mut world, 5);
    died(&mut world, 5);
    died(&mut world, 4);
    assert_eq!(world.buried, ["leader of 5"]);
    died(&mut world, 6);
    assert_eq!(world.buried.len(), 2);
    let mut leading = World::leading_in_cluster();
    died(&mut leading, 7);
    assert!(leading.buried.is_empty(), "whoever leads knows better");
}

#[test]
fn who_buried_three_living_leaders_within_a_minute_leaves_it_to_the_lease() {
    let mut world = World::in_cluster();
    for epoch in 1..=3 {
        died(&mut world, epoch);
        seen(&mut world, epoch);
        // Told twice, it is one wrong guess.
        seen(&mut world, epoch);
    }
    died(&mut world, 4);
    assert_eq!(world.buried.len(), 3);
    world.skip(seconds(60));
    died(&mut world, 5);
    assert_eq!(world.buried.len(), 4);
}
