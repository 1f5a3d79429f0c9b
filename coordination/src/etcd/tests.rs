//! The coordinator against real etcds.

mod cluster;
#[path = "../../tests/contract/mod.rs"]
mod contract;
mod outages;
mod planted;
mod signed_in;
mod suite;
