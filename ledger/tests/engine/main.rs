//! The engine over a real SQLite file, by a clock that the test moves.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod away;
mod bad_rows;
mod kept;
mod node;
