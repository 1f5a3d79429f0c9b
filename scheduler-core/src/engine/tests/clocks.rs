//! A ledger with a clock of its own, and machines whose clocks are others (rule 17).

use std::time::Duration;

use crate::agent::FromAgent;
use crate::engine::{Alert, Answer, ClockJump, Command, Effect, Input, MachineClock};
use crate::ids::AgentId;
use crate::time::{Skew, Timestamp};
use crate::txn::Call;

use super::ledger::Ledger;
use super::world::{LEASE, World, every, hello, job, seconds};

const STEP: Duration = Duration::from_millis(100);
const HOUR: i64 = 3_600_000_000;

fn set(world: &mut World, by: i64) {
    world.now.wall = Timestamp::from_micros(world.now.wall.as_micros() + by);
    world.ledger.ahead -= by;
}

/// A leader whose machine's clock is so many microseconds ahead of the ledger's, with an agent and a job of every second.
fn leading(ahead: i64) -> World {
    let mut now = World::in_cluster().now;
    now.wall = Timestamp::from_micros(now.wall.as_micros() + ahead);
    let mut world = World::of("n1", Some(LEASE), now, Ledger { ahead: -ahead, ..Ledger::default() });
    world.elect();
    world.join(1, hello("a", 1, 1));
    world.create("tick", every(1));
    world
}

/// What was handed out in a while, and how late by the ledger's clock.
fn handed_out(world: &mut World, secs: u64) -> Vec<i64> {
    let mut late = Vec::new();
    for n in 0..secs * 10 {
        world.heard(1, FromAgent::Heartbeat { n: 100 + n, sent_time: None });
        world.pass(STEP);
        let clock = world.ledger.clock(world.now.wall);
        let assigned = world.assigned();
        late.extend(
            assigned
                .iter()
                .map(|(_, a)| clock.as_micros() - world.ledger.runs[&a.attempt.run].scheduled_time.as_micros()),
        );
        for (stream, assign) in assigned {
            world.finish(stream.0, assign.attempt, crate::agent::Outcome::Succeeded);
        }
    }
    late
}

#[track_caller]
fn assert_on_time(late: &[i64], number: usize) {
    assert_eq!(late.len(), number, "{late:?}");
    assert!(late.iter().all(|late| (0..=100_000).contains(late)), "{late:?}");
}

#[test]
fn fires_come_at_the_ledgers_instants_whatever_the_machines_clock_says() {
    for ahead in [3_000_000, -3_000_000, 0] {
        let mut world = leading(ahead);
        assert_on_time(&handed_out(&mut world, 20), 20);
        for by in [HOUR, -2 * HOUR] {
            set(&mut world, by);
            assert_on_time(&handed_out(&mut world, 20), 20);
        }
        assert!(world.engine.is_leading(), "its machine's clock takes nobody's leadership");
    }
}

#[test]
fn the_ledgers_clock_is_followed_slowly_where_it_differs_by_little() {
    let mut world = leading(0);
    world.ledger.ahead += 1_000_000;
    let late = handed_out(&mut world, 40);
    // At most a second late, and less and less: a minute of 57 s, not one with a second left out.
    assert!(late.iter().all(|late| (0..=1_100_000).contains(late)), "{late:?}");
    assert_on_time(&late[late.len() - 5..], 5);
    assert_eq!(world.ledger.runs.len(), 41);
}

#[test]
fn time_goes_on_as_it_was_measured_while_the_ledger_is_away() {
    let mut world = leading(-3_000_000);
    handed_out(&mut world, 3);
    world.ledger_works = false;
    set(&mut world, 100_000_000);
    world.pass(seconds(8));
    let clock = world.ledger.clock(world.now.wall);
    let decided = world.commits().iter().map(|(_, transaction)| transaction.decided_at).max().expect("a fire was due");
    assert!(decided <= clock && clock.since(decided) < seconds(8), "decided at {decided}, by {clock}");
    world.ledger_catches_up();
    handed_out(&mut world, 1);
    assert_on_time(&handed_out(&mut world, 5), 5);
}

#[test]
fn a_ledger_whose_clock_jumps_ahead_is_obeyed_when_two_looks_ten_seconds_apart_agree() {
    let mut world = leading(0);
    handed_out(&mut world, 15);
    world.ledger.ahead += HOUR;
    let runs = world.ledger.runs.len();
    let before = world.now.boot;
    while !world.alerts.iter().any(|alert| matches!(alert, Alert::ClockJumped(ClockJump::Ahead(_)))) {
        handed_out(&mut world, 1);
        assert!(world.now.boot.since(before) < seconds(25), "it is never obeyed");
    }
    assert!(world.now.boot.since(before) >= seconds(10), "it is obeyed too soon");
    assert!(world.ledger.runs.len() >= runs + 10, "jobs fire meanwhile");
    handed_out(&mut world, 2);
    let missed: u64 = world.rows(crate::run::RunState::Missed).iter().map(|run| run.coalesced_count).sum();
    assert!((3_500..3_600).contains(&missed), "{missed} are missed, but for a minute's grace");
    assert_on_time(&handed_out(&mut world, 5), 5);
}

#[test]
fn a_ledger_whose_clock_is_ahead_for_a_while_fires_nothing_early_or_twice() {
    let mut world = leading(0);
    handed_out(&mut world, 15);
    world.ledger.ahead += HOUR;
    handed_out(&mut world, 10);
    assert!(world.alerts.contains(&Alert::ClockJumped(ClockJump::Doubted(Duration::from_micros(HOUR as u64)))));
    world.ledger.ahead -= HOUR;
    handed_out(&mut world, 1);
    assert_on_time(&handed_out(&mut world, 20), 20);
    assert_eq!(world.ledger.runs.len(), 46, "and none is missed");
}

#[test]
fn a_ledger_whose_clock_is_put_back_is_followed_as_soon_as_it_refuses() {
    let mut world = leading(0);
    handed_out(&mut world, 15);
    world.ledger.ahead -= 600_000_000;
    let refused = world.now.boot;
    handed_out(&mut world, 2);
    let back = Alert::ClockJumped(ClockJump::Back(seconds(600)));
    assert!(world.alerts.contains(&back), "after {:?}: {:?}", world.now.boot.since(refused), world.alerts);
    assert!(world.engine.is_leading());
    world.create("work", job());
}

#[test]
fn a_machine_whose_clock_is_wrong_is_warned_of_once_and_told_when_it_is_right() {
    let mut world = leading(1_000_000);
    handed_out(&mut world, 60);
    let said = |world: &World| {
        let said = world.alerts.iter().filter_map(|alert| match alert {
            Alert::MachineClock(machine) => Some(*machine),
            _ => None,
        });
        said.collect::<Vec<_>>()
    };
    assert_eq!(said(&world), [MachineClock::Wrong(Skew(1_000_000))]);
    assert_eq!(world.engine.skew(), Some(Skew(1_000_000)));
    set(&mut world, -700_000);
    handed_out(&mut world, 30);
    assert_eq!(said(&world).len(), 1, "it is not right yet");
    set(&mut world, -300_000);
    handed_out(&mut world, 11);
    assert_eq!(said(&world), [MachineClock::Wrong(Skew(1_000_000)), MachineClock::Right]);
}

#[test]
fn a_leader_looks_at_the_ledgers_clock_every_ten_seconds_and_at_its_own_never() {
    let surveys = |mut world: World| {
        world.elect();
        world.pass(seconds(2));
        let mut surveys = 0;
        for _ in 0..100 {
            world.skip(seconds(1));
            let mut out = Vec::new();
            world.engine.handle(world.now, Input::Wake, &mut out);
            for effect in out {
                match effect {
                    Effect::Call(id, call) => {
                        surveys += usize::from(call == Call::Survey);
                        let result = world.ledger.call(&call, world.now.wall);
                        world.answer_call(id, result);
                    }
                    Effect::KeepAlive(_, id) => world.input(Input::KeptAlive(id)),
                    _ => {}
                }
            }
        }
        surveys
    };
    assert_eq!((surveys(World::in_cluster()), surveys(World::new())), (10, 0));
}

#[test]
fn what_agents_say_of_their_clocks_is_told() {
    let mut world = leading(-2_000_000);
    let clock = world.ledger.clock(world.now.wall);
    let sent_time = Some(clock.saturating_add(seconds(3_600)));
    world.heard(1, FromAgent::Heartbeat { n: 2, sent_time });
    let skews = world.engine.agents_skews();
    assert_eq!(skews.into_iter().collect::<Vec<_>>(), [(AgentId::from("a"), Skew(HOUR))]);
    match world.request(Command::Agents) {
        Ok(Answer::Agents(agents)) => assert_eq!(agents[0].skew, Some(Skew(HOUR))),
        other => panic!("{other:?}"),
    }
}
