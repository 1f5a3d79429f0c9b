//! The agent's stream between its wire format and the engine's messages.
//!
//! A crate of its own, so that the simulation drives real agents' sessions against real engines without the
//! server's I/O. It decides nothing: what cannot be understood is [`Malformed`], the rest is passed on.

mod credits;
mod incoming;
mod outgoing;

pub use credits::Credits;
pub use incoming::{Malformed, from_agent, hello};
pub use outgoing::server_messages;

use prost_types::Timestamp as Wire;
use scheduler_core::time::Timestamp;

/// Limits that every agent is told.
const MAX_MESSAGE_BYTES: usize = 1 << 20;
const REPORT_CREDITS: i32 = 8_192;
const LOG_CREDITS: i32 = 512;
const MAX_LOG_CHUNK_BYTES: i32 = 16 << 10;

fn to_wire(time: Timestamp) -> Wire {
    let nanos = time.as_micros().rem_euclid(1_000_000) * 1_000;
    Wire { seconds: time.as_secs(), nanos: i32::try_from(nanos).expect("because it is below a billion") }
}

fn from_wire(time: &Wire) -> Timestamp {
    let micros = time.seconds.saturating_mul(1_000_000).saturating_add(i64::from(time.nanos) / 1_000);
    Timestamp::from_micros(micros)
}
