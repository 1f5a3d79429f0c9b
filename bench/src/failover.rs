//! What the loss of a leader costs: three nodes on one etcd and one Postgres, whose leader is killed, frozen and stopped
//! under load, until another node dispatches; and whether the ledger and what the tasks wrote down agree afterwards.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use punctual_tests::{Audit, Cluster, Leader, Load, Parts, Records, Witness, folder, job, noop, now, recorded};
use rustix::process::Signal;
use serde_json::json;

use crate::figures::Spread;

const NODES: usize = 3;
/// The period of the jobs that do nothing, in milliseconds.
const EVERY: u32 = 100;
/// The period of those that write down what they do, in milliseconds.
const TOLD_EVERY: u32 = 500;
/// How long all nodes work together between two losses.
const WORK: Duration = Duration::from_millis(700);
/// How long a dispatch may take.
const PATIENCE: u64 = 60;

#[derive(Debug, Args)]
pub(crate) struct Size {
    /// `kill -9` of the leader, so many times
    #[arg(long, default_value_t = Size::default().kills)]
    kills: usize,
    /// SIGSTOP of the leader, so many times
    #[arg(long, default_value_t = Size::default().freezes)]
    freezes: usize,
    /// SIGTERM of the leader, so many times
    #[arg(long, default_value_t = Size::default().stops)]
    stops: usize,
    /// Jobs of every 100 ms, whose task does nothing
    #[arg(long, default_value_t = Size::default().jobs)]
    jobs: usize,
    /// Jobs of every 500 ms, whose tasks are processes that write down what they do
    #[arg(long, default_value_t = Size::default().told)]
    told: usize,
    /// Jobs that fire once a year
    #[arg(long, default_value_t = Size::default().idle)]
    idle: usize,
}

impl Default for Size {
    fn default() -> Self {
        Self { kills: 30, freezes: 3, stops: 10, jobs: 20, told: 4, idle: 0 }
    }
}

/// What is done to a leader.
#[derive(Clone, Copy)]
enum Loss {
    Killed,
    Frozen,
    Stopped,
}

pub(crate) fn run(size: &Size) -> Result<()> {
    println!(
        "\nfailover: {NODES} nodes, one etcd, one Postgres (no syncs); {} jobs of every 100 ms, {} of every 500 ms whose \
         processes write down what they do, {} that are not due",
        size.jobs, size.told, size.idle
    );
    let folder = folder();
    let Some(mut cluster) = Cluster::start(folder.path(), Parts { nodes: NODES, ..Parts::default() }, &[]) else {
        println!("  not measured: etcd or Postgres is not on this machine");
        return Ok(());
    };
    let witness = Witness::new(folder.path());
    let load = create(&cluster, size, &witness);
    for (loss, times, what) in [
        (Loss::Killed, size.kills, "kill -9 of the leader"),
        (Loss::Frozen, size.freezes, "SIGSTOP of the leader"),
        (Loss::Stopped, size.stops, "graceful stop of the leader"),
    ] {
        let spread = Spread::new((0..times).map(|_| lose(&mut cluster, loss)).collect());
        println!("  {what}, {times} times: the next dispatch after {}", spread.text());
    }
    let rest = &cluster.nodes[0].rest;
    let closed = load.close(rest);
    let (records, forgotten) = (&Records::default(), &[]);
    println!("{}", Audit { rest, load: &load, records, witness: &witness, closed, forgotten }.verdict());
    Ok(())
}

fn create(cluster: &Cluster, size: &Size, witness: &Witness) -> Load {
    let rest = &cluster.nodes[0].rest;
    for number in 0..size.idle {
        rest.create(&job(&format!("idle-{number}"), noop(), json!({ "schedule": { "cron": ["H H 1 1 *"] } })));
    }
    let mut load = Load::default();
    for (kind, count, every, task) in
        [("noop", size.jobs, EVERY, noop()), ("told", size.told, TOLD_EVERY, recorded(witness, ""))]
    {
        for number in 0..count {
            let more = json!({ "coalesce": false, "overlapPolicy": "QUEUE" });
            load.add(rest, &format!("{kind}-{number}"), every, task.clone(), more);
        }
    }
    load
}

/// Loses the leader, waits for the next dispatch, and brings the node back; how long the dispatch took, in microseconds.
fn lose(cluster: &mut Cluster, loss: Loss) -> i64 {
    cluster.stand(0, NODES);
    thread::sleep(WORK);
    let Leader { node, epoch } = cluster.leader(0);
    let other = cluster.other(node);
    match loss {
        Loss::Killed => cluster.nodes[node].process().signal(Signal::KILL),
        Loss::Frozen => cluster.nodes[node].process().signal(Signal::STOP),
        Loss::Stopped => cluster.nodes[node].process().signal(Signal::TERM),
    }
    let lost = now();
    let dispatched = cluster.next_dispatch(other, epoch, lost);
    match loss {
        Loss::Frozen => cluster.nodes[node].process().signal(Signal::CONT),
        Loss::Killed | Loss::Stopped => {
            cluster.nodes[node].process().exit(PATIENCE);
            cluster.nodes[node].start();
        }
    }
    (dispatched - lost).num_microseconds().unwrap_or(i64::MAX)
}
