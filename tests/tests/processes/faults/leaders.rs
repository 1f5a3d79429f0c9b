//! Leaders and agents that are killed and frozen.

use std::thread;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use punctual_tests::{Leader, Run, Trial, now, until};
use rustix::process::Signal;

use super::{PARTS, is_long, trial};

/// Of a leader in etcd. Whoever dies is replaced sooner, whoever is frozen half a second later.
const LEASE: TimeDelta = TimeDelta::seconds(3);
/// How long all nodes work together between two deaths.
const WORK: Duration = Duration::from_millis(700);

#[test]
fn leaders_and_agents_that_are_killed_and_frozen_lose_no_fire_and_double_none() {
    let Some(mut trial) = trial(PARTS) else { return };
    a_frozen_leader_does_nothing_but_step_down(&mut trial);
    killed_leaders_that_come_back_at_once_are_replaced_before_their_leases_end(&mut trial);
    a_killed_agents_task_is_done_by_another(&mut trial);
    a_frozen_agents_task_is_done_by_another(&mut trial);
    trial.verdict().assert_right();
}

fn a_frozen_leader_does_nothing_but_step_down(trial: &mut Trial) {
    let Leader { node, epoch } = trial.cluster.leader(0);
    let standby = trial.cluster.other(node);
    let warned = |trial: &Trial| trial.cluster.nodes[node].log().matches("this node leads no more").count();
    let before = warned(trial);
    trial.cluster.nodes[node].process().signal(Signal::STOP);
    let frozen = now();
    let dispatched = trial.cluster.next_dispatch(standby, epoch, frozen);
    println!("SIGSTOP of the leader: the next dispatch after {} ms", (dispatched - frozen).num_milliseconds());
    let next = trial.cluster.leader(standby);
    trial.cluster.nodes[node].process().signal(Signal::CONT);
    until("the old leader to say that it leads no more", 20, || (warned(trial) > before).then_some(()));
    trial.await_work(node);
    assert!(next.node != node && next.epoch > epoch, "{next:?} after {node} in {epoch}");
    let late: Vec<Run> = trial.runs_after(frozen).into_iter().filter(|run| is_of(run, epoch)).collect();
    assert!(late.is_empty(), "the old leader has handed something out since: {late:?}");
}

fn is_of(run: &Run, epoch: i64) -> bool {
    i64::try_from(run.fencing_token() >> 20) == Ok(epoch)
}

/// Scenario 35.
fn killed_leaders_that_come_back_at_once_are_replaced_before_their_leases_end(trial: &mut Trial) {
    let times = if is_long() { 30 } else { 6 };
    let mut took: Vec<TimeDelta> = (0..times).map(|_| kill_and_start(trial)).collect();
    took.sort();
    let told: Vec<i64> = took.iter().map(TimeDelta::num_milliseconds).collect();
    println!("{times} kills of the leader: the next dispatch after these milliseconds: {told:?}");
    assert!(took.last() < Some(&LEASE), "{told:?}");
}

fn kill_and_start(trial: &mut Trial) -> TimeDelta {
    trial.cluster.stand(0, trial.cluster.nodes.len());
    thread::sleep(WORK);
    let Leader { node, epoch } = trial.cluster.leader(0);
    let standby = trial.cluster.other(node);
    let killed = now();
    trial.cluster.nodes[node].kill();
    trial.cluster.nodes[node].launch();
    let dispatched = trial.cluster.next_dispatch(standby, epoch, killed);
    trial.cluster.nodes[node].wait_until_ready();
    dispatched - killed
}

/// The place among the agents of the one that runs the last attempt.
fn agent(run: &Run) -> usize {
    run.agent_id.strip_prefix("agent-").and_then(|number| number.parse().ok()).expect("because that is its name")
}

#[track_caller]
fn await_second_attempt(trial: &Trial, run_id: &str) -> Run {
    until("an attempt by another agent", 40, || {
        Some(trial.rest().run(run_id)).filter(|run| run.attempt > 1 && run.start_time.is_some())
    })
}

/// Rule 19: not before its right to run has certainly ended.
#[track_caller]
fn assert_lost(run: &Run, victim: usize, since: DateTime<Utc>) {
    let [first, second, ..] = run.attempts.as_slice() else { panic!("two attempts: {run:?}") };
    assert_eq!((first.state.as_str(), first.agent_id.clone()), ("LOST", format!("agent-{victim}")), "{run:?}");
    assert_ne!(second.agent_id, first.agent_id, "{run:?}");
    assert!(second.create_time - since > TimeDelta::seconds(2), "too early after {since}: {run:?}");
}

fn a_killed_agents_task_is_done_by_another(trial: &mut Trial) {
    let run = trial.run_task("on-a-killed-agent", 10);
    let victim = agent(&run);
    trial.cluster.agents[victim].process.kill();
    let killed = now();
    assert_lost(&await_second_attempt(trial, &run.run_id), victim, killed);
    trial.cluster.restart_agent(victim);
    trial.cluster.nodes[0].has_agents(trial.cluster.agents.len() as u64);
}

fn a_frozen_agents_task_is_done_by_another(trial: &mut Trial) {
    let run = trial.run_task("on-a-frozen-agent", 10);
    let victim = agent(&run);
    trial.cluster.agents[victim].process.signal(Signal::STOP);
    let frozen = now();
    assert_lost(&await_second_attempt(trial, &run.run_id), victim, frozen);
    trial.cluster.agents[victim].process.signal(Signal::CONT);
    trial.cluster.nodes[0].has_agents(trial.cluster.agents.len() as u64);
    let first_ended = |line: &Vec<String>| line[0] == "end" && line[2] == run.run_id && line[3] == "1";
    assert!(!trial.witness.lines().iter().any(first_ended), "a frozen agent's task has gone on");
}
