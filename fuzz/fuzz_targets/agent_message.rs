//! `cargo +nightly fuzz run agent_message`

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../src/agent_message.rs"]
mod agent_message;

fuzz_target!(|data: &[u8]| agent_message::check(data));
