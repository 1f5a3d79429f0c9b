//! The deterministic simulation: whole clusters of real engines and real agents' sessions, in one thread, on one queue of
//! events, from one seed (PROTOCOL.md section 7). What is modelled is only what lies between and below them: network,
//! ledger, coordinator, clocks, processes, tasks and clients, and everything that can go wrong with those.
//!
//! A run takes no time from the machine, no thread, and no chance but its seed, so that a seed is the whole story of a
//! failure. See docs/simulation.md for what is simulated, what is not, and how a seed is replayed.

mod agent;
mod client;
mod clock;
mod coordinator;
mod election;
mod event;
mod faults;
pub mod jobs;
mod kind;
mod kinds;
mod ledger;
mod left_behind;
mod locking;
mod locks;
mod network;
mod plant;
mod planted;
mod profile;
mod promise;
mod random;
mod run;
pub mod script;
mod server;
mod shrink;
mod standbys;
mod tally;
mod trace;
mod transition;
mod trouble;
mod witness;
mod world;

pub use clock::Instant;
pub use election::{Candidate, Election, Renewal};
pub use faults::Fault;
pub use ledger::Tables;
pub use locks::LockTable;
pub use plant::Plant;
pub use profile::Profile;
pub use promise::{Broken, Promise};
pub use run::{Batch, Options, Outcome, TESTED, run, run_many, story};
pub use shrink::shrink;
pub use tally::{Check, Tally};
pub use transition::Transition;
pub use trouble::{Nuisance, Without, troubles};
pub use world::World;
