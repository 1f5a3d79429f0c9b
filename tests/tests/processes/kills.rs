//! `kill -9` of server and agents, hundreds of times, at moments that chance picks, under load on the real ledger; then
//! the ledger is held against what the tasks and the clients wrote down themselves (promises 1 to 5 and 9, rule 32).
//!
//! `PUNCTUAL_TEST_KILLS` says how often, `PUNCTUAL_TEST_SEED` picks the moments. They are not to the microsecond: the
//! same seed gives the same story, and only roughly the same kills.

use std::thread;
use std::time::Duration;

use punctual_tests::{Agent, Audit, Clients, Load, Random, Server, Size, Witness, folder};
use rustix::process::Signal;

const KILLS: u64 = 200;
/// How long server and agents work between two kills, in milliseconds.
const WORK: std::ops::Range<u64> = 20..220;
/// Within this many milliseconds of its start a server is killed that is not to get ready.
const START: u64 = 60;
/// How long an agent's silence may last. Short, for the few agents that cannot prove their predecessor gone.
const AGENT_TTL: &str = "4s";

#[test]
fn the_ledger_and_an_independent_witness_agree_after_hundreds_of_kills() {
    let kills = std::env::var("PUNCTUAL_TEST_KILLS").map_or(KILLS, |kills| kills.parse().expect("a number of kills"));
    let mut random = Random::seeded();
    let folder = folder();
    let witness = Witness::new(folder.path());
    let server = Server::dev(folder.path(), &["--agent-ttl", AGENT_TTL]);
    let mut cluster = Cluster { agent: worker(&server), server, server_kills: 0, agent_kills: 0 };
    cluster.server.has_agents(2);
    let size = Size::ONE_SERVER;
    let load = Load::create(&cluster.server.rest, &witness, size);
    let clients = Clients::start(&[cluster.server.rest.clone()], &witness, size, &mut random);

    while cluster.server_kills < kills {
        thread::sleep(Duration::from_millis(WORK.start + random.below(WORK.end - WORK.start)));
        cluster.kill_something(&mut random);
    }
    let records = clients.stop();
    let Cluster { server, server_kills, agent_kills, .. } = &cluster;
    load.await_success(&server.rest);
    let closed = load.close(&server.rest);
    let (rest, forgotten) = (&server.rest, &[]);
    let verdict = Audit { rest, load: &load, records: &records, witness: &witness, closed, forgotten }.verdict();
    println!("{server_kills} kills of the server, {agent_kills} of the agent:");
    verdict.assert_right();
    if kills >= KILLS {
        verdict.assert_that_much_was_broken();
    }
}

struct Cluster {
    server: Server,
    /// Beside the one in the server.
    agent: Agent,
    server_kills: u64,
    agent_kills: u64,
}

fn worker(server: &Server) -> Agent {
    Agent::start(server.folder(), "worker", server, &["--slots", "16"])
}

impl Cluster {
    /// Kills the server, an agent or both, and starts again what was killed.
    fn kill_something(&mut self, random: &mut Random) {
        match random.below(10) {
            0..6 => self.kill_server(),
            6 => {
                self.server.kill();
                self.server_kills += 1;
                self.server.launch();
                thread::sleep(Duration::from_millis(random.below(START)));
                self.kill_server();
            }
            7 => {
                self.server.process().signal(Signal::KILL);
                self.kill_agent();
                self.kill_server();
            }
            _ => self.kill_agent(),
        }
    }

    fn kill_server(&mut self) {
        self.server.kill_and_start();
        self.server_kills += 1;
    }

    fn kill_agent(&mut self) {
        self.agent.process.kill();
        self.agent = worker(&self.server);
        self.agent_kills += 1;
    }
}
