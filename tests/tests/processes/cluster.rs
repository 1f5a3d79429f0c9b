//! Three nodes on one Postgres and one etcd: any of them serves any request, and the loss of the leader costs a moment.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::thread;

use chrono::{DateTime, TimeDelta, Utc};
use punctual_tests::{
    Cluster, Etcd, Heard, Leader, Parts, Postgres, Rest, Run, Said, Server, Witness, assert_no_gap, folder, job, noop,
    now, program, shell, until,
};
use rustix::process::Signal;
use serde_json::{Value, json};

const NODES: usize = 3;
const PARTS: Parts = Parts { nodes: NODES, agents: 2, members: 1 };
const EVERY: TimeDelta = TimeDelta::milliseconds(200);

#[track_caller]
fn every_200_ms(server: &Server, id: &str, task: Value) -> DateTime<Utc> {
    let created = server.rest.create(&job(id, task, json!({ "schedule": { "every": ["0.2s"] } })));
    created["createTime"].as_str().expect("a time").parse().expect("RFC 3339")
}

#[track_caller]
fn await_run_after(server: &Server, id: &str, instant: DateTime<Utc>) {
    until("a run after that", 30, || {
        server.rest.history(id).iter().find(|run| run.succeeded() && run.first() > instant).map(drop)
    });
}

/// The locks that are held, by key: agent's instance, epoch and token of each.
#[track_caller]
fn locks(cluster: &Cluster) -> BTreeMap<String, String> {
    cluster.etcd.below("/punctual/default/locks/")
}

/// Every attempt that a task wrote down started once, and is in the ledger.
#[track_caller]
fn assert_started_once(witness: &Witness, history: &[Run]) {
    let mut started = BTreeSet::new();
    for line in witness.lines() {
        assert!(started.insert((line[0].clone(), line[1].clone())), "started twice: {line:?}");
        assert!(history.iter().any(|run| run.run_id == line[0]), "not in the ledger: {line:?}");
    }
    assert!(!started.is_empty());
}

/// By the node that is asked, whoever leads.
#[track_caller]
fn assert_all_are_named(cluster: &Cluster, asked: usize, leader: usize) {
    cluster.stand(asked, NODES);
    let status = cluster.nodes[asked].rest.get("/status");
    let nodes = status["nodes"].as_array().expect("because lists are printed");
    for (number, node) in nodes.iter().enumerate() {
        assert_eq!(node["nodeId"], format!("node-{number}"), "{status}");
        assert_eq!(node["leader"], number == leader, "{status}");
        assert_eq!(node["address"], cluster.nodes[number].url(), "{status}");
        assert!(node["version"] != "" && node["startTime"].is_string(), "{status}");
    }
}

#[test]
fn any_node_serves_any_request_and_a_killed_leader_is_replaced() {
    let folder = folder();
    let Some(mut cluster) = Cluster::start(folder.path(), PARTS, &[]) else { return };
    let Leader { node: leader, epoch } = cluster.leader(0);
    let standby = cluster.other(leader);
    let third = cluster.other(standby);
    let witness = Witness::new(folder.path());
    let task = shell(&format!("echo $PUNCTUAL_RUN_ID $PUNCTUAL_ATTEMPT >> {}", witness.path()));
    let created = every_200_ms(&cluster.nodes[standby], "tick", task);
    let run_id = cluster.nodes[third].rest.trigger("tick", "").run_id;
    until("the end of the triggered run", 30, || {
        Some(cluster.nodes[standby].rest.run(&run_id)).filter(Run::succeeded).map(drop)
    });
    await_run_after(&cluster.nodes[third], "tick", created);

    assert_all_are_named(&cluster, standby, leader);
    cluster.nodes[leader].kill();
    let killed = now();
    until("a standby to find the leader dead", 20, || {
        let found = |node: &Server| node.log().contains("a leader was found dead, and its leadership is ended");
        cluster.nodes.iter().any(found).then_some(())
    });
    cluster.nodes[standby].rest.create(&job("made-meanwhile", noop(), json!({})));
    let Leader { node: next, epoch: later } = cluster.leader(standby);
    assert!(next != leader && later > epoch, "{next} leads in epoch {later} after {leader} in {epoch}");
    await_run_after(&cluster.nodes[third], "tick", killed + TimeDelta::seconds(4));
    cluster.nodes[leader].start();
    cluster.nodes[leader].rest.act("tick", "pause");
    let rest = &cluster.nodes[leader].rest;
    until("the end of all runs", 30, || {
        rest.pages("/runs?states=PENDING&states=RUNNING&pageSize=1000").is_empty().then_some(())
    });
    let history = rest.history("tick");
    let scheduled: Vec<Run> = history.iter().filter(|run| run.trigger == "SCHEDULE").cloned().collect();
    assert_no_gap(&scheduled, created + EVERY, EVERY);
    assert_started_once(&witness, &history);
}

#[test]
fn a_frozen_leader_is_replaced_and_does_nothing_when_it_wakes() {
    let folder = folder();
    let Some(mut cluster) = Cluster::start(folder.path(), PARTS, &[]) else { return };
    let Leader { node: leader, epoch } = cluster.leader(0);
    let standby = cluster.other(leader);
    let created = every_200_ms(&cluster.nodes[standby], "tick", noop());
    await_run_after(&cluster.nodes[standby], "tick", created);
    cluster.nodes[leader].process().signal(Signal::STOP);
    let frozen = now();
    await_run_after(&cluster.nodes[standby], "tick", frozen + TimeDelta::seconds(1));
    let Leader { node: next, epoch: later } = cluster.leader(standby);
    assert!(next != leader && later > epoch, "{next} leads in epoch {later} after {leader} in {epoch}");
    cluster.nodes[leader].process().signal(Signal::CONT);
    until("the old leader to say that it leads no more", 20, || {
        cluster.nodes[leader].log().contains("this node leads no more").then_some(())
    });
    assert_eq!(cluster.leader(leader), Leader { node: next, epoch: later }, "it knows who leads, and serves");
    cluster.nodes[leader].rest.act("tick", "pause");
    let history = cluster.nodes[leader].rest.history("tick");
    assert_no_gap(&history, created + EVERY, EVERY);
    let of_the_old = |run: &&Run| i64::try_from(run.fencing_token() >> 20) == Ok(epoch);
    for run in history.iter().filter(of_the_old) {
        assert!(run.scheduled_time <= frozen, "the old leader has handed something out since: {run:?}");
    }
}

/// How many triggers were done, and how many refused.
fn trigger_until_nobody_listens(rest: &Rest) -> (usize, usize) {
    let (mut done, mut refused) = (0, 0);
    loop {
        let body = json!({ "requestId": (done + refused).to_string() });
        match rest.ask("POST", "/jobs/manual/trigger", &body) {
            Heard::Done(_) => done += 1,
            Heard::NotDone => refused += 1,
            Heard::Nothing => return (done, refused),
        }
    }
}

#[test]
fn a_leader_that_is_stopped_or_told_to_hands_over() {
    let folder = folder();
    let Some(mut cluster) = Cluster::start(folder.path(), PARTS, &[]) else { return };
    let leader = cluster.leader(0).node;
    let standby = cluster.other(leader);
    let created = every_200_ms(&cluster.nodes[standby], "tick", noop());
    cluster.nodes[standby].rest.create(&job("manual", noop(), json!({ "maxInstances": 1_000 })));
    await_run_after(&cluster.nodes[standby], "tick", created);
    let client = thread::spawn({
        let rest = cluster.nodes[leader].rest.clone();
        move || trigger_until_nobody_listens(&rest)
    });
    until("the size of etcd's database", 10, || {
        let answer = cluster.nodes[standby].rest.try_call("GET", "/metrics", &[], None).ok()?;
        let sizes =
            answer.text.lines().filter(|line| line.starts_with("punctual_etcd_database_bytes{endpoint=")).count();
        (sizes == cluster.etcd.endpoints().len()).then_some(())
    });
    cluster.nodes[leader].process().signal(Signal::TERM);
    let stopped = now();
    await_run_after(&cluster.nodes[standby], "tick", stopped);
    assert!(cluster.nodes[leader].process().exit(20).success());
    let (done, refused) = client.join().expect("because it only asks");
    assert!(done > 0 && refused == 0, "calls go to the next leader while this one listens: {done}, {refused}");
    let second = cluster.leader(standby).node;
    assert_ne!(second, leader);
    let last = (0..NODES).find(|node| ![leader, second].contains(node)).expect("because there are three");
    let told = cluster.nodes[last].rest.ask("POST", "/step-down", &json!({}));
    assert!(matches!(told, Heard::Done(_)), "{told:?}");
    until("the last node to lead", 20, || (cluster.leader(last).node == last).then_some(()));
    cluster.nodes[last].rest.act("tick", "pause");
    assert_no_gap(&cluster.nodes[last].rest.history("tick"), created + EVERY, EVERY);
}

#[test]
fn the_lock_of_a_task_is_in_etcd_while_it_runs_whoever_leads() {
    let folder = folder();
    let Some(mut cluster) = Cluster::start(folder.path(), PARTS, &[]) else { return };
    let leader = cluster.leader(0).node;
    let standby = cluster.other(leader);
    let witness = Witness::new(folder.path());
    let write = format!("echo $PUNCTUAL_RUN_ID $PUNCTUAL_ATTEMPT $PUNCTUAL_FENCING_TOKEN >> {}", witness.path());
    let rest = &cluster.nodes[standby].rest;
    let created = rest.create(&job("long", shell(&format!("{write}; sleep 12")), json!({})));
    let uid = created["uid"].as_str().expect("a uid").to_owned();
    let run_id = rest.trigger("long", "").run_id;
    let lines = until("the task to run", 30, || Some(witness.lines()).filter(|lines| lines.len() == 1));
    let held = locks(&cluster);
    let (key, value) = held.first_key_value().expect("a lock");
    assert_eq!((held.len(), key.as_str()), (1, format!("/punctual/default/locks/{uid}/0").as_str()));
    assert_eq!(value.split(' ').next_back(), Some(lines[0][2].as_str()), "the token is the one that the task sees");

    cluster.nodes[leader].kill();
    until("another leader to read the locks", 30, || {
        let others = cluster.nodes.iter().enumerate().filter(|(node, _)| *node != leader);
        others.map(|(_, node)| node.log()).any(|log| log.contains("the locks are read")).then_some(())
    });
    assert_eq!(locks(&cluster), held, "it outlives the leader that took it");
    let rest = &cluster.nodes[standby].rest;
    until("the end of the run", 30, || Some(rest.run(&run_id)).filter(Run::succeeded).map(drop));
    until("the end of the lock", 10, || locks(&cluster).is_empty().then_some(()));
    assert_started_once(&witness, &rest.history("long"));

    // Of a job that fires again soon the lock stays, and costs etcd nothing more.
    rest.create(&job("often", noop(), json!({ "schedule": { "every": ["0.5s"] } })));
    let first = until("a lock", 10, || locks(&cluster).first_key_value().map(|(_, value)| value.clone()));
    until("five runs", 30, || (rest.history("often").iter().filter(|run| run.succeeded()).count() >= 5).then_some(()));
    assert_eq!(locks(&cluster).into_values().collect::<Vec<_>>(), [first]);
}

#[test]
fn who_signs_in_at_one_node_is_known_at_the_leader_over_rest_too() {
    let folder = folder();
    let (Some(etcd), Some(postgres)) = (Etcd::start(1), Postgres::start()) else { return };
    let (endpoints, url) = (etcd.endpoints().join(","), postgres.url());
    let mut bootstrap = Command::new(program("scheduler-server"));
    bootstrap.args(["token", "bootstrap", "--database-url", &url]).current_dir(folder.path());
    let authorization = format!("Bearer {}", Said::of(&mut bootstrap).ok().trim());
    let nodes = ["a", "b"].map(|name| {
        let own = folder.path().join(name);
        std::fs::create_dir(&own).expect("because the folder is the test's");
        Server::on_database(&own, &url, &["--etcd", &endpoints, "--node-id", name, "--sign-in"])
    });
    for (number, node) in nodes.iter().enumerate() {
        let create = |headers: &[(&str, &str)]| {
            let body = job(&format!("made-at-{number}"), noop(), json!({})).to_string();
            let headers = [&[("content-type", "application/json")], headers].concat();
            let answer = node.rest.try_call("POST", "/api/v1/scheduler/jobs", &headers, Some(&body));
            answer.expect("an answer").status
        };
        assert_eq!(create(&[]), 401);
        assert_eq!(create(&[("authorization", &authorization)]), 200, "at node {number}");
    }
}
