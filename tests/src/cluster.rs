//! Several nodes on one Postgres and one etcd, with agents, all of one test.

use std::path::{Path, PathBuf};

use crate::{Agent, Etcd, Postgres, Rest, Server, until};

/// How many there are of what a cluster is made of.
#[derive(Clone, Copy, Debug)]
pub struct Parts {
    pub nodes: usize,
    pub agents: usize,
    /// Of etcd.
    pub members: usize,
}

impl Default for Parts {
    fn default() -> Self {
        Self { nodes: 3, agents: 2, members: 1 }
    }
}

/// Dropped in this order: who writes goes before who keeps.
pub struct Cluster {
    pub agents: Vec<Agent>,
    pub nodes: Vec<Server>,
    pub etcd: Etcd,
    pub postgres: Postgres,
    folder: PathBuf,
}

/// Who leads, as a node says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Leader {
    /// Its place among the nodes.
    pub node: usize,
    pub epoch: i64,
}

impl Cluster {
    /// `node-0` and so on, with agents that know all of them. `None` where etcd or Postgres is not on the machine.
    #[track_caller]
    pub fn start(folder: &Path, parts: Parts, flags: &[&str]) -> Option<Self> {
        let (etcd, postgres) = (Etcd::start(parts.members)?, Postgres::start()?);
        let (endpoints, url) = (etcd.endpoints().join(","), postgres.url());
        let nodes = (0..parts.nodes)
            .map(|number| {
                let name = format!("node-{number}");
                let own = folder.join(&name);
                std::fs::create_dir(&own).expect("because the folder is the test's");
                Server::on_database(&own, &url, &[&["--etcd", &endpoints, "--node-id", &name], flags].concat())
            })
            .collect();
        let mut cluster = Self { agents: Vec::new(), nodes, etcd, postgres, folder: folder.to_owned() };
        cluster.agents = (0..parts.agents).map(|number| cluster.agent(number)).collect();
        cluster.nodes[0].has_agents(parts.agents as u64);
        Some(cluster)
    }

    fn agent(&self, number: usize) -> Agent {
        let others = self.nodes[1..].iter().map(Server::url).collect::<Vec<_>>().join(",");
        Agent::start(&self.folder, &format!("agent-{number}"), &self.nodes[0], &["--server", &others])
    }

    /// Starts the next instance of an agent that has ended.
    pub fn restart_agent(&mut self, number: usize) {
        self.agents[number] = self.agent(number);
    }

    /// For clients that ask any of them.
    pub fn rests(&self) -> Vec<Rest> {
        self.nodes.iter().map(|node| node.rest.clone()).collect()
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
