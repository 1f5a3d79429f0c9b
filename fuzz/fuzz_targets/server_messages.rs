//! `cargo +nightly fuzz run server_messages`

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../src/server_messages.rs"]
mod server_messages;

fuzz_target!(|data: &[u8]| server_messages::check(data));
