//! The pure domain of Punctual.

pub mod ids;
pub mod schedule;
pub mod time;
mod violation;

pub use violation::{Violation, Violations};
