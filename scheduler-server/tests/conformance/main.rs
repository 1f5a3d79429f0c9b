//! The API as a whole, before a real engine and a real ledger: what holds for every method, every field and every way
//! to call, walked by the descriptors, so that a new method or field is tested as soon as it is there.

#![expect(clippy::unwrap_used, reason = "a test fails where it panics")]

mod calls;
mod ledger;
mod node;
mod random;
mod tokens;

mod access;
mod audit;
mod bad_input;
mod dry_runs;
mod patches;
mod round_trip;
mod walk;
