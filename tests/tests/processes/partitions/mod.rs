//! Networks that are cut, with all parts of a cluster on hosts of their own and under load: who leads, what agents do, and
//! whether ledger and witness agree afterwards (promises 1 to 7, rules 13 to 15, 18 and 19).
//!
//! A cluster serves several cuts, one after the other, and one audit. How long each has cost is printed, and not asserted.

mod agents;
mod leaders;

use std::fs;

use chrono::{DateTime, TimeDelta, Utc};
use punctual_tests::{
    Agent, Audit, Clients, Cluster, Host, Leader, Load, Network, Parts, Random, Run, Server, Size, Witness, folder,
    now, recorded, until,
};
use serde_json::json;
use tempfile::TempDir;

const PARTS: Parts = Parts { nodes: 3, agents: 3, members: 3 };
/// Longer than it takes from a cut to whatever follows from it, on a busy machine too.
const LONGEST: u64 = 60;

struct Scene {
    load: Load,
    clients: Clients,
    witness: Witness,
    cluster: Cluster,
    network: Network,
    folder: TempDir,
}

/// A run that has begun, of a job that has no other.
struct Task {
    run_id: String,
    /// Its place among the agents.
    agent: usize,
    pid: u32,
}

impl Scene {
    /// `None` where no network can be had, or no cluster.
    #[track_caller]
    fn start() -> Option<Self> {
        let network = Network::start()?;
        let folder = folder();
        let cluster = Cluster::spread(&network, folder.path(), PARTS, &[])?;
        let witness = Witness::new(folder.path());
        let load = Load::create(&cluster.nodes[0].rest, &witness, Size::CLUSTER);
        let clients = Clients::start(&cluster.rests(), &witness, Size::CLUSTER, &mut Random::seeded());
        let scene = Self { load, clients, witness, cluster, network, folder };
        scene.works_past(now());
        Some(scene)
    }

    fn leader(&self) -> Leader {
        *self.cluster.terms().last().expect("because a cluster begins with a leader")
    }

    fn node(&self, leader: Leader) -> &Server {
        &self.cluster.nodes[leader.node]
    }

    fn standbys(&self, leader: Leader) -> impl Iterator<Item = &Server> {
        self.cluster.nodes.iter().enumerate().filter(move |(node, _)| *node != leader.node).map(|(_, server)| server)
    }

    fn members(&self) -> Vec<&Host> {
        (0..PARTS.members).map(|member| self.cluster.etcd.host(member)).collect()
    }

    fn agents(&self) -> Vec<&Host> {
        self.cluster.agents.iter().map(Agent::host).collect()
    }

    fn cut(&self, one: &Server, others: &[&Host]) {
        for other in others {
            self.network.cut(one.host(), other);
        }
    }

    /// Waits until another node leads, and its tasks start; tells how long that took since `cut`.
    #[track_caller]
    fn successor(&self, old: Leader, cut: DateTime<Utc>, why: &str) -> Leader {
        let next = until("another leader", LONGEST, || Some(self.leader()).filter(|next| next.epoch > old.epoch));
        let led = now() - cut;
        until("a task of the next leader", LONGEST, || {
            let epoch = |line: &Vec<String>| line[5].parse::<i64>().expect("a token") >> 20;
            self.witness.lines().iter().any(|line| line[0] == "start" && epoch(line) >= next.epoch).then_some(())
        });
        let works = now() - cut;
        println!("{why}: another node leads after {} ms, its first task after {} ms", ms(led), ms(works));
        assert_ne!(next.node, old.node, "{why}: the same node leads again");
        next
    }

    /// Waits until a task has begun that was due after an instant.
    #[track_caller]
    fn works_past(&self, instant: DateTime<Utc>) {
        until("tasks that were due later", LONGEST, || {
            let lines = self.witness.lines();
            let due = |line: &Vec<String>| line[4].parse::<DateTime<Utc>>().expect("RFC 3339");
            lines.iter().any(|line| line[0] == "start" && due(line) > instant).then_some(())
        });
    }

    /// Work goes on for so long, under the same leader.
    #[track_caller]
    fn goes_on_under(&self, leader: Leader, seconds: i64, why: &str) {
        self.works_past(now() + TimeDelta::seconds(seconds));
        assert_eq!(self.leader(), leader, "{why}: {:?}", self.cluster.terms());
    }

    /// Waits until a node has said one of these in its log.
    #[track_caller]
    fn says(&self, node: &Server, what: &[&str]) {
        until(&what.join(", or "), LONGEST, || {
            let log = node.log();
            what.iter().any(|what| log.contains(what)).then_some(())
        });
    }

    /// Waits until all nodes stand or lead, and all agents are there.
    #[track_caller]
    fn heals(&self) {
        self.network.heal();
        let leader = self.leader().node;
        self.cluster.nodes[leader].has_agents(PARTS.agents as u64);
    }

    /// Begins a task, with a job of its own that no more than one agent may execute at a time. Only its first attempt
    /// takes so long.
    #[track_caller]
    fn begin(&mut self, job: &str, seconds: u32) -> Task {
        let rest = self.node(self.leader()).rest.clone();
        let pid_file = self.folder.path().join(job);
        let script = format!("[ $PUNCTUAL_ATTEMPT -gt 1 ] || {{ echo $$ > {}; sleep {seconds}; }}", pid_file.display());
        let retry = json!({ "maxAttempts": 3, "initialBackoff": "0.1s" });
        self.load.add(&rest, job, 0, recorded(&self.witness, &script), json!({ "retry": retry }));
        let run_id = rest.trigger(job, "").run_id;
        let pid = until("the task to begin", LONGEST, || fs::read_to_string(&pid_file).ok()?.trim().parse().ok());
        let agent =
            until("the task's agent", LONGEST, || rest.run(&run_id).agent_id.strip_prefix("agent-")?.parse().ok());
        Task { run_id, agent, pid }
    }

    #[track_caller]
    fn end(&self, task: &Task) -> Run {
        let rest = &self.node(self.leader()).rest;
        until("the end of a long run", LONGEST, || Some(rest.run(&task.run_id)).filter(Run::ended))
    }

    /// It was neither stopped nor executed again.
    #[track_caller]
    fn assert_executed_once(&self, task: &Task, why: &str) {
        let run = self.end(task);
        assert!(run.succeeded() && run.attempt == 1, "{why}: {run:?}");
    }

    /// Holds the ledger against all that was done, by whoever leads.
    #[track_caller]
    fn close(self) {
        self.heals();
        let records = self.clients.stop();
        let rest = &self.cluster.nodes[self.cluster.terms().last().expect("a leader").node].rest;
        self.load.await_success(rest);
        let closed = self.load.close(rest);
        Audit { rest, load: &self.load, records: &records, witness: &self.witness, closed, forgotten: &[] }
            .verdict()
            .assert_right();
    }
}

fn ms(duration: TimeDelta) -> i64 {
    duration.num_milliseconds()
}
