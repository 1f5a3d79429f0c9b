//! Several nodes on one Postgres and one etcd, with agents, all of one test.

use std::path::Path;

use crate::{Agent, Etcd, Postgres, Server, until};

pub struct Cluster {
    pub nodes: Vec<Server>,
    pub agents: Vec<Agent>,
    pub etcd: Etcd,
    pub postgres: Postgres,
}

/// Who leads, as a node says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Leader {
    /// Its place among the nodes.
    pub node: usize,
    pub epoch: i64,
}

impl Cluster {
    /// `node-0` and so on, with two agents that know all of them. `None` where etcd or Postgres is not on the machine.
    #[track_caller]
    pub fn start(folder: &Path, nodes: usize, flags: &[&str]) -> Option<Self> {
        let (etcd, postgres) = (Etcd::start(1)?, Postgres::start()?);
        let (endpoints, url) = (etcd.endpoints().join(","), postgres.url());
        let nodes: Vec<Server> = (0..nodes)
            .map(|number| {
                let name = format!("node-{number}");
                let own = folder.join(&name);
                std::fs::create_dir(&own).expect("because the folder is the test's");
                Server::on_database(&own, &url, &[&["--etcd", &endpoints, "--node-id", &name], flags].concat())
            })
            .collect();
        let others = nodes[1..].iter().map(Server::url).collect::<Vec<_>>().join(",");
        let agents = ["a", "b"].map(|id| Agent::start(folder, id, &nodes[0], &["--server", &others])).into();
        nodes[0].has_agents(2);
        Some(Self { nodes, agents, etcd, postgres })
    }

    /// Who leads, as this node knows.
    #[track_caller]
    pub fn leader(&self, asked: usize) -> Leader {
        until("a leader", 30, || {
            let answer = self.nodes[asked].rest.try_call("GET", "/api/v1/scheduler/status", &[], None).ok()?;
            let status = answer.json();
            let node = status["leader"]["nodeId"].as_str()?.strip_prefix("node-")?.parse().ok()?;
            let epoch = status["leader"]["epoch"].as_str()?.parse().ok()?;
            Some(Leader { node, epoch })
        })
    }

    /// Another node than this.
    pub fn other(&self, node: usize) -> usize {
        (node + 1) % self.nodes.len()
    }

    /// Waits until so many nodes lead or stand, as this one knows.
    #[track_caller]
    pub fn stand(&self, asked: usize, number: usize) {
        until(&format!("{number} nodes that stand"), 30, || {
            let answer = self.nodes[asked].rest.try_call("GET", "/api/v1/scheduler/status", &[], None).ok()?;
            (answer.json()["nodes"].as_array()?.len() == number).then_some(())
        });
    }
}
