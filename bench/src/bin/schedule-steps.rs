//! Takes steps of one expression, for `cargo xtask bench instructions` to count what they cost: the same binary
//! executes the same instructions, however busy the machine is.
//!
//! usage: schedule-steps EXPRESSION ZONE COUNT

use std::hint::black_box;
use std::process::ExitCode;

use scheduler_core::schedule::{Compiled, Context, Schedule};
use scheduler_core::time::Timestamp;

/// Two days before clocks change in New York.
const START: Timestamp = Timestamp::from_secs(1_709_856_000);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [expression, zone, count] = &args[..] else {
        eprintln!("usage: schedule-steps EXPRESSION ZONE COUNT");
        return ExitCode::from(2);
    };
    let schedule = Schedule { cron: vec![expression.clone()], time_zone: zone.clone(), ..Schedule::default() };
    let (Ok(compiled), Ok(count)) = (Compiled::new(&schedule, &Context::preview(START)), count.parse::<u32>()) else {
        eprintln!("schedule-steps: no such expression, zone or count");
        return ExitCode::FAILURE;
    };
    let mut time = START;
    for _ in 0..count {
        time = compiled.next(black_box(time)).unwrap_or(START);
    }
    black_box(time);
    ExitCode::SUCCESS
}
