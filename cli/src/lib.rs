//! `punctual`, the command line of Punctual: every command is a call or two of the public gRPC API, printed as
//! a table for people or as canonical JSON for programs.
//!
//! It holds no rules of its own about jobs: those come from `job-spec`, as the server's do. What it checks beside
//! them is only what the way over gRPC would lose: unknown keys in a file, and integers that a double rounds.

pub mod app;
pub mod settings;

mod bearer;
mod client;
mod clock;
mod commands;
mod definition;
mod failure;
mod preview;
mod value;
mod view;

pub use failure::Failure;
