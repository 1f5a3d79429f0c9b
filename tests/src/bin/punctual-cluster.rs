//! `cargo xtask cluster`: three servers, three members of etcd, Postgres and two agents on loopback, for a person to play
//! with.
//!
//! They are those that the tests start: private, and gone with this process, however it ends. Servers and agents that
//! somebody kills come back after a while, so that one can watch that too.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use punctual_tests::{Agent, Etcd, Postgres, Process, Server, program};
use tokio::signal::unix::{Signal, SignalKind, signal};

const NODES: usize = 3;
const AGENTS: [&str; 2] = ["agent-a", "agent-b"];
/// How many looks who was killed stays away: long enough that another leads meanwhile.
const AWAY: u32 = 10;
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let folder = tempfile::Builder::new().prefix("punctual-cluster-").tempdir();
    let folder = folder.expect("because the system has a temporary folder");
    let mut ends = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()]
        .map(|kind| signal(kind).expect("because the system has these signals"));
    let Some(mut playground) = Playground::start(folder.path()) else { return ExitCode::FAILURE };
    playground.explain(folder.path());
    let mut looks = tokio::time::interval(LOOK_EVERY);
    let [interrupted, terminated, hung_up] = &mut ends;
    loop {
        tokio::select! {
            biased;
            () = any(interrupted, terminated, hung_up) => break,
            _ = looks.tick() => playground.look_after(folder.path()),
        }
    }
    println!("\nThe cluster ends, and what it has kept is thrown away.");
    ExitCode::SUCCESS
}

async fn any(one: &mut Signal, other: &mut Signal, third: &mut Signal) {
    tokio::select! {
        biased;
        _ = one.recv() => {}
        _ = other.recv() => {}
        _ = third.recv() => {}
    }
}

/// Dropped in this order: who writes goes before who keeps.
struct Playground {
    agents: Vec<(Agent, Absence)>,
    nodes: Vec<(Server, Absence)>,
    etcd: Etcd,
    postgres: Postgres,
}

/// For how many looks a process has been away.
#[derive(Default)]
struct Absence(u32);

impl Absence {
    /// Whether it is time for it to come back.
    fn is_over(&mut self, name: &str, process: &mut Process) -> bool {
        let Some(status) = process.status() else { return false };
        self.0 += 1;
        if self.0 == 1 {
            println!("{name} has ended ({status}), and comes back in {AWAY} s");
        }
        let is_over = self.0 > AWAY;
        if is_over {
            self.0 = 0;
        }
        is_over
    }
}

impl Playground {
    fn start(folder: &Path) -> Option<Self> {
        let (etcd, postgres) = (Etcd::start(3)?, Postgres::with(&[])?);
        let (endpoints, url) = (etcd.endpoints().join(","), postgres.url());
        let node = |number: usize| {
            let name = format!("node-{number}");
            let own = folder.join(&name);
            std::fs::create_dir(&own).expect("because the folder is new");
            (Server::on_database(&own, &url, &["--etcd", &endpoints, "--node-id", &name]), Absence::default())
        };
        let nodes: Vec<(Server, Absence)> = (0..NODES).map(node).collect();
        let mut playground = Self { agents: Vec::new(), nodes, etcd, postgres };
        playground.agents = AGENTS.iter().map(|id| (playground.agent(folder, id), Absence::default())).collect();
        playground.nodes[0].0.has_agents(AGENTS.len() as u64);
        Some(playground)
    }

    fn agent(&self, folder: &Path, id: &str) -> Agent {
        let others = self.nodes[1..].iter().map(|(node, _)| node.url()).collect::<Vec<_>>().join(",");
        Agent::start(folder, id, &self.nodes[0].0, &["--server", &others])
    }

    fn explain(&mut self, folder: &Path) {
        println!("A cluster to play with, in {}. Ctrl-C ends it.\n", folder.display());
        let mut first = (0, String::new());
        for (number, (node, _)) in self.nodes.iter_mut().enumerate() {
            let (pid, url) = (node.process().pid(), node.url());
            println!("  node-{number}   {url}   pid {pid}");
            if number == 0 {
                first = (pid, url);
            }
        }
        for ((agent, _), id) in self.agents.iter().zip(AGENTS) {
            println!("  {id}  pid {}", agent.process.pid());
        }
        println!("  etcd     {}", self.etcd.endpoints().join(","));
        println!("  Postgres {}\n", self.postgres.url());
        let programs = program("punctual");
        let programs = programs.parent().expect("because a program lies in a folder").display();
        let (pid, url) = first;
        println!("In another shell:\n");
        println!("  export PATH=\"{programs}:$PATH\" PUNCTUAL_SERVER={url}");
        println!("  punctual status                  # who leads, and the nodes that are there");
        println!("  punctual agent list");
        println!("  punctual job create tick --every 1s --task process --payload '{{\"command\": [\"date\"]}}'");
        println!("  punctual run watch               # what runs, as it happens");
        println!("  punctual step-down               # the leader hands over to another node");
        println!("  kill -9 {pid}                    # of node-0, or of the leader: it is back in {AWAY} s");
        println!("  kill -STOP {pid}; sleep 8; kill -CONT {pid}");
        println!("  export PUNCTUAL_SERVER={}   # any node serves any request", self.nodes[1].0.url());
        println!("\nReady.");
    }

    fn look_after(&mut self, folder: &Path) {
        for (number, (node, absence)) in self.nodes.iter_mut().enumerate() {
            if absence.is_over(&format!("node-{number}"), node.process()) {
                node.launch();
                println!("node-{number} is back, pid {}", node.process().pid());
            }
        }
        for (number, id) in AGENTS.iter().enumerate() {
            let (agent, absence) = &mut self.agents[number];
            if absence.is_over(id, &mut agent.process) {
                let agent = self.agent(folder, id);
                println!("{id} is back, pid {}", agent.process.pid());
                self.agents[number].0 = agent;
            }
        }
    }
}
