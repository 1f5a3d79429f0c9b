//! Etcd without a quorum, and etcd rebuilt empty.

use std::thread;
use std::time::Duration;

use chrono::TimeDelta;
use punctual_tests::{Heard, Parts, Run, Trial, now, until};
use serde_json::json;

use super::{PARTS, assert_went_on, longer_than_the_outage, outage, trial};

#[test]
fn tasks_outlive_an_etcd_without_a_quorum_and_one_that_is_rebuilt_and_nothing_is_lost_or_doubled() {
    let Some(mut trial) = trial(Parts { members: 3, ..PARTS }) else { return };
    without_a_quorum_running_tasks_end_and_are_recorded_and_nothing_is_handed_out(&mut trial);
    a_node_leads_again_on_an_etcd_that_was_rebuilt(&mut trial);
    trial.verdict().assert_right();
}

fn without_a_quorum_running_tasks_end_and_are_recorded_and_nothing_is_handed_out(trial: &mut Trial) {
    let long = trial.run_task("over-etcd-outage", longer_than_the_outage());
    let short = trial.run_task("in-etcd-outage", 4);
    let suspensions = |trial: &Trial| -> usize {
        trial.cluster.nodes.iter().map(|node| node.log().matches("cannot confirm that it leads").count()).sum()
    };
    let before = suspensions(trial);
    for member in [0, 1] {
        trial.cluster.etcd.kill(member);
    }
    until("the leader to know that it may lead no more", 10, || (suspensions(trial) > before).then_some(()));
    // What was sent before is started by now.
    thread::sleep(Duration::from_secs(1));
    let suspended = now();
    until("the end of a task to be recorded", 10, || Some(trial.rest().run(&short.run_id)).filter(Run::succeeded));
    let refused = trial.rest().ask("POST", "/jobs/manual/trigger", &json!({ "requestId": "without-etcd" }));
    assert!(matches!(refused, Heard::NotDone), "{refused:?}");
    thread::sleep(outage());
    let back = now();
    for member in [0, 1] {
        trial.cluster.etcd.restart(member);
    }
    trial.cluster.etcd.await_health();
    trial.await_work(0);
    let meanwhile = |run: &Run| run.start_time.is_some_and(|start| suspended < start && start < back);
    let begun: Vec<Run> = trial.runs_after(suspended - TimeDelta::seconds(60)).into_iter().filter(meanwhile).collect();
    assert!(begun.is_empty(), "handed out while nobody could know whether it leads: {begun:?}");
    assert_went_on(trial, &short.run_id);
    assert_went_on(trial, &long.run_id);
}

/// Scenario 37: the same addresses and the same id of the cluster, and revisions from 1.
fn a_node_leads_again_on_an_etcd_that_was_rebuilt(trial: &mut Trial) {
    let task = trial.run_task("over-a-rebuilt-etcd", 6);
    let before = trial.cluster.leader(0).epoch;
    trial.cluster.etcd.rebuild();
    let rebuilt = now();
    let dispatched = trial.cluster.next_dispatch(0, before, rebuilt);
    println!("etcd rebuilt: the next dispatch after {} ms", (dispatched - rebuilt).num_milliseconds());
    trial.await_work(0);
    assert_went_on(trial, &task.run_id);
}
