//! The control plane: one program that decides (as leader), serves the API, and keeps the ledger.
//!
//! The layers, outside in: [`http`] is the one port, and [`access`] says who may come in;
//! [`api`] translates gRPC; [`service`] is the use cases;
//! [`leader`] is the shell round the engine of `scheduler-core`. [`server`] puts them together.

pub mod settings;

pub mod bootstrap;
mod certificates;
pub mod dev_tokens;
pub mod moving;
mod open_files;
mod process;
pub mod restored;
pub mod self_made;
pub mod server;
pub mod store;
mod tasks;

mod metrics;

pub mod feed;

pub mod access;
pub mod http;

pub mod api;
pub mod service;

pub mod leader;
pub mod peers;

pub mod clock;
