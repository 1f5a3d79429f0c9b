//! What the tests with real processes stand on: the programs that were built, private folders and ports, a REST client
//! and a way to wait.
//!
//! Nothing here knows the workspace's other crates. A test sees what a user sees: flags, exit codes, answers, files
//! and processes.
//!
//! The harness panics rather than returning errors, so that a failure names the line of the test and the logs of
//! the processes are printed on the way out.

mod agent;
mod audit;
mod authority;
mod cli;
mod clock;
mod cluster;
mod etcd;
mod events;
mod faults;
mod flags;
mod host;
mod jobs;
mod load;
mod network;
mod ports;
mod postgres;
mod process;
mod programs;
mod proxy;
mod random;
mod rest;
mod runs;
mod server;
mod tools;
mod trial;
mod until;
mod witness;

pub use agent::Agent;
pub use audit::{Audit, Forgotten, Verdict};
pub use authority::Authority;
pub use cli::{Cli, Said};
pub use clock::now;
pub use cluster::{Cluster, Leader, Parts};
pub use etcd::{Certificates, Etcd};
pub use events::{Event, Events, Reader};
pub use faults::{Fault, Harm};
pub use flags::{File, Flag, Key, Settings, hold};
pub use host::Host;
pub use jobs::{job, noop, shell};
pub use load::{Clients, Load, Records, Size, recorded};
pub use network::Network;
pub use ports::Port;
pub use postgres::Postgres;
pub use process::{Process, resident};
pub use programs::program;
pub use proxy::Proxy;
pub use random::Random;
pub use rest::{Answer, Heard, Rest};
pub use runs::{Attempt, Run, assert_no_gap};
pub use server::Server;
pub use tools::{grpcurl, node, python, root, sqlite};
pub use trial::Trial;
pub use until::until;
pub use witness::{Witness, lives};

/// A folder of its own for each test, gone with it.
pub fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("punctual-test-").tempdir().expect("because the system has a temporary folder")
}
