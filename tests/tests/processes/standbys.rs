//! Nodes that stand by know the jobs before they lead, and lead by what has become of them since.

use chrono::{DateTime, TimeDelta, Utc};
use punctual_tests::{Cluster, Leader, Parts, Server, folder, job, noop, now, until};
use serde_json::json;

const NODES: usize = 3;
/// Jobs that nothing becomes of.
const IDLE: usize = 40;

/// When it was created.
#[track_caller]
fn every_200_ms(server: &Server, id: &str) -> DateTime<Utc> {
    let created = server.rest.create(&job(id, noop(), json!({ "schedule": { "every": ["0.2s"] } })));
    created["createTime"].as_str().expect("a time").parse().expect("RFC 3339")
}

#[track_caller]
fn await_run_after(server: &Server, id: &str, instant: DateTime<Utc>) {
    until("a run after that", 30, || {
        server.rest.history(id).iter().find(|run| run.succeeded() && run.first() > instant).map(drop)
    });
}

/// How many jobs the node knows, as it tells.
fn jobs_known(server: &Server) -> Option<usize> {
    let metrics = server.rest.try_call("GET", "/metrics", &[], None).ok()?.text;
    metrics.lines().find_map(|line| line.strip_prefix("punctual_jobs_known ")).and_then(|known| known.parse().ok())
}

/// How many jobs it had to read for the term that it has begun last.
fn jobs_read(server: &Server) -> Option<usize> {
    usize::try_from(server.logged("leading").last()?["read"].as_u64()?).ok()
}

#[test]
fn a_node_that_stood_by_leads_by_the_latest_definitions_and_reads_no_others() {
    let folder = folder();
    let Some(mut cluster) = Cluster::start(folder.path(), Parts::default(), &[]) else { return };
    cluster.stand(0, NODES);
    let Leader { node: leader, .. } = cluster.leader(0);
    let standby = cluster.other(leader);
    for number in 0..IDLE {
        cluster.nodes[leader].rest.create(&job(&format!("idle-{number}"), noop(), json!({})));
    }
    let edited = every_200_ms(&cluster.nodes[leader], "edited");
    for id in ["paused", "deleted", "resumed"] {
        every_200_ms(&cluster.nodes[leader], id);
    }
    cluster.nodes[leader].rest.act("resumed", "pause");
    await_run_after(&cluster.nodes[leader], "edited", now());
    until("every node to know all jobs", 30, || {
        cluster.nodes.iter().all(|node| jobs_known(node) == Some(IDLE + 4)).then_some(())
    });

    let rest = &cluster.nodes[leader].rest;
    rest.call("PATCH", "/jobs/edited?updateMask=schedule", Some(&json!({ "schedule": { "every": ["0.3s"] } }))).ok();
    rest.act("paused", "pause");
    rest.act("resumed", "resume");
    rest.call("DELETE", "/jobs/deleted", None).ok();
    every_200_ms(&cluster.nodes[leader], "created");
    let changed = now();
    cluster.nodes[leader].kill();
    for id in ["edited", "resumed", "created"] {
        await_run_after(&cluster.nodes[standby], id, changed + TimeDelta::seconds(1));
    }
    let Leader { node: next, .. } = cluster.leader(standby);
    assert_ne!(next, leader);
    let read = jobs_read(&cluster.nodes[next]).expect("it says so");
    assert!(read <= 5, "{read} jobs were read");
    let history = |id: &str| cluster.nodes[standby].rest.history(id);
    for id in ["paused", "deleted"] {
        let last = history(id).iter().map(|run| run.scheduled_time).max();
        assert!(last < Some(changed), "{id} has fired at {last:?}, after {changed}");
    }
    for run in history("edited").iter().filter(|run| run.scheduled_time > changed) {
        let since = (run.scheduled_time - edited).num_microseconds().expect("seconds");
        assert_eq!(since % 300_000, 0, "by the schedule of before: {run:?}");
    }
}
