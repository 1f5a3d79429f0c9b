//! Several nodes on one Postgres and one etcd, with agents, all of one test: on loopback, or each on its host.

use std::path::{Path, PathBuf};

use crate::{Agent, Etcd, Host, Network, Postgres, Rest, Server, until};

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
    /// `node-0` and so on, each in a folder of its name, with agents in `folder` that know all of them. `None` where etcd or
    /// Postgres is not on the machine.
    #[track_caller]
    pub fn start(folder: &Path, parts: Parts, flags: &[&str]) -> Option<Self> {
        Self::at(Host::loopback, folder, parts, flags)
    }

    /// The same, each part on a host of its own.
    #[track_caller]
    pub fn spread(network: &Network, folder: &Path, parts: Parts, flags: &[&str]) -> Option<Self> {
        Self::at(|| network.host(), folder, parts, flags)
    }

    #[track_caller]
    fn at(host: impl Fn() -> Host, folder: &Path, parts: Parts, flags: &[&str]) -> Option<Self> {
        let (etcd, postgres) = (Etcd::at((0..parts.members).map(|_| host()).collect())?, Postgres::at(host())?);
        let (endpoints, url) = (etcd.endpoints().join(","), postgres.url());
        let nodes = (0..parts.nodes)
            .map(|number| {
                let name = format!("node-{number}");
                let own = folder.join(&name);
                std::fs::create_dir_all(&own).expect("because the folder is the test's");
                let flags = [&["--etcd", &endpoints, "--node-id", &name], flags].concat();
                Server::at(host(), &own, &url, &flags)
            })
            .collect();
        let mut cluster = Self { agents: Vec::new(), nodes, etcd, postgres, folder: folder.to_owned() };
        cluster.agents = (0..parts.agents).map(|number| cluster.agent(number, host())).collect();
        cluster.nodes[0].has_agents(parts.agents as u64);
        Some(cluster)
    }

    fn agent(&self, number: usize, host: Host) -> Agent {
        let others = self.nodes[1..].iter().map(Server::url).collect::<Vec<_>>().join(",");
        Agent::at(host, &self.folder, &format!("agent-{number}"), &self.nodes[0], &["--server", &others])
    }

    /// Starts the next instance of an agent that has ended.
    pub fn restart_agent(&mut self, number: usize) {
        self.agents[number] = self.agent(number, self.agents[number].host().clone());
    }

    /// For clients that ask any of them.
    pub fn rests(&self) -> Vec<Rest> {
        self.nodes.iter().map(|node| node.rest.clone()).collect()
    }

    /// Who leads, as this node knows.
    #[track_caller]
    pub fn leader(&self, asked: usize) -> Leader {
        until("a leader", 60, || {
            let answer = self.nodes[asked].rest.try_call("GET", "/api/v1/scheduler/status", &[], None).ok()?;
            let status = answer.json();
            let node = status["leader"]["nodeId"].as_str()?.strip_prefix("node-")?.parse().ok()?;
            let epoch = status["leader"]["epoch"].as_str()?.parse().ok()?;
            Some(Leader { node, epoch })
        })
    }

    /// All terms that have begun so far, as the nodes' logs have them, in their order.
    pub fn terms(&self) -> Vec<Leader> {
        let begun = |(node, server): (usize, &Server)| {
            let told = server.logged("leading");
            let epochs = told.iter().filter_map(|fields| fields["epoch"].as_str()?.parse().ok());
            epochs.map(|epoch| Leader { node, epoch }).collect::<Vec<_>>()
        };
        let mut terms: Vec<Leader> = self.nodes.iter().enumerate().flat_map(begun).collect();
        terms.sort_unstable_by_key(|term| term.epoch);
        terms
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
