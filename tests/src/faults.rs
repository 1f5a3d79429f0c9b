//! What can go wrong with a cluster: each harm is done, lasts for a while, and is undone.

use std::fmt::{self, Display, Formatter};

use rustix::process::Signal;

use crate::{Cluster, Random, until};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    NodeKilled,
    /// Killed, and started again at once.
    NodeBounced,
    NodeStopped,
    NodeFrozen,
    AgentKilled,
    AgentBounced,
    AgentFrozen,
    /// Of etcd.
    MemberKilled,
    MemberFrozen,
    QuorumLost,
    EtcdRebuilt,
    PostgresKilled,
    PostgresFrozen,
}

/// A fault, and whom it befalls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Harm {
    pub fault: Fault,
    /// Its place among those of its kind.
    pub victim: usize,
}

#[derive(PartialEq, Eq)]
enum Kind {
    Node,
    Agent,
    Etcd,
    Postgres,
}

impl Fault {
    pub const ALL: [Self; 13] = [
        Self::NodeKilled,
        Self::NodeBounced,
        Self::NodeStopped,
        Self::NodeFrozen,
        Self::AgentKilled,
        Self::AgentBounced,
        Self::AgentFrozen,
        Self::MemberKilled,
        Self::MemberFrozen,
        Self::QuorumLost,
        Self::EtcdRebuilt,
        Self::PostgresKilled,
        Self::PostgresFrozen,
    ];

    fn kind(self) -> Kind {
        match self {
            Self::NodeKilled | Self::NodeBounced | Self::NodeStopped | Self::NodeFrozen => Kind::Node,
            Self::AgentKilled | Self::AgentBounced | Self::AgentFrozen => Kind::Agent,
            Self::MemberKilled | Self::MemberFrozen | Self::QuorumLost | Self::EtcdRebuilt => Kind::Etcd,
            Self::PostgresKilled | Self::PostgresFrozen => Kind::Postgres,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::NodeKilled | Self::AgentKilled | Self::MemberKilled | Self::PostgresKilled => "kill -9",
            Self::NodeBounced | Self::AgentBounced => "kill -9 and a start at once",
            Self::NodeStopped => "SIGTERM",
            Self::NodeFrozen | Self::AgentFrozen | Self::MemberFrozen | Self::PostgresFrozen => "SIGSTOP",
            Self::QuorumLost => "kill -9 of all others but",
            Self::EtcdRebuilt => "all members are rebuilt empty",
        }
    }
}

impl Harm {
    /// Of the nodes, the one that leads is hit as often as the others together.
    pub fn pick(cluster: &Cluster, random: &mut Random) -> Self {
        let fault = *random.one_of(&Fault::ALL);
        let below = |random: &mut Random, number: usize| random.below(number as u64) as usize;
        let victim = match fault.kind() {
            Kind::Node if random.once_in(2) => cluster.leader(0).node,
            Kind::Node => below(random, cluster.nodes.len()),
            Kind::Agent => below(random, cluster.agents.len()),
            Kind::Etcd => below(random, cluster.etcd.endpoints().len()),
            Kind::Postgres => 0,
        };
        Self { fault, victim }
    }

    /// Whether both can befall a cluster at a time. A node that is started while it cannot reach what it needs ends, and
    /// says so; that would be found to be a fault of its own.
    pub fn goes_with(&self, other: &Self) -> bool {
        let [own, others] = [self, other].map(|harm| harm.fault.kind());
        let is_store = |kind: &Kind| matches!(kind, Kind::Etcd | Kind::Postgres);
        let starts = |harm: &Self| harm.fault == Fault::NodeBounced;
        let starts_in_vain = starts(self) && is_store(&others) || starts(other) && is_store(&own);
        !starts_in_vain && (own != others || !is_store(&own) && self.victim != other.victim)
    }

    #[track_caller]
    pub fn begin(&self, cluster: &mut Cluster) {
        let victim = self.victim;
        match self.fault {
            Fault::NodeKilled => cluster.nodes[victim].kill(),
            Fault::NodeBounced => {
                cluster.nodes[victim].kill();
                cluster.nodes[victim].launch();
            }
            Fault::NodeStopped => cluster.nodes[victim].process().signal(Signal::TERM),
            Fault::NodeFrozen => cluster.nodes[victim].process().signal(Signal::STOP),
            Fault::AgentKilled => cluster.agents[victim].process.kill(),
            Fault::AgentBounced => {
                cluster.agents[victim].process.kill();
                cluster.restart_agent(victim);
            }
            Fault::AgentFrozen => cluster.agents[victim].process.signal(Signal::STOP),
            Fault::MemberKilled => cluster.etcd.kill(victim),
            Fault::MemberFrozen => cluster.etcd.freeze(victim),
            Fault::QuorumLost => cluster.others(victim).for_each(|member| cluster.etcd.kill(member)),
            Fault::EtcdRebuilt => cluster.etcd.rebuild(),
            Fault::PostgresKilled => cluster.postgres.kill(),
            Fault::PostgresFrozen => cluster.postgres.freeze(),
        }
    }

    #[track_caller]
    pub fn end(&self, cluster: &mut Cluster) {
        let victim = self.victim;
        match self.fault {
            // Nodes come back when there is what they need: see `Cluster::recover`.
            Fault::NodeKilled | Fault::NodeBounced | Fault::NodeStopped => {}
            Fault::AgentBounced | Fault::EtcdRebuilt => {}
            Fault::NodeFrozen => cluster.nodes[victim].process().signal(Signal::CONT),
            Fault::AgentKilled => cluster.restart_agent(victim),
            Fault::AgentFrozen => cluster.agents[victim].process.signal(Signal::CONT),
            Fault::MemberKilled => cluster.etcd.restart(victim),
            Fault::MemberFrozen => cluster.etcd.wake(victim),
            Fault::QuorumLost => cluster.others(victim).for_each(|member| cluster.etcd.restart(member)),
            Fault::PostgresKilled => cluster.postgres.come_back(),
            Fault::PostgresFrozen => cluster.postgres.wake(),
        }
    }
}

impl Display for Harm {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { fault, victim } = self;
        let whom = match fault.kind() {
            Kind::Node => format!("node-{victim}"),
            Kind::Agent => format!("agent-{victim}"),
            Kind::Etcd => format!("etcd m{victim}"),
            Kind::Postgres => "Postgres".to_owned(),
        };
        write!(f, "{whom}: {}", fault.words())
    }
}

impl Cluster {
    /// The members of etcd but this one.
    fn others(&self, member: usize) -> impl Iterator<Item = usize> + use<> {
        (0..self.etcd.endpoints().len()).filter(move |other| *other != member)
    }

    /// Starts the nodes that are down, and waits until all of it works; fails the test when a process has ended that nobody
    /// has killed.
    #[track_caller]
    pub fn recover(&mut self, harms: &[Harm]) {
        self.etcd.await_health();
        for (number, node) in self.nodes.iter_mut().enumerate() {
            let harmed = |fault| harms.contains(&Harm { fault, victim: number });
            if harmed(Fault::NodeStopped) {
                assert!(node.process().exit(60).success(), "node-{number} has not stopped well");
            }
            if harmed(Fault::NodeStopped) || harmed(Fault::NodeKilled) {
                node.start_again_and_again();
            }
            assert!(node.runs(), "node-{number} has ended by itself");
        }
        for node in &mut self.nodes {
            node.wait_until_ready();
        }
        for (number, agent) in self.agents.iter_mut().enumerate() {
            assert!(agent.process.status().is_none(), "agent-{number} has ended by itself");
        }
        let (rest, number) = (&self.nodes[0].rest, self.agents.len() as u64);
        until(&format!("{number} agents"), 60, || {
            let answer = rest.try_call("GET", "/api/v1/scheduler/status", &[], None).ok()?;
            (answer.status == 200 && answer.json()["agents"]["alive"].as_u64() == Some(number)).then_some(())
        });
    }
}
