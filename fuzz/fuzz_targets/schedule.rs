//! `cargo +nightly fuzz run schedule -- -dict=schedule.dict`

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../src/schedule.rs"]
mod schedule;

fuzz_target!(|data: &[u8]| schedule::check(data));
