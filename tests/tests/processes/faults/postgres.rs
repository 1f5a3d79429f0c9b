//! Postgres away, and the leader dying meanwhile.

use std::thread;

use punctual_tests::{Heard, Trial, now, until};

use super::{PARTS, assert_went_on, longer_than_the_outage, outage, read, trial, write};

/// How long an answer may take, in milliseconds.
const AT_ONCE: i64 = 1_500;

#[test]
fn tasks_outlive_a_postgres_that_is_away_and_a_leader_that_dies_meanwhile_and_nothing_is_lost_or_doubled() {
    let Some(mut trial) = trial(PARTS) else { return };
    while_postgres_is_away_tasks_go_on_and_clients_are_told_at_once(&mut trial);
    tasks_outlive_the_leader_that_dies_while_postgres_is_away(&mut trial);
    trial.verdict().assert_right();
    let jobs = trial.rest().call("GET", "/jobs?query=refused&pageSize=100", None).ok();
    assert_eq!(jobs["jobs"].as_array().map(Vec::len), Some(0), "what was refused is not done: {jobs}");
}

fn while_postgres_is_away_tasks_go_on_and_clients_are_told_at_once(trial: &mut Trial) {
    let long = trial.run_task("over-postgres-outage", longer_than_the_outage());
    // Scenario 33: neither the flood nor the outage holds back heartbeats.
    let flood = trial.run_flood("flood", longer_than_the_outage());
    let short = trial.run_task("in-postgres-outage", 3);
    trial.cluster.postgres.kill();
    for (number, node) in trial.cluster.nodes.iter().enumerate() {
        let (heard, took) = write(&node.rest, &format!("refused-first-{number}"));
        println!("the first write at node {number}: {heard:?} after {took} ms");
        assert!(!matches!(heard, Heard::Done(_)) && took < AT_ONCE, "{heard:?} after {took} ms");
    }
    for (number, node) in trial.cluster.nodes.iter().enumerate() {
        for again in 0..10 {
            let (heard, took) = write(&node.rest, &format!("refused-{number}-{again}"));
            assert!(matches!(heard, Heard::NotDone) && took < AT_ONCE, "node {number}: {heard:?} after {took} ms");
        }
        let (status, took) = read(&node.rest);
        assert!(status == 503 && took < AT_ONCE, "a read at node {number}: {status} after {took} ms");
    }
    let ended = |line: &Vec<String>| line[0] == "end" && line[2] == short.run_id;
    until("a task to end meanwhile", 20, || trial.witness.lines().iter().any(ended).then_some(()));
    thread::sleep(outage());
    for (number, node) in trial.cluster.nodes.iter_mut().enumerate() {
        assert!(node.runs(), "node {number} has ended");
    }
    trial.cluster.postgres.come_back();
    trial.await_work(0);
    assert_went_on(trial, &short.run_id);
    assert_went_on(trial, &long.run_id);
    assert_went_on(trial, &flood.run_id);
}

/// Scenario 29: whoever is elected then confirms the agents' right to run by its key.
fn tasks_outlive_the_leader_that_dies_while_postgres_is_away(trial: &mut Trial) {
    let task = trial.run_task("over-both", longer_than_the_outage() + 2);
    let leader = trial.cluster.leader(0);
    trial.cluster.postgres.kill();
    trial.cluster.nodes[leader.node].kill();
    thread::sleep(outage());
    trial.cluster.postgres.come_back();
    let back = now();
    let dispatched = trial.cluster.next_dispatch(trial.cluster.other(leader.node), leader.epoch, back);
    println!("Postgres is back: the next dispatch after {} ms", (dispatched - back).num_milliseconds());
    trial.cluster.nodes[leader.node].start();
    trial.await_work(leader.node);
    assert_went_on(trial, &task.run_id);
}
