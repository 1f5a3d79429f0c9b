//! The pure domain of Punctual: schedules, policies, the states of runs, and the [`engine`] that decides.
//!
//! Nothing here reads a clock, awaits, spawns, or knows SQL, gRPC or etcd. Time, randomness and every
//! answer of the outside world come in as inputs; what is to be done goes out as effects. That is what
//! lets the same code run in production, in property tests and in the simulation.

pub mod access;
pub mod agent;
pub mod audit;
pub mod backfill;
pub mod calendar;
pub mod engine;
pub mod ids;
pub mod job;
pub mod labels;
pub mod lock;
pub mod run;
pub mod schedule;
mod text_enum;
pub mod time;
pub mod txn;
mod violation;

pub use text_enum::UnknownText;
pub use violation::{Violation, Violations};
